"""What became of tasks: states, the history of attempts, progress."""

from __future__ import annotations

import pytest

from liteq import clock
from liteq.messages import Attempted, ClaimKey, Disposition, Outcome, Revocation, Settlement
from liteq.storage.base import Storage
from liteq.storage.contract.records import Counts, Entry, Progress, Retention, Running, Standing, Start
from liteq.testing.conformance.building import NOW, SECOND, claim, claim_one, counts, message, put, settle

HERE = Attempted(NOW - 3 * SECOND, 2 * SECOND, 4711)


def end(storage: Storage, key: ClaimKey, status: str = "complete", **rest) -> bool:
    disposition = rest.pop("disposition", Disposition.DONE)
    attempted = rest.pop("attempted", None)
    settlement = Settlement(key, Outcome(disposition, status, **rest), attempted)
    return storage.settle([settlement], NOW)[0]


def run(storage: Storage, owner: int, id: str, status: str = "complete", **rest) -> None:
    """Put, claim and end a message, or claim the one that is there again."""
    put(storage, id)
    end(storage, claim_one(storage, owner).key, status, **rest)


# History


@pytest.mark.parametrize("status", ["complete", "error", "retrying", "revoked", "expired"])
def test_an_attempt_that_ends_is_in_the_history(storage, owner, status):
    put(storage, message("a", name="app.other"))
    reason = "" if status == "complete" else "why"
    end(storage, claim_one(storage, owner).key, status, attempted=HERE, reason=reason)
    (entry,) = storage.history()
    assert entry == Entry(
        "a", "app.other", 1, owner, status, NOW - SECOND, 2 * SECOND, 4711, None, None, reason
    )


def test_of_an_attempt_of_which_nothing_is_known_the_end_is(storage, owner):
    run(storage, owner, "a", "revoked")
    assert storage.history() == [Entry("a", "app.task", 1, owner, "revoked", NOW, None, None, None, None, "")]


def test_how_a_worker_ended_is_in_the_history_and_among_the_dead(storage, owner):
    killed = Attempted(NOW - SECOND, SECOND, 4711, -9, 52_000_000)
    put(storage, "a")
    end(storage, claim_one(storage, owner).key, "crashed", attempted=killed, disposition=Disposition.CRASHED)
    end(
        storage, claim_one(storage, owner).key, "crashed",
        attempted=killed._replace(exit_code=1), disposition=Disposition.DEAD, reason="again",
    )  # fmt: skip
    ends = [(entry.attempt, entry.exit_code, entry.peak_memory) for entry in storage.history()]
    assert ends == [(2, 1, 52_000_000), (1, -9, 52_000_000)]
    (dead,) = storage.dead()
    assert (dead.exit_code, dead.peak_memory, dead.crashes, dead.reason) == (1, 52_000_000, 2, "again")


@pytest.mark.parametrize("status", ["released", "scheduled"])
def test_what_never_began_is_no_attempt(storage, owner, status):
    put(storage, "a")
    end(storage, claim_one(storage, owner).key, status, disposition=Disposition.BACK)
    assert storage.history() == []


def test_an_end_that_did_not_hold_is_not_in_the_history(storage, owner):
    put(storage, "a")
    key = claim_one(storage, owner).key
    assert not end(storage, key._replace(attempt=7))
    assert end(storage, key)
    assert not end(storage, key)
    assert len(storage.history()) == 1


def test_the_history_is_asked_for_by_id_by_name_and_to_a_limit(storage, owner):
    for number in range(3):
        put(storage, message("a"), message("b", name="app.other"))
        for claimed in claim(storage, owner):
            end(storage, claimed.key, f"error {number}")
    assert [(e.id, e.status) for e in storage.history(limit=3)] == [
        ("b", "error 2"), ("a", "error 2"), ("b", "error 1"),
    ]  # fmt: skip
    assert {e.id for e in storage.history(id="a")} == {"a"}
    assert [e.status for e in storage.history(1, name="app.other")] == ["error 2"]
    assert storage.history(id="a", name="app.other") == storage.history(id="no") == []
    assert storage.history(limit=0) == []


def test_queues_have_histories_of_their_own(storage, neighbour, owner):
    run(storage, owner, "a")
    run(neighbour, owner, "b", "error")
    run(storage, owner, "c")
    assert [[e.id for e in queue.history()] for queue in (storage, neighbour)] == [["c", "a"], ["b"]]
    storage.flush()
    assert [[e.id for e in queue.history()] for queue in (storage, neighbour)] == [[], ["b"]]
    run(storage, owner, "d")
    assert [[e.id for e in queue.history()] for queue in (storage, neighbour)] == [["d"], ["b"]]


def test_no_history_is_made_where_none_is_kept(storage, owner):
    storage.retention = Retention(0, None)
    run(storage, owner, "a")
    run(storage, owner, "b", "error")
    assert storage.history() == []


def prune_all(storage: Storage, now: int = NOW, limit: int = 2) -> list[int]:
    steps = []
    while step := storage.prune_history(now, limit):
        steps.append(step)
    return steps


def test_pruning_leaves_the_latest(storage, neighbour, owner):
    storage.retention = Retention(3, None)
    run(neighbour, owner, "n")
    for number in range(8):
        run(storage, owner, f"{number}", "error")
    assert all(step <= 2 for step in prune_all(storage))
    assert [entry.id for entry in storage.history()] == ["7", "6", "5"]
    assert [entry.id for entry in neighbour.history()] == ["n"]


def test_pruning_leaves_what_is_young(storage, owner):
    storage.retention = Retention(100, 10 * SECOND)
    for number in range(5):
        ended = Attempted(NOW + number * SECOND, 0, 1)
        run(storage, owner, f"{number}", "error", attempted=ended)
    prune_all(storage, NOW + 12 * SECOND)
    assert [entry.id for entry in storage.history()] == ["4", "3"], "10 seconds are over, for the third"
    prune_all(storage, NOW + 20 * SECOND)
    assert storage.history() == []
    assert prune_all(storage, NOW + 30 * SECOND) == []
    run(storage, owner, "again", "error")
    assert [entry.id for entry in storage.history()] == ["again"]


def test_what_was_kept_goes_when_nothing_is_kept_any_more(storage, owner):
    run(storage, owner, "a")
    storage.retention = Retention(0, None)
    if storage.capabilities.durable:
        assert prune_all(storage) == [1]
        assert storage.history() == []


# States


def test_nothing_is_known_of_an_unknown_id(storage):
    assert storage.standing("a") == Standing("", "", None)


def test_the_states_of_a_message(storage, owner):
    put(storage, message("a", due=NOW + 5))
    assert storage.standing("a").state == "scheduled"
    (claimed,) = claim(storage, owner, now=NOW + 5)
    assert storage.standing("a").state == "claimed"
    settle(storage, claimed.key, Disposition.BACK, status="released")
    assert storage.standing("a") == Standing("ready")
    storage.pause("app.task")
    assert claim(storage, owner) == []
    assert storage.standing("a") == Standing("ready")
    storage.resume("app.task")
    settle(storage, claim_one(storage, owner).key, Disposition.DEAD, status="dead")
    assert storage.standing("a").state == "dead"


@pytest.mark.parametrize("priority", [-3, 0, 5])
@pytest.mark.parametrize("paused", [False, True])
def test_a_message_is_found_ready_whatever_its_priority(storage, owner, priority, paused):
    put(storage, message("a", priority=priority))
    if paused:
        storage.pause("app.task")
        claim(storage, owner)
    assert storage.standing("a").state == "ready"


def test_a_message_that_waits_tells_how_its_last_attempt_ended(storage, owner):
    put(storage, "a")
    retry = message("a", due=NOW + 5, attempt=1)
    end(storage, claim_one(storage, owner).key, "retrying", messages=(retry,))
    assert storage.standing("a") == Standing("scheduled", "retrying")
    (claimed,) = claim(storage, owner, now=NOW + 5)
    assert claimed.attempt == 2
    end(storage, claimed.key)
    assert storage.standing("a") == Standing("", "complete")
    put(storage, "a")
    assert storage.standing("a") == Standing("ready", "complete"), "and not the failure before it"


def test_the_last_message_of_an_id_counts(storage, owner):
    put(storage, "a")
    settle(storage, claim_one(storage, owner).key, Disposition.DEAD, status="dead")
    put(storage, "a")
    assert storage.standing("a").state == "ready"


def test_a_later_stage_waits(storage, owner):
    put(storage, message("a", chain=("b", "c")))
    assert storage.standing("c").state == "chained"
    settle(storage, claim_one(storage, owner).key)
    assert storage.standing("c") == Standing()


@pytest.mark.parametrize("status", ["complete", "error", "revoked"])
def test_what_has_ended_tells_how(storage, owner, status):
    run(storage, owner, "a", status, results=(("a", b"value"),))
    assert storage.standing("a") == Standing("", status, None)


def test_the_result_tells_where_the_history_does_not(storage, owner):
    storage.retention = Retention(0, None)
    run(storage, owner, "a", results=(("a", b"value"),))
    assert storage.standing("a") == Standing("", "", b"value")


def test_a_result_that_has_expired_tells_nothing(storage):
    storage.put_result("a", b"value", expires=clock.now())
    assert storage.standing("a") == Standing()


def test_counts(storage, owner):
    put(storage, "a", "b", "c", message("d", due=NOW + 5), message("e", name="app.other", priority=9))
    settle(storage, claim(storage, owner, 2)[0].key, Disposition.DEAD, status="dead")
    storage.pause("app.task")
    assert storage.counts() == Counts(ready=2, scheduled=1, claimed=1, dead=1)
    assert claim(storage, owner) == []
    assert storage.counts() == Counts(ready=2, scheduled=1, claimed=1, dead=1)


# Dead messages


def test_dead_messages_are_deleted_by_id(storage, owner):
    put(storage, "a", "b", "c")
    for claimed in claim(storage, owner):
        settle(storage, claimed.key, Disposition.DEAD, status="dead")
    put(storage, "a")
    storage.revoke("r:b", Revocation())
    assert storage.delete_dead(["a", "b", "unknown"]) == 2
    assert [dead.id for dead in storage.dead()] == ["c"]
    assert counts(storage) == {"ready": 1, "dead": 1}, "a living one of the same id is not touched"
    assert storage.revocations(["r:b"]) == {}
    assert storage.revive(["b"]) == 0


def test_dead_messages_are_deleted_by_age_in_steps(storage, neighbour, owner):
    put(storage, *"abcde")
    for number, claimed in enumerate(claim(storage, owner)):
        settle(storage, claimed.key, Disposition.DEAD, status="dead", now=NOW + number)
    assert [storage.delete_dead_before(NOW + 3, 2) for _ in range(3)] == [2, 1, 0]
    assert [dead.id for dead in storage.dead()] == ["e", "d"]
    assert neighbour.delete_dead_before(NOW + 99, 9) == 0


# Running


def test_claims_that_have_begun_come_first(storage, owner):
    put(storage, "a", "b", "c")
    a, b, c = claim(storage, owner)
    storage.note_starts([Start(c.key, NOW, 11), Start(b.key, NOW - 5, 12)])
    storage.note_starts([Start(a.key._replace(owner=99), NOW, 13)])
    assert storage.running() == [
        Running("b", "app.task", 1, owner, NOW - 5, 12, None),
        Running("c", "app.task", 1, owner, NOW, 11, None),
        Running("a", "app.task", 1, owner, None, None, None),
    ]
    assert [row.id for row in storage.running(1)] == ["b"]
    settle(storage, b.key)
    settle(storage, c.key, Disposition.BACK)
    (again,) = claim(storage, owner)
    assert [(row.id, row.attempt, row.started) for row in storage.running()] == [
        ("a", 1, None), ("c", 2, None),
    ]  # fmt: skip
    assert again.id == "c"


# Progress


def test_progress_is_there_until_the_claim_ends(storage, owner):
    put(storage, "a", "b")
    a, b = claim(storage, owner)
    half = Progress(1, 2, "½", NOW)
    assert storage.progress("a") is None
    assert storage.set_progress(a.key, Progress(0.5, None, "", NOW))
    assert storage.set_progress(a.key, half)
    assert storage.progress("a") == half
    assert isinstance(storage.progress("a").done, int)
    assert storage.progress("b") is None
    assert [row.progress for row in storage.running()] == [half, None]
    settle(storage, a.key, Disposition.BACK)
    assert storage.progress("a") is None
    (again,) = claim(storage, owner)
    assert storage.progress("a") is None
    assert not storage.set_progress(a.key, half), "the first attempt is over"
    assert storage.set_progress(again.key, half)
    settle(storage, b.key)
    assert storage.progress("a") == half
    storage.flush()
    assert storage.progress("a") is None


def test_progress_of_two_messages_of_one_id(storage, owner):
    put(storage, "a", "a")
    first, second = claim(storage, owner)
    storage.set_progress(first.key, Progress(1, None, "", NOW))
    storage.set_progress(second.key, Progress(2, None, "", NOW))
    assert storage.progress("a").done == 2


def test_the_moment_is_the_clock_s(storage, owner):
    put(storage, "a")
    key = claim_one(storage, owner).key
    before = clock.now()
    storage.set_progress(key, Progress(1, None, "", clock.now()))
    assert storage.progress("a").at >= before
