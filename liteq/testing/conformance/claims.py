"""Claims: their fences, their leases, and the four ends that they can have."""

from __future__ import annotations

import pytest

from liteq.messages import BACK, ClaimKey, Disposition, Settlement
from liteq.storage.base import DeadTask, Storage
from liteq.testing.conformance.building import (
    LEASE,
    NOW,
    claim,
    claim_one,
    counts,
    identity,
    ids,
    message,
    put,
    settle,
    settlement,
)  # fmt: skip

ENDS = list(Disposition)


def test_a_claimed_message_is_not_claimed_again(storage: Storage, owner: int, stranger: int) -> None:
    put(storage, "a")
    claimed = claim_one(storage, owner)
    assert claimed.attempt == 1
    assert claimed.key == ClaimKey(claimed.seq, 1, owner)
    assert claim(storage, owner, lease=LEASE + 1) == []
    assert claim(storage, stranger) == []


# The end of a claim


def test_done_removes_the_message(storage: Storage, owner: int) -> None:
    put(storage, "a")
    assert settle(storage, claim_one(storage, owner).key)
    assert counts(storage) == {}
    assert claim(storage, owner) == []


def test_back_returns_it_to_its_place_with_its_attempts(storage: Storage, owner: int, stranger: int) -> None:
    put(storage, "a", "b")
    first = claim_one(storage, owner, limit=1)
    assert storage.settle([Settlement(first.key, BACK)], NOW) == [True]
    assert storage.pending() == [b"a", b"b"]
    again = claim(storage, stranger)[0]
    assert again == first._replace(attempt=2, owner=stranger)


def test_crashed_returns_it_with_one_crash_more(storage: Storage, owner: int) -> None:
    put(storage, "a", "b")
    for crashes in range(3):
        claimed = claim(storage, owner, 1)[0]
        assert (claimed.id, claimed.crashes, claimed.attempt) == ("a", crashes, crashes + 1)
        assert settle(storage, claimed.key, Disposition.CRASHED)
    assert storage.pending() == [b"a", b"b"]


def test_dead_keeps_it_aside_with_the_reason(storage: Storage, owner: int) -> None:
    put(storage, message("a", name="app.other", data=b"\x00data", attempt=1))
    assert settle(storage, claim_one(storage, owner).key, Disposition.CRASHED)
    assert settle(storage, claim_one(storage, owner).key, Disposition.DEAD, reason="killed ✗", now=NOW + 5)
    assert storage.dead() == [
        DeadTask("a", "app.other", b"\x00data", attempts=3, crashes=1, died=NOW + 5, reason="killed ✗")
    ]
    assert claim(storage, owner) == []
    assert counts(storage) == {"dead": 1}


@pytest.mark.parametrize(("status", "crashes"), [("crashed", 3), ("error", 2)])
def test_the_crash_that_kills_a_message_counts(
    storage: Storage, owner: int, status: str, crashes: int
) -> None:
    put(storage, message("a", crashes=2))
    assert settle(storage, claim_one(storage, owner).key, Disposition.DEAD, status=status)
    assert [task.crashes for task in storage.dead()] == [crashes]


@pytest.mark.parametrize("disposition", ENDS)
def test_every_end_stores_its_results_and_messages(
    storage: Storage, owner: int, disposition: Disposition
) -> None:
    put(storage, "a")
    storage.put_result("old", b"replaced")
    new = (message("due", priority=1, due=NOW), message("later", due=NOW + 1))
    results = (("key", b"value"), ("empty", b""), ("old", b"new"))
    key = claim_one(storage, owner).key
    assert settle(storage, key, disposition, results=results, messages=new)
    assert storage.results() == dict(results)
    assert storage.pending()[0] == b"due"
    assert storage.scheduled() == [b"later"]


def test_a_retry_takes_the_place_of_its_message(storage: Storage, owner: int) -> None:
    put(storage, "a")
    first = claim_one(storage, owner)
    retry = message("a", attempt=first.attempt, crashes=1)
    assert settle(storage, first.key, status="retrying", messages=(retry,))
    assert storage.is_live("a")
    second = claim_one(storage, owner)
    assert (second.id, second.attempt, second.crashes) == ("a", 2, 1)
    assert not settle(storage, first.key)
    assert settle(storage, second.key)
    assert not storage.is_live("a")


def test_many_claims_are_settled_at_once_each_in_its_way(storage: Storage, owner: int) -> None:
    put(storage, "done", "back", "crashed", "dead")
    pairs = zip(claim(storage, owner), ENDS, strict=True)
    assert storage.settle([settlement(c.key, end, reason="r") for c, end in pairs], NOW) == [True] * 4
    assert storage.pending() == [b"back", b"crashed"]
    assert [task.id for task in storage.dead()] == ["dead"]
    assert [c.crashes for c in claim(storage, owner)] == [0, 1]


def test_settling_nothing_is_nothing(storage: Storage) -> None:
    assert storage.settle([], NOW) == []


# Fences


def assert_no_effect(storage: Storage, key: ClaimKey) -> None:
    """Settle with a key that does not hold, in every way, and see that nothing at all happens."""
    before = counts(storage), storage.results(), storage.pending()
    for disposition in ENDS:
        effects = {"results": (("fenced", b"x"),), "messages": (message("fenced"),)}
        assert settle(storage, key, disposition, **effects) is False
    assert (counts(storage), storage.results(), storage.pending()) == before
    assert not storage.is_live("fenced")


def test_a_stranger_cannot_settle(storage: Storage, owner: int, stranger: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    assert_no_effect(storage, key._replace(owner=stranger))
    assert settle(storage, key)


def test_another_attempt_cannot_settle(storage: Storage, owner: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    assert_no_effect(storage, key._replace(attempt=key.attempt + 1))
    assert_no_effect(storage, key._replace(attempt=key.attempt - 1))
    assert settle(storage, key)


def test_a_message_that_never_was_cannot_be_settled(storage: Storage, owner: int) -> None:
    assert_no_effect(storage, ClaimKey(1, 1, owner))


def test_a_message_that_was_not_claimed_cannot_be_settled(storage: Storage, owner: int) -> None:
    put(storage, "a")
    seq = claim_one(storage, owner).seq
    assert settle(storage, ClaimKey(seq, 1, owner), Disposition.BACK)
    for attempt in (0, 1, 2):
        assert_no_effect(storage, ClaimKey(seq, attempt, owner))


@pytest.mark.parametrize("disposition", ENDS)
def test_a_claim_ends_once(storage: Storage, owner: int, disposition: Disposition) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    assert settle(storage, key, disposition)
    assert_no_effect(storage, key)


@pytest.mark.parametrize("disposition", [Disposition.BACK, Disposition.CRASHED])
def test_the_claim_before_cannot_end_the_one_after_it(
    storage: Storage, owner: int, disposition: Disposition
) -> None:
    put(storage, "a")
    old = claim_one(storage, owner).key
    assert settle(storage, old, disposition)
    new = claim_one(storage, owner).key
    assert_no_effect(storage, old)
    assert settle(storage, new)


def test_a_claim_ends_once_within_a_batch_of_settlements(storage: Storage, owner: int) -> None:
    put(storage, "a", "b")
    a, b = (claimed.key for claimed in claim(storage, owner))
    twice = [
        settlement(a, results=(("first", b"1"),)),
        settlement(a, Disposition.DEAD, results=(("second", b"2"),), messages=(message("no"),)),
        settlement(b),
    ]
    assert storage.settle(twice, NOW) == [True, False, True]
    assert storage.results() == {"first": b"1"}
    assert counts(storage) == {}


def test_one_lost_claim_does_not_hold_up_the_others(storage: Storage, owner: int) -> None:
    put(storage, "a", "b", "c")
    a, b, c = (claimed.key for claimed in claim(storage, owner))
    assert settle(storage, b, Disposition.BACK)
    every = [settlement(key, results=((str(key.seq), b"x"),)) for key in (a, b, c)]
    assert storage.settle(every, NOW) == [True, False, True]
    assert set(storage.results()) == {str(a.seq), str(c.seq)}
    assert storage.pending() == [b"b"]


def test_a_claim_is_lost_in_a_flush(storage: Storage, owner: int) -> None:
    put(storage, "a")
    old = claim_one(storage, owner).key
    storage.flush()
    assert_no_effect(storage, old)
    put(storage, "b")
    new = claim_one(storage, owner).key
    assert new.seq != old.seq
    assert_no_effect(storage, old)
    assert settle(storage, new)


def test_a_place_in_storage_is_never_used_again(storage: Storage, owner: int) -> None:
    seen = set()
    for number in range(5):
        put(storage, str(number))
        key = claim_one(storage, owner).key
        assert key.seq not in seen
        seen.add(key.seq)
        assert settle(storage, key)
        storage.close()


# A task that was never claimed


def test_apply_stores_the_effects_and_looks_at_no_claim(storage: Storage, owner: int) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    effects = {"results": (("key", b"value"),), "messages": (message("b"), message("c", due=NOW + 1))}
    storage.apply(settlement(key, **effects), NOW)
    assert storage.results() == {"key": b"value"}
    assert (storage.pending(), storage.scheduled()) == ([b"b"], [b"c"])
    assert settle(storage, key)


# Leases


def test_a_claim_expires_at_the_end_of_its_lease(storage: Storage, owner: int, stranger: int) -> None:
    put(storage, "a", "b")
    early = claim_one(storage, owner, limit=1, lease=LEASE)
    late = claim_one(storage, stranger, limit=1, lease=LEASE + 100)
    assert storage.expired(LEASE - 1) == []
    assert storage.expired(LEASE) == [early]
    assert set(storage.expired(LEASE + 100)) == {early, late}


def test_an_expired_claim_holds_until_somebody_takes_it_back(storage: Storage, owner: int) -> None:
    put(storage, "a", "b")
    a, b = claim(storage, owner)
    assert set(storage.expired(LEASE + 1)) == {a, b}
    assert claim(storage, owner) == []
    assert settle(storage, a.key)
    assert settle(storage, b.key, Disposition.CRASHED)
    assert storage.expired(LEASE + 1) == []
    assert not settle(storage, b.key)


def test_extend_moves_all_leases_of_an_owner(storage: Storage, owner: int, stranger: int) -> None:
    put(storage, "a", "b", "c")
    claim(storage, owner, 2)
    other = claim_one(storage, stranger)
    assert storage.extend(owner, LEASE + 50) == 2
    assert storage.expired(LEASE + 49) == [other]
    assert len(storage.expired(LEASE + 50)) == 3
    assert storage.extend(owner + stranger + 1, LEASE) == 0


def test_held_are_the_claims_of_an_owner_as_they_were_made(
    storage: Storage, owner: int, stranger: int
) -> None:
    put(storage, "a", message("b", at_most_once=True, chain=("x",), crashes=1), message("top", priority=5))
    put(storage, "other")
    claims = [*claim(storage, owner, 1), *claim(storage, owner, 2)]
    claim(storage, stranger)
    assert ids(claims) == ["top", "a", "b"]
    assert storage.held(owner) == claims
    put(storage, message("urgent", priority=9))
    urgent = claim_one(storage, owner)
    assert storage.held(owner) == [urgent, *claims]
    settle(storage, claims[1].key)
    assert ids(storage.held(owner)) == ["urgent", "top", "b"]


def test_large_data_may_be_left_out_and_is_read_by_its_key(storage: Storage, owner: int) -> None:
    put(
        storage,
        message("large", data=b"x" * 101),
        message("fits", data=b"y" * 100),
        message("empty", data=b""),
    )
    claims = storage.claim(owner, 3, now=NOW, lease=LEASE, inline=100)
    assert ids(claims) == ["large", "fits", "empty"]
    assert claims[0].data in {None, b"x" * 101}
    assert [one.data for one in claims[1:]] == [b"y" * 100, b""]
    assert storage.held(owner, inline=100) == claims
    assert [one.data for one in storage.held(owner)] == [b"x" * 101, b"y" * 100, b""]
    assert storage.data_of(claims[0].key) == b"x" * 101


def test_data_is_there_for_as_long_as_the_claim_holds(storage: Storage, owner: int, stranger: int) -> None:
    put(storage, message("a", data=b"\x00data"), message("b", data=b""))
    a, b = (claimed.key for claimed in claim(storage, owner))
    assert storage.data_of(a) == b"\x00data"
    assert storage.data_of(b) == b""
    assert storage.data_of(a._replace(owner=stranger)) is None
    assert storage.data_of(a._replace(attempt=2)) is None
    settle(storage, a, Disposition.BACK)
    assert storage.data_of(a) is None
    again = claim_one(storage, owner).key
    assert (storage.data_of(a), storage.data_of(again)) == (None, b"\x00data")
    settle(storage, again)
    storage.flush()
    assert [storage.data_of(key) for key in (a, again, b)] == [None] * 3


def test_claims_outlive_the_registration_of_their_owner(storage: Storage, owner: int) -> None:
    put(storage, "a")
    claimed = claim_one(storage, owner)
    storage.unregister(owner)
    assert storage.held(owner) == [claimed]
    assert storage.register(identity(3)) != owner
    assert settle(storage, claimed.key, Disposition.BACK)


# At most once


@pytest.mark.parametrize(
    ("startable", "claimed"),
    [(None, "a b C d E"), (0, "a b"), (2, "a b"), (3, "a b C d"), (4, "a b C d"), (5, "a b C d E")],
)
def test_a_batch_stops_before_an_at_most_once_task_that_could_not_start(
    storage: Storage, owner: int, startable: int | None, claimed: str
) -> None:
    put(storage, *(message(id, at_most_once=id.isupper()) for id in "abCdE"))
    assert ids(claim(storage, owner, startable=startable)) == claimed.split()
    assert storage.pending_count() == 5 - len(claimed.split())
