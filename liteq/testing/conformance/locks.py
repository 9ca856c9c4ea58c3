"""Locks: who may hold one, for how long, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from liteq.messages import ClaimKey, Disposition
from liteq.storage.base import Holder, Instant, Storage
from liteq.testing.conformance.building import LEASE, NOW, at_once, claim, claim_one, identity, put, settle

T = 700_000_000
"""A time of the monotonic clock."""


def holder(token: str = "one", name: str = "lock", pid: int = 1, **rest: Any) -> Holder:
    return Holder(name, token, identity(pid), **rest)


def acquire(storage: Storage, who: Holder, limit: int = 1, now: int = T) -> bool:
    return storage.acquire_lock(who, limit=limit, now=now)


def test_one_has_it_at_a_time(storage: Storage) -> None:
    assert acquire(storage, holder("one"))
    assert not acquire(storage, holder("two"))
    assert storage.release_lock(holder("one"), now=T)
    assert acquire(storage, holder("two"))
    assert storage.locks(now=T) == [holder("two")]


def test_a_holder_comes_back_as_it_was(storage: Storage, owner: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    whole = Holder("clé ✓ 𝄞", "'\"\\", identity(7), key, T + 1)
    assert acquire(storage, whole)
    assert storage.locks(now=T) == storage.locks("clé ✓ 𝄞", now=T) == [whole]
    assert storage.locks("cle", now=T) == []


def test_locks_of_other_names_and_queues_are_other_locks(storage: Storage, neighbour: Storage) -> None:
    assert acquire(storage, holder(name="a"))
    assert acquire(storage, holder(name="b"))
    assert acquire(neighbour, holder(name="a"))
    assert [it.name for it in storage.locks(now=T)] == ["a", "b"]
    assert storage.clear_locks(now=T) == {"a", "b"}
    assert [it.name for it in neighbour.locks(now=T)] == ["a"]


def test_a_semaphore_has_as_many_holders_as_its_limit(storage: Storage) -> None:
    taken = [acquire(storage, holder(str(number)), limit=3) for number in range(5)]
    assert taken == [True, True, True, False, False]
    assert storage.release_lock(holder("1"), now=T)
    assert acquire(storage, holder("5"), limit=3)
    assert [it.token for it in storage.locks("lock", now=T)] == ["0", "2", "5"]


def test_who_holds_it_may_acquire_it_again_with_another_end(storage: Storage) -> None:
    assert acquire(storage, holder(expires=T + 10))
    assert acquire(storage, holder(expires=T + 20))
    assert storage.locks(now=T) == [holder(expires=T + 20)]


def test_another_s_token_is_refused_even_where_there_is_room(storage: Storage, owner: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    assert acquire(storage, holder("one"), limit=5)
    assert not acquire(storage, holder("one", pid=2), limit=5)
    assert not acquire(storage, holder("one", claim=key), limit=5)
    assert storage.locks(now=T) == [holder("one")]


def test_only_its_holder_releases_or_renews_it(storage: Storage) -> None:
    acquire(storage, holder("one"))
    for other in (holder("two"), holder("one", pid=2), holder("one", name="other")):
        assert not storage.release_lock(other, now=T)
        assert not storage.renew_lock(other._replace(expires=T + 1), now=T)
    assert storage.locks(now=T) == [holder("one")]
    assert storage.release_lock(holder("one"), now=T)
    assert not storage.release_lock(holder("one"), now=T)


def test_it_ends_when_its_time_is_over(storage: Storage) -> None:
    acquire(storage, holder("one", expires=T + 10))
    assert not acquire(storage, holder("two"), now=T + 9)
    assert storage.locks(now=T + 10) == storage.locks("lock", now=T + 10) == []
    assert not storage.renew_lock(holder("one", expires=T + 99), now=T + 10)
    assert not storage.release_lock(holder("one"), now=T + 10)
    assert acquire(storage, holder("two"), now=T + 10)
    assert storage.locks(now=T + 10) == [holder("two")]


def test_one_whose_time_is_over_is_not_flushed_but_gone(storage: Storage) -> None:
    acquire(storage, holder("one", expires=T + 10))
    assert storage.clear_locks(now=T + 10) == set()
    assert storage.clear_locks(["lock"], now=T + 10) == set()


def test_renewing_moves_its_end(storage: Storage) -> None:
    acquire(storage, holder("one", expires=T + 10))
    assert storage.renew_lock(holder("one", expires=T + 20), now=T + 9)
    assert storage.locks(now=T + 19) == [holder("one", expires=T + 20)]
    assert storage.renew_lock(holder("one"), now=T + 19)
    assert storage.locks(now=T + 10**15) == [holder("one")]


def test_clearing_frees_it_whoever_holds_it(storage: Storage) -> None:
    for name in ("a", "b", "c"):
        acquire(storage, holder(name=name))
    acquire(storage, holder("two", name="a"), limit=2)
    assert storage.clear_locks(["a", "x"], now=T) == {"a"}
    assert [it.name for it in storage.locks(now=T)] == ["b", "c"]
    assert storage.clear_locks([], now=T) == set()
    assert storage.clear_locks(now=T) == {"b", "c"}
    assert storage.clear_locks(now=T) == set()


# Attempts


@pytest.mark.parametrize("end", list(Disposition))
def test_whatever_ends_the_attempt_frees_it(storage: Storage, owner: int, end: Disposition) -> None:
    put(storage, "a", "b")
    first, second = claim(storage, owner)
    assert acquire(storage, holder(name="first", claim=first.key))
    assert acquire(storage, holder("slot", name="many", claim=first.key), limit=2)
    assert acquire(storage, holder("other", name="many", claim=second.key), limit=2)
    assert acquire(storage, holder(name="process"))
    assert settle(storage, first.key, end)
    assert [(it.name, it.token) for it in storage.locks(now=T)] == [("many", "other"), ("process", "one")]


def test_the_next_attempt_gets_it(storage: Storage, owner: int) -> None:
    put(storage, "a")
    first = claim_one(storage, owner)
    assert acquire(storage, holder("one", claim=first.key))
    settle(storage, first.key, Disposition.CRASHED)
    second = claim_one(storage, owner)
    assert second.seq == first.seq
    assert acquire(storage, holder("two", claim=second.key))
    assert not settle(storage, first.key)  # the zombie's end
    assert not storage.release_lock(holder("one", claim=first.key), now=T)
    assert storage.locks(now=T) == [holder("two", claim=second.key)]


def test_an_attempt_without_its_claim_gets_none(storage: Storage, owner: int, stranger: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    for lost in (key._replace(attempt=2), key._replace(owner=stranger), ClaimKey(99, 1, owner)):
        assert not acquire(storage, holder(claim=lost))
    settle(storage, key, Disposition.BACK)
    assert not acquire(storage, holder(claim=key))
    assert storage.locks(now=T) == []


def test_an_attempt_s_end_frees_none_of_another_queue(
    storage: Storage, neighbour: Storage, owner: int
) -> None:
    neighbours_owner = neighbour.register(identity(5))
    put(storage, "a")
    put(neighbour, "a")
    key = claim_one(neighbour, neighbours_owner).key
    assert acquire(neighbour, holder(claim=key))
    settle(storage, claim_one(storage, owner).key)
    assert neighbour.locks(now=T) == [holder(claim=key)]


def test_a_settle_that_comes_to_nothing_frees_none(storage: Storage, owner: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    acquire(storage, holder(claim=key))
    assert not settle(storage, key._replace(attempt=7))
    assert storage.locks(now=T) == [holder(claim=key)]


def test_an_extended_claim_keeps_it(storage: Storage, owner: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    acquire(storage, holder(claim=key))
    storage.extend(owner, LEASE + 1)
    assert storage.locks(now=T) == [holder(claim=key)]


def test_a_flush_frees_all(storage: Storage, neighbour: Storage, owner: int) -> None:
    put(storage, "a")
    acquire(storage, holder(claim=claim_one(storage, owner).key))
    acquire(storage, holder(name="other"))
    acquire(neighbour, holder())
    storage.flush()
    assert storage.locks(now=T) == []
    assert neighbour.locks(now=T) == [holder()]


# Many at once


def test_one_of_many_gets_it(storage: Storage) -> None:
    for round_ in range(20):
        got = at_once(8, lambda index, name=str(round_): acquire(storage, holder(str(index), name, index)))
        assert got.count(True) == 1
        assert [it.token for it in storage.locks(str(round_), now=T)] == [str(got.index(True))]


def test_as_many_as_the_limit_get_it(storage: Storage) -> None:
    def work(index: int) -> int:
        got = 0
        for number in range(30):
            who = holder(f"{index}-{number}", pid=index)
            if acquire(storage, who, limit=3):
                got += 1
                assert len(storage.locks("lock", now=T)) <= 3
                assert storage.release_lock(who, now=T)
        return got

    assert sum(at_once(8, work)) >= 30  # those who come last find room
    assert storage.locks(now=T) == []


def test_it_is_seen_by_another_connection(storage: Storage, second: Storage) -> None:
    assert acquire(storage, holder("one"))
    assert not acquire(second, holder("two"))
    assert second.locks(now=T) == [holder("one")]
    assert second.release_lock(holder("one"), now=T)
    assert acquire(second, holder("two"))


def test_what_is_over_is_pruned(storage: Storage) -> None:
    for number in range(5):
        acquire(storage, holder(name=str(number), expires=T + number))
    acquire(storage, holder(name="for ever"))
    now = Instant("boot", 0, NOW)
    assert storage.prune(2, now=now, monotonic=T + 3) == 2
    assert storage.prune(100, now=now, monotonic=T + 3) == 2
    assert storage.prune(100, now=now, monotonic=T + 3) == 0
    assert [it.name for it in storage.locks(now=T)] == ["4", "for ever"]
