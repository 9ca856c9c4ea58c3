"""Whether an id can still come to a result, and the messages that died."""

from __future__ import annotations

from liteq.messages import Disposition
from liteq.storage.base import Storage
from liteq.testing.conformance.building import NOW, claim, claim_one, counts, message, put, settle


def test_an_id_is_live_until_its_message_ends(storage: Storage, owner: int) -> None:
    put(storage, "a", message("b", due=NOW + 1))
    assert storage.is_live("a")
    assert storage.is_live("b")
    assert not storage.is_live("c")
    first, second = claim(storage, owner, now=NOW + 1)
    assert storage.is_live("a")
    settle(storage, first.key)
    assert not storage.is_live("a")
    settle(storage, second.key, Disposition.BACK)
    assert storage.is_live("b")


def test_a_pipeline_is_live_in_the_message_that_carries_it(storage: Storage, owner: int) -> None:
    put(storage, message("a", chain=("b", "c")))
    assert all(storage.is_live(id) for id in "abc")
    key = claim_one(storage, owner).key
    assert all(storage.is_live(id) for id in "abc")
    settle(storage, key, messages=(message("b", chain=("c",)),))
    assert [storage.is_live(id) for id in "abc"] == [False, True, True]
    settle(storage, claim_one(storage, owner).key)
    assert not any(storage.is_live(id) for id in "abc")


def test_an_id_is_not_live_because_it_is_like_another(storage: Storage) -> None:
    put(storage, message("task-10", chain=("task-20", "task-30")))
    for like in ("task-1", "task-2", "ask-30", "-", "", "TASK-10", "TASK-20", "task_20", "task-20\ntask-30"):
        assert not storage.is_live(like)


def test_one_of_two_messages_of_an_id_keeps_it_live(storage: Storage, owner: int) -> None:
    put(storage, message("a", chain=("b",)), message("a", chain=("b",)))
    first, second = claim(storage, owner)
    settle(storage, first.key)
    assert storage.is_live("a")
    settle(storage, second.key, Disposition.DEAD)
    assert not storage.is_live("a")
    assert not storage.is_live("b")


def test_dead_messages_are_listed_the_latest_first(storage: Storage, owner: int) -> None:
    put(storage, "a", "b", "c")
    for when, claimed in zip((20, 30, 10), claim(storage, owner), strict=True):
        settle(storage, claimed.key, Disposition.DEAD, now=NOW + when)
    assert [task.id for task in storage.dead()] == ["b", "a", "c"]
    assert [task.id for task in storage.dead(1)] == ["b"]
    assert storage.dead(0) == []


def test_a_revived_message_runs_again_with_its_crashes_forgiven(storage: Storage, owner: int) -> None:
    put(storage, message("a", crashes=2, chain=("x",), priority=3), "b")
    first, second = claim(storage, owner)
    settle(storage, first.key, Disposition.DEAD)
    settle(storage, second.key, Disposition.DEAD)
    assert not storage.is_live("x")
    assert storage.revive(["a", "unknown"]) == 1
    assert storage.is_live("a")
    assert storage.is_live("x")
    again = claim_one(storage, owner)
    assert (again.id, again.attempt, again.crashes) == ("a", 2, 0)
    assert (again.chain, again.priority, again.data) == (("x",), 3, b"a")
    assert not settle(storage, first.key)
    assert [task.id for task in storage.dead()] == ["b"]


def test_revive_counts_messages_not_ids(storage: Storage, owner: int) -> None:
    put(storage, "a", "a", "ready")
    for claimed in claim(storage, owner, 2):
        settle(storage, claimed.key, Disposition.DEAD)
    assert storage.revive([]) == 0
    assert storage.revive(["ready"]) == 0
    assert storage.revive(["a", "a"]) == 2
    assert counts(storage) == {"ready": 3}
