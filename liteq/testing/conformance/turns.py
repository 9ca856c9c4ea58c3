"""What a consumer does all the time, in one step: settle, claim, see what is due next."""

from __future__ import annotations

import pytest

from liteq import clock
from liteq.messages import Disposition
from liteq.storage.base import ClaimOrder, Storage, Turn
from liteq.testing.conformance.building import (
    LEASE,
    NOW,
    claim,
    claim_one,
    counts,
    ids,
    message,
    put,
    settlement,
)

LASTS = 60 * clock.SECOND


def turn(storage: Storage, owner: int, *settlements, order: ClaimOrder | None = None, now: int = NOW) -> Turn:
    return storage.turn(owner, settlements, order, now)


def test_a_turn_without_anything_to_do(storage, owner):
    assert turn(storage, owner)[:3] == ([], [], None)
    put(storage, "a", message("later", due=NOW + 5))
    assert turn(storage, owner)[:3] == ([], [], NOW + 5)
    assert counts(storage) == {"ready": 1, "scheduled": 1}


def test_a_turn_settles_and_then_claims(storage, owner):
    put(storage, "a", "b", "c")
    first, second = claim(storage, owner, 2)
    done = settlement(first.key, results=(("a", b"x"),), messages=(message("next"),))
    back = settlement(second.key, Disposition.BACK)
    held, claims, due, _ = turn(storage, owner, done, back, order=ClaimOrder(2, LASTS))
    assert (held, ids(claims), due) == ([True, True], ["b", "c"], None)
    assert claims == storage.held(owner)
    assert [one.attempt for one in claims] == [2, 1]
    assert storage.results() == {"a": b"x"}
    assert counts(storage) == {"ready": 1, "claimed": 2}


def test_a_turn_says_which_claims_did_not_hold(storage, owner, stranger):
    put(storage, "a", "b")
    lost, kept = claim(storage, owner, 2)
    assert storage.settle([settlement(lost.key, Disposition.BACK)], NOW) == [True]
    again = claim_one(storage, stranger)
    held, claims, _, _ = turn(
        storage,
        owner,
        settlement(lost.key, results=(("a", b"lost"),)),
        settlement(kept.key, results=(("b", b"kept"),)),
        order=ClaimOrder(1, LASTS),
    )
    assert (held, claims) == ([False, True], [])
    assert storage.results() == {"b": b"kept"}
    assert storage.held(stranger) == [again]


def test_a_turn_claims_what_is_due_and_tells_of_the_rest(storage, owner):
    put(storage, message("a", due=NOW + 1), message("b", due=NOW + 2), message("c", due=NOW + 3))
    _, claims, due, _ = turn(storage, owner, order=ClaimOrder(5, LASTS), now=NOW + 2)
    assert (ids(claims), due) == (["a", "b"], NOW + 3)


def test_claims_of_a_turn_last_from_the_moment_at_which_they_are_made(storage, owner):
    put(storage, "a")
    before = clock.monotonic()
    turn(storage, owner, order=ClaimOrder(1, LASTS))
    after = clock.monotonic()
    assert storage.expired(before + LASTS - 1) == []
    assert ids(storage.expired(after + LASTS + 1)) == ["a"]


def test_an_order_says_how_many_and_which(storage, owner):
    once = [message(f"once {number}", at_most_once=True) for number in range(2)]
    put(storage, message("first", data=b"x" * 200), *once, "last")
    _, claims, _, _ = turn(storage, owner, order=ClaimOrder(4, LASTS, startable=2, inline=100))
    assert ids(claims) == ["first", "once 0"]
    assert claims[0].data in {None, b"x" * 200}
    assert storage.data_of(claims[0].key) == b"x" * 200
    assert turn(storage, owner, order=ClaimOrder(0, LASTS)).claims == []


@pytest.mark.parametrize("durable", [True, False])
def test_a_turn_is_seen_by_others(storage, second, owner, durable):
    put(storage, "a")
    done = settlement(claim_one(storage, owner).key, results=(("a", b"x"),))
    put(storage, "b")
    storage.turn(owner, [done], ClaimOrder(1, LASTS), NOW, durable=durable)
    assert (ids(second.held(owner)), second.results()) == (["b"], {"a": b"x"})
    assert second.extend(owner, LEASE) == 1


def test_a_turn_within_a_batch_that_raises_has_not_been(storage, owner):
    if not storage.capabilities.durable:
        pytest.skip("there is nothing to undo in memory")
    put(storage, "a")
    claimed = claim_one(storage, owner)
    put(storage, "b")

    def fail() -> None:
        with storage.batch():
            assert ids(turn(storage, owner, settlement(claimed.key), order=ClaimOrder(1, LASTS)).claims) == [
                "b"
            ]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert storage.held(owner) == [claimed]
    assert counts(storage) == {"ready": 1, "claimed": 1}
