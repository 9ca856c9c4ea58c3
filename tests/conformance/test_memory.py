"""What the memory backend promises beyond the contract."""

from __future__ import annotations

import pytest

from liteq.exceptions import ConfigurationError
from liteq.messages import Revocation
from liteq.storage.base import Storage
from liteq.storage.memory import MemoryStorage

from .building import NOW, claim, claim_one, identity, message, put, settle


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
