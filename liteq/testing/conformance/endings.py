"""Which tasks have come to their end, and taking back those that nobody has begun."""

from __future__ import annotations

from liteq.messages import Disposition, Revocation
from liteq.storage.base import Storage
from liteq.testing.conformance.building import (
    NOW,
    PATIENCE,
    SECOND,
    at_once,
    claim,
    claim_one,
    counts,
    ids,
    message,
    put,
    settle,
    settlement,
)
from liteq.testing.conformance.queue import ODD_IDS

LATER = NOW + SECOND


def test_what_was_never_put_has_ended(storage: Storage) -> None:
    assert storage.ended(["nobody"]) == {"nobody"}
    assert storage.ended([]) == set()


def test_a_message_has_ended_when_it_is_neither_ready_nor_scheduled_nor_claimed(
    storage: Storage, owner: int
) -> None:
    put(storage, "ready", message("scheduled", due=LATER))
    assert storage.ended(["ready", "scheduled"]) == set()
    key = claim_one(storage, owner).key
    assert storage.ended(["ready", "scheduled"]) == set()
    settle(storage, key, Disposition.BACK)
    assert storage.ended(["ready"]) == set()
    settle(storage, claim_one(storage, owner).key)
    assert storage.ended(["ready", "scheduled"]) == {"ready"}


def test_a_dead_message_has_ended_until_it_is_revived(storage: Storage, owner: int) -> None:
    put(storage, "a")
    settle(storage, claim_one(storage, owner).key, Disposition.DEAD, reason="it was time")
    assert storage.ended(["a"]) == {"a"}
    storage.revive(["a"])
    assert storage.ended(["a"]) == set()


def test_with_a_result_it_has_ended_even_if_it_is_live(storage: Storage) -> None:
    put(storage, "a", "b")
    storage.put_result("b", b"an error that is followed by a retry")
    assert storage.ended(["a", "b"]) == {"b"}


def test_an_expired_result_is_none(storage: Storage) -> None:
    put(storage, "a")
    storage.put_if_empty("a", b"value", now=1, expires=2)
    assert storage.ended(["a"]) == set()


def test_the_stages_of_a_pipeline_are_live_with_it(storage: Storage, owner: int) -> None:
    put(storage, message("a", chain=("b", "c")))
    assert storage.ended(["a", "b", "c", "d"]) == {"d"}
    key = claim_one(storage, owner).key
    assert storage.ended(["a", "b", "c"]) == set()
    settle(storage, key, messages=(message("b", chain=("c",)),))
    assert storage.ended(["a", "b", "c"]) == {"a"}
    settle(storage, claim_one(storage, owner).key, Disposition.DEAD)
    assert storage.ended(["b", "c"]) == {"b", "c"}


def test_ended_says_what_the_single_verbs_say(storage: Storage, owner: int) -> None:
    put(storage, *map(str, range(12)), message("p", chain=("q", "r")), message("s", due=LATER))
    claims = claim(storage, owner, 9)
    for claimed, disposition in zip(claims, [*Disposition, *Disposition], strict=False):
        settle(storage, claimed.key, disposition, results=(("0", b"x"), ("11", b"y")))
    asked = [*map(str, range(14)), "p", "q", "r", "s"]
    one_by_one = {id for id in asked if storage.peek_result(id) is not None or not storage.is_live(id)}
    assert storage.ended(asked) == one_by_one
    assert "11" in one_by_one
    assert "10" not in one_by_one


def test_ended_of_many(storage: Storage) -> None:
    live = [f"live-{number}" for number in range(3_000)]
    gone = [f"gone-{number}" for number in range(3_000)]
    put(storage, *live)
    assert storage.ended(live + gone) == set(gone)


def test_queues_do_not_see_each_other_s(storage: Storage, neighbour: Storage) -> None:
    put(storage, "a", message("b", chain=("c",)))
    put(neighbour, "d")
    assert neighbour.ended(["a", "b", "c", "d"]) == {"a", "b", "c"}
    assert neighbour.withdraw(["a", "b"]) == set()
    assert storage.pending_count() == 2


def test_claimed_is_what_a_consumer_holds(storage: Storage, neighbour: Storage, owner: int) -> None:
    put(storage, "a", message("b", due=LATER))
    assert not storage.is_claimed("a")
    key = claim_one(storage, owner).key
    assert storage.is_claimed("a")
    assert not neighbour.is_claimed("a")
    assert not storage.is_claimed("b")
    assert not storage.is_claimed("nobody")
    settle(storage, key)
    assert not storage.is_claimed("a")


# Withdrawing


def test_what_is_ready_or_scheduled_can_be_withdrawn(storage: Storage, owner: int) -> None:
    put(storage, "a", "b", message("c", due=LATER), message("d", due=LATER), message("e", priority=7))
    assert storage.withdraw(["a", "c", "e", "nobody"]) == {"a", "c", "e"}
    assert counts(storage) == {"ready": 1, "scheduled": 1}
    assert storage.ended(["a", "b", "c", "d", "e"]) == {"a", "c", "e"}
    assert storage.withdraw(["a", "c", "e"]) == set()
    assert ids(claim(storage, owner, now=LATER)) == ["b", "d"]


def test_withdrawing_nothing(storage: Storage) -> None:
    put(storage, "a")
    assert storage.withdraw([]) == set()
    assert counts(storage) == {"ready": 1}


def test_what_is_claimed_or_dead_is_left_alone(storage: Storage, owner: int) -> None:
    put(storage, "dead", "claimed")
    dead, claimed = claim(storage, owner)
    settle(storage, dead.key, Disposition.DEAD, reason="why")
    assert storage.withdraw(["dead", "claimed"]) == set()
    assert counts(storage) == {"claimed": 1, "dead": 1}
    assert settle(storage, claimed.key, results=(("claimed", b"value"),))


def test_what_came_back_can_be_withdrawn(storage: Storage, owner: int) -> None:
    put(storage, "back", "crashed", "retried")
    for claimed in claim(storage, owner):
        if claimed.id == "retried":
            again = (message("retried", due=LATER, attempt=1),)
            settle(storage, claimed.key, status="retrying", messages=again)
        else:
            settle(storage, claimed.key, Disposition[claimed.id.upper()])
    assert storage.withdraw(["back", "crashed", "retried"]) == {"back", "crashed", "retried"}
    assert counts(storage) == {}


def test_all_messages_of_an_id_are_withdrawn(storage: Storage) -> None:
    put(storage, "a", message("a", due=LATER), message("a", priority=1))
    assert storage.withdraw(["a"]) == {"a"}
    assert counts(storage) == {}


def test_what_others_depend_on_is_left_alone(storage: Storage) -> None:
    put(
        storage,
        message("a", chain=("b",)),
        message("chord", gathers=2),
        message("member", joins=("chord", 0)),
    )
    assert storage.withdraw(["a", "b", "chord", "member"]) == set()
    assert storage.ended(["a", "b", "chord", "member"]) == set()


def test_a_withdrawn_message_leaves_results_and_revocations_as_they_are(storage: Storage) -> None:
    put(storage, "a")
    storage.revoke("r:a", Revocation())
    storage.put_result("a", b"value")
    storage.withdraw(["a"])
    assert storage.revocations(["r:a"]) == {"r:a": Revocation()}
    assert storage.pop_result("a") == b"value"


def test_any_text_may_be_the_id(storage: Storage) -> None:
    put(storage, *ODD_IDS)
    assert storage.ended(ODD_IDS) == set()
    assert storage.withdraw(ODD_IDS) == set(ODD_IDS)
    assert storage.ended(ODD_IDS) == set(ODD_IDS)


def test_whoever_waits_is_woken_by_a_withdrawal(storage: Storage) -> None:
    put(storage, "a")
    wakeup = storage.results_wakeup()
    ticket = wakeup.ticket()
    storage.withdraw(["a"])
    assert wakeup.wait(ticket, PATIENCE)


def test_a_message_is_either_claimed_or_withdrawn(storage: Storage, owner: int) -> None:
    """Never both, whoever is first."""
    names = [str(number) for number in range(200)]
    put(storage, *names)

    def work(index: int) -> set[str]:
        if index % 2:
            return {id for number in range(0, 200, 5) for id in storage.withdraw(names[number : number + 5])}
        taken: set[str] = set()
        while claims := claim(storage, owner, 7):
            taken.update(claimed.id for claimed in claims)
            storage.settle([settlement(claimed.key) for claimed in claims], NOW)
        return taken

    sets = at_once(4, work)
    assert sum(map(len, sets)) == 200
    assert set().union(*sets) == set(names)
    assert counts(storage) == {}
