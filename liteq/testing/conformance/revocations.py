"""Revocations: of one task and of all of a name; until a time, once, and until they are undone."""

from __future__ import annotations

import pytest

from liteq.messages import Disposition, Revocation
from liteq.storage.base import Storage
from liteq.testing.conformance.building import (
    LEASE,
    NOW,
    claim,
    claim_one,
    identity,
    ids,
    message,
    put,
    settle,
)

FOREVER = Revocation()
ONCE = Revocation(once=True)


def revoked(storage: Storage, owner: int, **options: int) -> list[str]:
    """Claim everything; the ids of what was revoked."""
    return [claimed.id for claimed in claim(storage, owner, **options) if claimed.revoked]


def test_a_revocation_can_be_looked_up_and_undone(storage: Storage) -> None:
    kinds = {"r:a": FOREVER, "r:b": ONCE, "rt:app.task": Revocation(until=NOW)}
    for key, revocation in kinds.items():
        storage.revoke(key, revocation)
    assert storage.revocations([*kinds, "r:c"]) == kinds
    assert storage.revocations([]) == {}
    assert storage.restore("r:a")
    assert not storage.restore("r:a")
    assert not storage.restore("r:c")
    assert storage.revocations(["r:a", "r:b"]) == {"r:b": ONCE}


def test_the_later_revocation_replaces_the_earlier(storage: Storage) -> None:
    storage.revoke("r:a", ONCE)
    storage.revoke("r:a", Revocation(until=NOW))
    assert storage.revocations(["r:a"]) == {"r:a": Revocation(until=NOW)}


def test_a_revoked_task_is_claimed_as_revoked(storage: Storage, owner: int) -> None:
    put(storage, "a", "b")
    storage.revoke("r:a", FOREVER)
    assert [(c.id, c.revoked) for c in claim(storage, owner)] == [("a", True), ("b", False)]


def test_a_task_may_be_revoked_before_it_comes(storage: Storage, owner: int) -> None:
    storage.revoke("r:a", ONCE)
    put(storage, message("a", due=NOW + 1))
    assert revoked(storage, owner, now=NOW + 1) == ["a"]


def test_a_name_is_revoked_until_it_is_restored(storage: Storage, owner: int) -> None:
    storage.revoke("rt:app.task", FOREVER)
    put(storage, "a", message("x", name="app.task2"), "b")
    assert revoked(storage, owner) == ["a", "b"]
    put(storage, "c")
    assert revoked(storage, owner) == ["c"]
    assert storage.restore("rt:app.task")
    put(storage, "d")
    assert revoked(storage, owner) == []


def test_the_keys_of_ids_and_names_are_apart(storage: Storage, owner: int) -> None:
    storage.revoke("r:app.task", FOREVER)
    storage.revoke("rt:a", FOREVER)
    put(storage, "a")
    assert revoked(storage, owner) == []


@pytest.mark.parametrize("key", ["r:a", "rt:app.task"])
def test_a_revocation_holds_until_its_time(storage: Storage, owner: int, key: str) -> None:
    storage.revoke(key, Revocation(until=NOW + 10))
    put(storage, "a")
    early = claim_one(storage, owner, now=NOW + 9)
    assert early.revoked
    settle(storage, early.key)
    storage.revoke(key, Revocation(until=NOW + 10))
    put(storage, "a")
    assert not claim_one(storage, owner, now=NOW + 10).revoked


# Once


def test_the_once_of_a_name_is_used_up_by_one_task_alone(storage: Storage, owner: int) -> None:
    storage.revoke("rt:app.task", ONCE)
    put(storage, message("x", name="app.other"), "a", "b")
    assert revoked(storage, owner) == ["a"]
    assert storage.revocations(["rt:app.task"]) == {}
    put(storage, "c")
    assert revoked(storage, owner) == []


@pytest.mark.parametrize("end", [Disposition.BACK, Disposition.CRASHED])
@pytest.mark.parametrize("key", ["r:a", "rt:app.task"])
def test_a_once_that_was_not_reported_still_holds_for_its_task(
    storage: Storage, owner: int, key: str, end: Disposition
) -> None:
    storage.revoke(key, ONCE)
    put(storage, "a")
    first = claim_one(storage, owner)
    settle(storage, first.key, end)
    put(storage, message("urgent", priority=1))
    assert [(c.id, c.revoked) for c in claim(storage, owner)] == [("urgent", False), ("a", True)]


@pytest.mark.parametrize("key", ["r:a", "rt:app.task"])
def test_a_once_ends_with_its_task(storage: Storage, owner: int, key: str) -> None:
    storage.revoke(key, ONCE)
    put(storage, "a")
    settle(storage, claim_one(storage, owner).key, status="revoked")
    assert storage.revocations(["r:a", "rt:app.task"]) == {}
    put(storage, "a")
    assert revoked(storage, owner) == []


def test_a_task_that_is_revoked_itself_leaves_the_once_of_its_name(storage: Storage, owner: int) -> None:
    storage.revoke("rt:app.task", ONCE)
    storage.revoke("r:a", FOREVER)
    put(storage, "a", "b")
    assert revoked(storage, owner, limit=1) == ["a"]
    assert storage.revocations(["rt:app.task"]) == {"rt:app.task": ONCE}
    assert revoked(storage, owner) == ["b"]


# What ends a task's own revocation


def test_done_ends_the_tasks_own_revocation_and_no_other(storage: Storage, owner: int) -> None:
    put(storage, "a", "b")
    a, _ = claim(storage, owner)
    keys = ["r:a", "r:b", "rt:app.task"]
    for key in keys:
        storage.revoke(key, FOREVER)
    settle(storage, a.key)
    assert set(storage.revocations(keys)) == {"r:b", "rt:app.task"}


def test_a_retry_of_a_task_that_was_revoked_meanwhile_is_revoked(storage: Storage, owner: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    storage.revoke("r:a", ONCE)
    settle(storage, key, status="retrying", messages=(message("a", attempt=1),))
    assert revoked(storage, owner) == ["a"]


@pytest.mark.parametrize("end", [Disposition.BACK, Disposition.CRASHED, Disposition.DEAD])
def test_no_other_end_than_done_ends_it(storage: Storage, owner: int, end: Disposition) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    storage.revoke("r:a", FOREVER)
    settle(storage, key, end)
    assert storage.revocations(["r:a"]) == {"r:a": FOREVER}


def test_a_settle_that_lost_its_claim_ends_no_revocation(storage: Storage, owner: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    settle(storage, key, Disposition.BACK)
    storage.revoke("r:a", ONCE)
    assert not settle(storage, key)
    assert revoked(storage, owner) == ["a"]


# What a claim says of it


@pytest.mark.parametrize(
    "revocations",
    [{"r:a": FOREVER}, {"rt:app.task": FOREVER}, {"rt:app.task": ONCE}, {"r:a": Revocation(NOW)}],
)
def test_held_claims_say_what_they_said_when_they_were_made(
    storage: Storage, owner: int, revocations: dict[str, Revocation]
) -> None:
    for key, revocation in revocations.items():
        storage.revoke(key, revocation)
    put(storage, "a", "b")
    claims = claim(storage, owner)
    assert ids(claims) == ["a", "b"]
    assert storage.held(owner) == claims
    storage.revoke("r:b", FOREVER)
    assert storage.held(owner) == claims


def test_a_name_that_was_restored_runs_even_what_was_claimed_as_revoked(storage: Storage, owner: int) -> None:
    storage.revoke("rt:app.task", FOREVER)
    put(storage, "a")
    first = claim_one(storage, owner)
    settle(storage, first.key, Disposition.BACK)
    storage.restore("rt:app.task")
    assert not claim_one(storage, owner).revoked


def test_claims_that_were_revoked_later(storage: Storage) -> None:
    mine, other = storage.register(identity(1)), storage.register(identity(2))
    storage.put([message("a"), message("b", name="app.other"), message("c")], NOW)
    a, b, c = storage.claim(mine, 3, now=NOW, lease=LEASE)
    storage.put([message("d")], NOW)
    (d,) = storage.claim(other, 1, now=NOW, lease=LEASE)
    assert storage.revoked_claims(mine, NOW) == {}
    storage.revoke("r:c", Revocation(until=NOW))
    assert storage.revoked_claims(mine, NOW) == {}
    storage.revoke("r:c", Revocation(until=NOW + 1))
    storage.revoke("r:a", Revocation(terminate=True))
    storage.revoke("rt:app.other", Revocation(once=True, terminate=True))
    storage.revoke("r:d", Revocation(terminate=True))
    assert storage.revoked_claims(mine, NOW) == {a.key: True, b.key: True, c.key: False}
    assert storage.revoked_claims(other, NOW) == {d.key: True}
    assert storage.revocations(["r:a"]) == {"r:a": Revocation(terminate=True)}


def test_a_claim_of_what_was_revoked_before_is_not_among_them(storage: Storage, owner: int) -> None:
    storage.revoke("rt:app.task", Revocation(terminate=True))
    put(storage, "a")
    assert claim_one(storage, owner).revoked
    assert storage.revoked_claims(owner, NOW) == {}
