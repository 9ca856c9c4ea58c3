"""What the memory backend promises beyond the contract."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from liteq.exceptions import ConfigurationError
from liteq.messages import Revocation
from liteq.storage.base import Storage
from liteq.storage.memory import MemoryStorage
from liteq.testing.conformance.building import NOW, claim, claim_one, identity, message, put, settle
from liteq.testing.conformance.limits import hit, later


def test_it_refuses_options_that_it_does_not_have() -> None:
    with pytest.raises(ConfigurationError, match="filename, fsync"):
        MemoryStorage("huey", fsync=True, filename="x")
    assert MemoryStorage().name == "huey"


def test_every_verb_runs_under_the_lock() -> None:
    for verb in Storage.__abstractmethods__:
        assert hasattr(getattr(MemoryStorage, verb), "__wrapped__"), verb


def test_it_counts_every_change_and_nothing_else() -> None:
    storage = MemoryStorage()
    owner = storage.register(identity(1))
    put(storage, message("a"))
    key = claim_one(storage, owner).key
    changes = [
        lambda: put(storage, "b"),
        lambda: storage.extend(owner, 1),
        lambda: settle(storage, key),
        lambda: storage.put_result("key", b""),
        lambda: storage.pop_result("key"),
        lambda: storage.put_if_empty("key", b"", now=NOW),
        lambda: storage.revoke("r:a", Revocation()),
        lambda: storage.restore("r:a"),
        lambda: storage.take_slot("app.tick", 60),
        lambda: storage.attend(owner, identity(2)),
        lambda: storage.unregister(owner),
        storage.flush,
    ]
    for change in changes:
        before = storage.version()
        change()
        assert storage.version() > before
    before = storage.version()
    storage.put([], NOW)
    claim(storage, owner)
    storage.extend(owner, 1)
    settle(storage, key)
    storage.pop_result("key")
    storage.restore("r:a")
    storage.unregister(owner)
    storage.take_due(NOW)
    assert storage.version() == before


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 50),
    st.lists(st.integers(0, 30), max_size=60),
)
def test_the_log_is_exact(limit: int, per: int, pauses: list[int]) -> None:
    """Against the definition: refused if and only if `limit` were made in the last `per`."""
    storage, made, now = MemoryStorage(), [], 0
    for pause in pauses:
        now += pause
        wait = hit(storage, later(now), limit, per)
        recent = [moment for moment in made if now - moment < per]
        assert (wait > 0) == (len(recent) >= limit)
        if wait:
            assert wait == recent[-limit] + per - now
        else:
            made.append(now)
    assert all(b - a >= per for a, b in zip(made, made[limit:], strict=False))
