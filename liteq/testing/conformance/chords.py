"""Chords: the ends of members, kept once each, and the callback that they let go."""

from __future__ import annotations

import random
from typing import Any

import pytest

from liteq.messages import ClaimKey, Disposition, EndKind, Join, MemberEnd, Outcome, Revocation, Settlement
from liteq.storage.base import Storage
from liteq.testing.conformance.building import (
    NOW,
    SECOND,
    at_once,
    claim,
    claim_one,
    counts,
    ids,
    message,
    put,
    settle,
)

VALUE, ERROR, SKIPPED = EndKind


def put_chord(storage: Storage, size: int, **columns: Any) -> None:
    """Members "m0", "m1" … and their callback "c"."""
    members = [message(f"m{position}", joins=("c", position)) for position in range(size)]
    put(storage, *members, message("c", gathers=size, **columns))


def join(position: int, value: bytes = b"", kind: EndKind = VALUE, chord: str = "c") -> Join:
    return Join(chord, position, kind, value)


def end(storage: Storage, owner: int, id: str, *joins: Join, **rest: Any) -> bool:
    """Claim a message by its id and end it."""
    return settle(storage, claim_one(storage, owner, only=id).key, joins=joins, **rest)


def test_the_envelope_travels(storage: Storage, owner: int) -> None:
    put(storage, message("m", chain=("n",), joins=("ünï", 7)), message("c", gathers=1, chain=("d",)), "plain")
    member, plain = claim(storage, owner)
    assert (member.chain, member.joins, member.gathers) == (("n",), ("ünï", 7), None)
    assert (plain.chain, plain.joins, plain.gathers) == ((), None, None)
    assert counts(storage) == {"claimed": 2, "waiting": 1}
    assert storage.held(owner) == [member, plain]


def test_a_callback_waits_for_every_member(storage: Storage, owner: int) -> None:
    put_chord(storage, 3, chain=("next",))
    assert counts(storage) == {"ready": 3, "waiting": 1}
    assert storage.is_live("next")
    for position in (2, 0):
        end(storage, owner, f"m{position}", join(position, b"v%d" % position))
        assert counts(storage)["waiting"] == 1
        assert storage.is_live("c")
    end(storage, owner, "m1", join(1, b"e", ERROR), now=NOW + 5)
    assert counts(storage) == {"ready": 1}
    callback = claim_one(storage, owner)
    assert (callback.id, callback.gathers, callback.attempt) == ("c", 3, 1)
    assert storage.ends_of(callback.key) == [
        MemberEnd(VALUE, b"v0", NOW), MemberEnd(ERROR, b"e", NOW + 5), MemberEnd(VALUE, b"v2", NOW)
    ]  # fmt: skip
    assert settle(storage, callback.key)
    assert counts(storage) == {}
    assert not storage.is_live("c")
    assert not storage.is_live("next")


def test_a_callback_is_no_work_while_it_waits(storage: Storage, owner: int) -> None:
    put(storage, message("c", gathers=1), message("later", gathers=1, due=NOW + 1))
    assert (storage.pending(), storage.scheduled(), storage.next_due()) == ([], [], None)
    assert claim(storage, owner, now=NOW + SECOND) == []
    assert storage.take_due(NOW + SECOND) == []
    assert storage.waiting_count() == 2


def test_a_callback_of_nobody_is_ready(storage: Storage, owner: int) -> None:
    put(storage, message("c", gathers=0))
    assert storage.ends_of(claim_one(storage, owner).key) == []


def test_all_ends_in_one_batch(storage: Storage, owner: int) -> None:
    put_chord(storage, 4)
    claims = claim(storage, owner)
    settlements = [
        Settlement(one.key, Outcome(Disposition.DONE, "complete", joins=(join(number, b"%d" % number),)))
        for number, one in enumerate(claims)
    ]
    assert storage.settle(settlements, NOW) == [True] * 4
    assert [value for _, value, _ in storage.ends_of(claim_one(storage, owner).key) or []] == [
        b"0",
        b"1",
        b"2",
        b"3",
    ]


def test_it_keeps_its_priority_and_place(storage: Storage, owner: int) -> None:
    put_chord(storage, 1, priority=5)
    put(storage, "later", message("top", priority=9))
    end(storage, owner, "m0", join(0))
    assert ids(claim(storage, owner)) == ["top", "c", "later"]


@pytest.mark.parametrize(("due", "state"), [(NOW + 1, "scheduled"), (NOW, "ready"), (None, "ready")])
def test_with_the_last_end_it_is_ready_or_scheduled(
    storage: Storage, owner: int, due: int | None, state: str
) -> None:
    put_chord(storage, 1, due=due)
    end(storage, owner, "m0", join(0, b"v"))
    assert counts(storage) == {state: 1}
    callback = claim_one(storage, owner, now=NOW + 1)
    assert storage.ends_of(callback.key) == [MemberEnd(VALUE, b"v", NOW)]


# Once


def test_the_first_end_of_a_member_counts(storage: Storage, owner: int) -> None:
    put_chord(storage, 2)
    end(storage, owner, "m0", join(0, b"first"))
    for _ in range(3):
        storage.apply(
            Settlement(ClaimKey(0, 0, 0), Outcome(Disposition.DONE, "complete", joins=(join(0, b"again"),))),
            NOW,
        )
    assert counts(storage) == {"ready": 1, "waiting": 1}
    end(storage, owner, "m1", join(1, b"other"), join(1, b"again"))
    callback = claim_one(storage, owner)
    assert [value for _, value, _ in storage.ends_of(callback.key) or []] == [b"first", b"other"]


def test_a_lost_claim_ends_no_member(storage: Storage, owner: int) -> None:
    put_chord(storage, 1)
    key = claim_one(storage, owner).key
    settle(storage, key, Disposition.BACK)
    assert not settle(storage, key, joins=(join(0),))
    assert counts(storage) == {"ready": 1, "waiting": 1}


def test_an_end_after_the_last_one_changes_nothing(storage: Storage, owner: int) -> None:
    put_chord(storage, 1)
    end(storage, owner, "m0", join(0, b"v"))
    callback = claim_one(storage, owner)
    put(storage, "late")
    end(storage, owner, "late", join(0, b"late"), join(1, b"late"))
    assert storage.ends_of(callback.key) == [MemberEnd(VALUE, b"v", NOW)]
    settle(storage, callback.key)
    put(storage, "later")
    end(storage, owner, "later", join(0, b"late"))
    assert counts(storage) == {}


def test_an_end_for_nobody_changes_nothing(storage: Storage, owner: int) -> None:
    put(storage, "a")
    end(storage, owner, "a", join(0, chord="nobody"))
    put(storage, "nobody")
    assert counts(storage) == {"ready": 1}


def test_a_dead_member_that_is_revived_changes_nothing(storage: Storage, owner: int) -> None:
    put_chord(storage, 2)
    end(storage, owner, "m0", join(0, b"dead", ERROR), disposition=Disposition.DEAD)
    storage.revive(["m0"])
    end(storage, owner, "m0", join(0, b"alive"))
    assert storage.waiting_count() == 1
    end(storage, owner, "m1", join(1, b"v"))
    callback = claim_one(storage, owner)
    assert storage.ends_of(callback.key) == [MemberEnd(ERROR, b"dead", NOW), MemberEnd(VALUE, b"v", NOW)]


# Every attempt at a callback


@pytest.mark.parametrize("disposition", [Disposition.BACK, Disposition.CRASHED, Disposition.DEAD])
def test_the_ends_are_there_for_each_attempt(storage: Storage, owner: int, disposition: Disposition) -> None:
    put_chord(storage, 1)
    end(storage, owner, "m0", join(0, b"v"))
    for _ in range(3):
        key = claim_one(storage, owner).key
        assert storage.ends_of(key) == [MemberEnd(VALUE, b"v", NOW)]
        settle(storage, key, disposition)
        assert storage.ends_of(key) is None
        storage.revive(["c"])
    assert storage.ends_of(claim_one(storage, owner).key) == [MemberEnd(VALUE, b"v", NOW)]


def test_a_callback_that_is_taken_out_takes_the_ends_along(storage: Storage, owner: int) -> None:
    put_chord(storage, 1, due=NOW + 1)
    put(storage, message("plain", due=NOW + 1))
    end(storage, owner, "m0", join(0, b"v"))
    (callback, plain) = sorted(storage.take_due(NOW + 1))
    assert (callback.data, callback.ends) == (b"c", [MemberEnd(VALUE, b"v", NOW)])
    assert plain.ends is None
    assert not storage.is_live("c")


def test_a_revoked_callback_is_claimed_as_revoked(storage: Storage, owner: int) -> None:
    storage.revoke("r:c", Revocation())
    put_chord(storage, 1)
    end(storage, owner, "m0", join(0))
    assert claim_one(storage, owner).revoked


# Chords in chords


def test_a_chord_may_be_a_member(storage: Storage, owner: int) -> None:
    put(
        storage,
        message("a", joins=("inner", 0)),
        message("inner", gathers=1, joins=("outer", 1)),
        message("b", joins=("outer", 0)),
        message("outer", gathers=2),
    )
    end(storage, owner, "b", join(0, b"b", chord="outer"))
    end(storage, owner, "a", join(0, b"a", chord="inner"))
    assert counts(storage) == {"ready": 1, "waiting": 1}
    inner = claim_one(storage, owner)
    assert (inner.gathers, inner.joins) == (1, ("outer", 1))
    settle(storage, inner.key, joins=(join(1, b"inner", chord="outer"),))
    outer = claim_one(storage, owner)
    assert [value for _, value, _ in storage.ends_of(outer.key) or []] == [b"b", b"inner"]


# All or nothing


@pytest.mark.parametrize("at", ["once", "twice"])
def test_a_second_callback_of_the_same_id_is_refused(storage: Storage, at: str) -> None:
    callback = message("c", gathers=1)
    if at == "twice":
        put(storage, callback)
    with pytest.raises(ValueError, match="c is waiting already"):
        put(storage, "a", *([callback] if at == "twice" else [callback, callback]))
    assert counts(storage) == ({"waiting": 1} if at == "twice" else {})
    assert not storage.is_live("a")


def test_the_id_is_free_again_when_it_does_not_wait_any_more(storage: Storage, owner: int) -> None:
    put_chord(storage, 1)
    end(storage, owner, "m0", join(0, b"first"))
    put_chord(storage, 1)
    end(storage, owner, "m0", join(0, b"second"))
    first, second = claim(storage, owner)
    assert storage.ends_of(first.key) == [MemberEnd(VALUE, b"first", NOW)]
    assert storage.ends_of(second.key) == [MemberEnd(VALUE, b"second", NOW)]


def test_flush_ends_chords_too(storage: Storage, owner: int) -> None:
    put_chord(storage, 2)
    end(storage, owner, "m0", join(0))
    key = claim_one(storage, owner).key
    storage.flush()
    assert counts(storage) == {}
    assert not storage.is_live("c")
    assert not settle(storage, key, joins=(join(1),))
    put_chord(storage, 2)
    assert counts(storage) == {"ready": 2, "waiting": 1}
    end(storage, owner, "m0", join(0))
    assert storage.waiting_count() == 1


def test_queues_do_not_mix(storage: Storage, neighbour: Storage, owner: int) -> None:
    put_chord(storage, 1)
    put_chord(neighbour, 1)
    end(storage, owner, "m0", join(0))
    assert counts(storage) == {"ready": 1}
    assert counts(neighbour) == {"ready": 1, "waiting": 1}
    neighbour.flush()
    assert storage.ends_of(claim_one(storage, owner).key) == [MemberEnd(VALUE, b"", NOW)]


# By id


def test_a_claim_of_one_id_leaves_the_others(storage: Storage, owner: int) -> None:
    put(storage, message("a", priority=9), message("b", priority=-3), "c", message("b", priority=1))
    assert claim(storage, owner, 1, only="nobody") == []
    one = claim_one(storage, owner, only="b", limit=1)
    assert (one.id, one.priority) in {("b", -3), ("b", 1)}
    assert len(claim(storage, owner, only="b")) == 1
    assert ids(claim(storage, owner)) == ["a", "c"]


# At once


@pytest.mark.parametrize("_", range(5))
def test_many_who_end_members_at_once_let_it_go_once(storage: Storage, owner: int, _: int) -> None:
    size = 24
    put_chord(storage, size)
    claims = claim(storage, owner)
    random.shuffle(claims)

    def work(index: int) -> None:
        for one in claims[index::4]:
            position = int(one.id[1:])
            settle(storage, one.key, joins=(join(position, one.id.encode()),))

    at_once(4, work)
    assert counts(storage) == {"ready": 1}
    callback = claim_one(storage, owner)
    ends = storage.ends_of(callback.key) or []
    assert [value for _, value, _ in ends] == [b"m%d" % position for position in range(size)]
