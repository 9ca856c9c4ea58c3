"""What comes in, in which order it would go out, and what inspection says of it."""

from __future__ import annotations

import os
import random

import pytest

from liteq.storage.base import Storage, Taken
from liteq.testing.conformance.building import NOW, SECOND, claim, claim_one, counts, ids, message, put

ODD_IDS = ["tâche ✓", "仕事", "𝄞 'quoted\" \\ ;--", "%_*?", " ", "two\nlines"]


def test_a_new_queue_is_empty(storage: Storage, owner: int) -> None:
    assert counts(storage) == {}
    assert (storage.pending(), storage.scheduled(), storage.dead()) == ([], [], [])
    assert storage.next_due() is None
    assert claim(storage, owner) == []
    assert storage.take_due(NOW) == []
    assert storage.results() == {}


def test_it_says_what_it_is(storage: Storage) -> None:
    assert storage.name == "huey"
    assert storage.describe()


def test_put_of_nothing_stores_nothing(storage: Storage) -> None:
    storage.put([], NOW)
    assert counts(storage) == {}


def test_messages_that_are_due_are_ready_and_the_others_scheduled(storage: Storage) -> None:
    put(storage, "none", message("past", due=NOW - 1), message("now", due=NOW), message("later", due=NOW + 1))
    assert storage.pending() == [b"none", b"past", b"now"]
    assert storage.scheduled() == [b"later"]
    assert counts(storage) == {"ready": 3, "scheduled": 1}


@pytest.mark.parametrize("in_batch", [False, True])
def test_put_stores_all_or_nothing(storage: Storage, in_batch: bool) -> None:
    faulty = message("bad")._replace(priority=None)  # type: ignore[arg-type]
    if in_batch:
        with storage.batch():
            put(storage, "before")
            with pytest.raises(Exception):  # noqa: PT011 -- of which kind is the backend's affair
                put(storage, "good", message("later", due=NOW + 1), faulty)
            put(storage, "after")
        assert storage.pending() == [b"before", b"after"]
    else:
        with pytest.raises(Exception):  # noqa: PT011
            put(storage, "good", message("later", due=NOW + 1), faulty)
        assert storage.pending() == []
    assert storage.scheduled() == []
    assert not any(storage.is_live(id) for id in ("good", "later", "bad"))


def test_a_claim_carries_the_whole_message(storage: Storage, owner: int) -> None:
    full = message(
        "a", data=b"\x00\xff", priority=7, at_most_once=True, chain=("b", "c"), attempt=4, crashes=2
    )
    put(storage, full)
    got = claim_one(storage, owner)
    assert (got.id, got.name, got.data, got.priority) == ("a", "app.task", b"\x00\xff", 7)
    assert (got.at_most_once, got.chain, got.crashes, got.revoked) == (True, ("b", "c"), 2, False)
    assert (got.attempt, got.owner) == (5, owner)


def test_a_scheduled_message_loses_nothing_on_its_way(storage: Storage, owner: int) -> None:
    put(
        storage, message("a", due=NOW + 1, priority=-3, at_most_once=True, chain=("b",), attempt=1, crashes=1)
    )
    got = claim_one(storage, owner, now=NOW + 1)
    assert (got.priority, got.at_most_once, got.chain) == (-3, True, ("b",))
    assert (got.attempt, got.crashes, got.data) == (2, 1, b"a")


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_data_comes_back_byte_for_byte(storage: Storage, owner: int, size: int) -> None:
    data, later = os.urandom(size), os.urandom(size)
    put(storage, message("a", data=data), message("b", data=later, due=NOW + 1))
    assert storage.pending() == [data]
    assert storage.scheduled() == [later]
    assert [claimed.data for claimed in claim(storage, owner, now=NOW + 1)] == [data, later]


@pytest.mark.parametrize("id", ODD_IDS)
def test_any_text_may_be_an_id_or_a_name(storage: Storage, owner: int, id: str) -> None:
    put(storage, message("a", name=id, chain=(id, "last")), message(id, chain=("x",)))
    first, second = claim(storage, owner)
    assert (first.name, first.chain) == (id, (id, "last"))
    assert second.id == id
    assert storage.is_live(id)
    assert storage.is_live("last")


def test_the_same_id_may_be_put_twice(storage: Storage, owner: int) -> None:
    put(storage, "a", "a")
    first, second = claim(storage, owner)
    assert (first.id, second.id) == ("a", "a")
    assert first.seq != second.seq


# Order


def test_first_in_first_out(storage: Storage, owner: int) -> None:
    put(storage, "a", "b")
    put(storage, "c")
    assert ids(claim(storage, owner)) == ["a", "b", "c"]


def test_a_higher_priority_goes_first(storage: Storage, owner: int) -> None:
    for id, priority in (("low", -5), ("b", 0), ("top", 1_000_000), ("high", 10), ("c", 0)):
        put(storage, message(id, priority=priority))
    assert storage.pending() == [b"top", b"high", b"b", b"c", b"low"]
    assert ids(claim(storage, owner)) == ["top", "high", "b", "c", "low"]


def test_a_claim_takes_no_more_than_its_limit(storage: Storage, owner: int) -> None:
    put(storage, "a", "b", "c")
    assert claim(storage, owner, 0) == []
    assert ids(claim(storage, owner, 2)) == ["a", "b"]
    assert counts(storage) == {"ready": 1, "claimed": 2}
    assert ids(claim(storage, owner, 2)) == ["c"]


@pytest.mark.parametrize("seed", range(5))
def test_any_mix_of_puts_and_claims_keeps_the_order(storage: Storage, owner: int, seed: int) -> None:
    choose = random.Random(seed)
    ready: list[tuple[int, int]] = []
    for number in range(150):
        if choose.random() < 0.7:
            priority = choose.randint(-2, 2)
            ready.append((-priority, number))
            put(storage, message(str(number), priority=priority))
        else:
            limit = choose.randint(0, 5)
            ready.sort()
            taken, ready = ready[:limit], ready[limit:]
            assert ids(claim(storage, owner, limit)) == [str(number) for _, number in taken]
    assert storage.pending() == [str(number).encode() for _, number in sorted(ready)]


# The schedule


def test_a_scheduled_message_is_claimed_from_its_time_on(storage: Storage, owner: int) -> None:
    put(storage, message("a", due=NOW + 10))
    assert claim(storage, owner, now=NOW + 9) == []
    assert storage.scheduled_count() == 1
    assert ids(claim(storage, owner, now=NOW + 10)) == ["a"]
    assert counts(storage) == {"claimed": 1}


def test_what_becomes_due_goes_by_its_age_and_priority(storage: Storage, owner: int) -> None:
    put(storage, message("oldest", due=NOW + 20), message("second", due=NOW + 10), "third")
    put(storage, message("top", due=NOW + 30, priority=1))
    assert ids(claim(storage, owner, 1, now=NOW + 30)) == ["top"]
    assert ids(claim(storage, owner, now=NOW + 30)) == ["oldest", "second", "third"]


def test_what_is_due_becomes_ready_even_if_it_is_not_claimed(storage: Storage, owner: int) -> None:
    put(storage, message("a", due=NOW + 1), message("b", due=NOW + 1), message("c", due=NOW + 2))
    assert ids(claim(storage, owner, 1, now=NOW + 1)) == ["a"]
    assert counts(storage) == {"ready": 1, "scheduled": 1, "claimed": 1}


def test_the_schedule_is_listed_by_time(storage: Storage) -> None:
    put(storage, *(message(str(due), due=NOW + due) for due in (30, 10, 20)))
    assert storage.scheduled() == [b"10", b"20", b"30"]
    assert storage.scheduled(2) == [b"10", b"20"]


def test_next_due_is_the_earliest_of_the_schedule(storage: Storage, owner: int) -> None:
    put(storage, "ready")
    assert storage.next_due() is None
    put(storage, message("b", due=NOW + 2 * SECOND), message("a", due=NOW + SECOND))
    assert storage.next_due() == NOW + SECOND
    claim(storage, owner, now=NOW + SECOND)
    assert storage.next_due() == NOW + 2 * SECOND
    claim(storage, owner, now=NOW + 2 * SECOND)
    assert storage.next_due() is None


def test_take_due_removes_what_is_due_and_nothing_else(storage: Storage, owner: int) -> None:
    put(storage, "ready", *(message(str(due), due=NOW + due, chain=(f"{due}+",)) for due in (30, 10, 20)))
    assert storage.take_due(NOW + 20) == [Taken(b"10"), Taken(b"20")]
    assert storage.take_due(NOW + 20) == []
    assert counts(storage) == {"ready": 1, "scheduled": 1}
    assert not storage.is_live("10")
    assert not storage.is_live("20+")
    assert ids(claim(storage, owner, now=NOW + 30)) == ["ready", "30"]


# Inspection


def test_pending_is_limited_and_changes_nothing(storage: Storage, owner: int) -> None:
    put(storage, "a", "b", "c")
    assert storage.pending(0) == []
    assert storage.pending(2) == [b"a", b"b"]
    assert storage.pending(10) == storage.pending() == [b"a", b"b", b"c"]
    assert ids(claim(storage, owner)) == ["a", "b", "c"]


def test_top_priority_is_that_of_the_next_claim(storage: Storage, owner: int) -> None:
    assert storage.top_priority() is None
    put(storage, message("low", priority=-2), message("later", priority=9, due=NOW + 1))
    assert storage.top_priority() == -2
    put(storage, message("high", priority=5), "zero")
    assert storage.top_priority() == 5
    for expected in (0, -2, None):
        claim(storage, owner, 1)
        assert storage.top_priority() == expected


def test_counts_follow_a_message(storage: Storage, owner: int) -> None:
    put(storage, message("a", due=NOW + 1), "b")
    assert counts(storage) == {"ready": 1, "scheduled": 1}
    claim(storage, owner)
    assert counts(storage) == {"scheduled": 1, "claimed": 1}
    claim(storage, owner, now=NOW + 1)
    assert counts(storage) == {"claimed": 2}


def test_maintenance_changes_nothing_that_can_be_seen(storage: Storage, owner: int) -> None:
    put(storage, "a", message("b", due=NOW + 1))
    storage.put_result("key", b"value")
    storage.maintain()
    assert counts(storage) == {"ready": 1, "scheduled": 1}
    assert storage.peek_result("key") == b"value"
    assert ids(claim(storage, owner)) == ["a"]


def test_after_close_the_next_verb_opens_anew(storage: Storage, owner: int) -> None:
    put(storage, "a", message("b", due=NOW + 1))
    storage.close()
    storage.close()
    assert ids(claim(storage, owner, now=NOW + 1)) == ["a", "b"]
    storage.close()
    assert counts(storage) == {"claimed": 2}


def test_what_the_batch_stopped_at_is_first_in_the_next(storage: Storage, owner: int) -> None:
    put(storage, "a", message("B", at_most_once=True), "c")
    assert ids(claim(storage, owner, startable=1)) == ["a"]
    assert ids(claim(storage, owner, startable=0)) == []
    assert ids(claim(storage, owner, startable=1)) == ["B", "c"]
