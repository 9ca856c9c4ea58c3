"""Eight threads at once: whatever can be had once is had by one of them."""

from __future__ import annotations

import pytest

from liteq.messages import Disposition
from liteq.storage.base import Storage
from liteq.testing.conformance.building import (
    NOW,
    at_once,
    claim,
    claim_one,
    counts,
    identity,
    ids,
    message,
    put,
    settle,
)

THREADS = 8


def test_no_message_is_claimed_twice(storage: Storage) -> None:
    put(storage, *(message(str(number), priority=number % 3) for number in range(400)))
    owners = [storage.register(identity(pid)) for pid in range(THREADS)]

    def drain(index: int) -> list[str]:
        claimed: list[str] = []
        while batch := ids(claim(storage, owners[index], 1 + index % 4)):
            claimed += batch
        return claimed

    shares = at_once(THREADS, drain)
    assert sorted(sum(shares, [])) == sorted(str(number) for number in range(400))
    for owner, share in zip(owners, shares, strict=True):
        assert sorted(ids(storage.held(owner))) == sorted(share)
    assert counts(storage) == {"claimed": 400}


def test_no_message_is_lost_between_producers_and_consumers(storage: Storage) -> None:
    owners = [storage.register(identity(pid)) for pid in range(THREADS)]
    each = 25

    def work(index: int) -> list[str]:
        done: list[str] = []
        for number in range(each):
            put(storage, f"{index}-{number}")
            for claimed in claim(storage, owners[index], 2):
                assert settle(storage, claimed.key, results=((claimed.id, b"x"),))
                done.append(claimed.id)
        return done

    done = sum(at_once(THREADS, work), [])
    done += ids(claim(storage, owners[0], 1000))
    assert sorted(done) == sorted(f"{index}-{number}" for index in range(THREADS) for number in range(each))


def test_one_of_many_pops_gets_the_value(storage: Storage) -> None:
    for round_ in range(10):
        value = b"%d" % round_
        storage.put_result("key", value)
        popped = at_once(THREADS, lambda _: storage.pop_result("key"))
        assert sorted(popped, key=lambda one: one is None) == [value] + [None] * (THREADS - 1)


def test_one_of_many_puts_finds_it_empty(storage: Storage) -> None:
    for round_ in range(10):
        key = str(round_)
        stored = at_once(THREADS, lambda index, key=key: storage.put_if_empty(key, b"%d" % index, now=NOW))
        assert stored.count(True) == 1
        assert storage.peek_result(key) == b"%d" % stored.index(True)


def test_one_of_many_deletes_finds_it(storage: Storage) -> None:
    storage.put_result("key", b"value")
    assert at_once(THREADS, lambda _: storage.delete_result("key")).count(True) == 1


@pytest.mark.parametrize("end", list(Disposition))
def test_one_of_many_settles_ends_the_claim(storage: Storage, owner: int, end: Disposition) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key

    def work(index: int) -> bool:
        return settle(storage, key, end, results=((str(index), b"x"),), messages=(message(f"next-{index}"),))

    held = at_once(THREADS, work)
    assert held.count(True) == 1
    winner = held.index(True)
    assert storage.results() == {str(winner): b"x"}
    assert f"next-{winner}".encode() in storage.pending()
    assert storage.pending_count() == 1 + (end in {Disposition.BACK, Disposition.CRASHED})


def test_a_slot_is_taken_by_one(storage: Storage) -> None:
    for slot in range(10):
        taken = at_once(THREADS, lambda _, slot=slot: storage.take_slot("app.tick", slot))
        assert taken.count(True) == 1


def test_every_consumer_gets_an_id_of_its_own(storage: Storage) -> None:
    owners = at_once(THREADS, lambda index: storage.register(identity(index)))
    assert len(set(owners)) == THREADS
    assert storage.consumers() == {owner: (identity(index), None) for index, owner in enumerate(owners)}


def test_a_flush_leaves_no_half_message(storage: Storage) -> None:
    owner = storage.register(identity(1))

    def work(index: int) -> None:
        for number in range(10):
            put(storage, message(f"{index}-{number}", chain=("next",)), message("later", due=NOW + 1))
            if index == 0:
                storage.flush()
            for claimed in claim(storage, owner, 1):
                settle(storage, claimed.key)

    at_once(THREADS, work)
    for claimed in claim(storage, owner, 1000, now=NOW + 1):
        assert settle(storage, claimed.key)
    assert counts(storage) == {}
    assert not storage.is_live("next")
    assert not storage.is_live("later")
