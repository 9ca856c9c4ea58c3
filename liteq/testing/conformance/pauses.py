"""Pauses: what is paused waits in its place."""

from __future__ import annotations

import pytest

from liteq.messages import Disposition
from liteq.testing.conformance.building import NOW, claim, counts, ids, message, put, settle

_EMPTY_CLAIMS = 5
"""After so many in a row there is nothing: one of them need not look past all that is paused."""


def drain(storage, owner, limit: int = 64, calls: int = 10_000) -> list[str]:
    """Claim and settle until there is nothing, as a consumer does that is woken when there may be more."""
    drained, empty = [], 0
    for _ in range(calls):
        claims = claim(storage, owner, limit)
        for claimed in claims:
            settle(storage, claimed.key)
        drained += ids(claims)
        empty = 0 if claims else empty + 1
        if empty > _EMPTY_CLAIMS:
            return drained
    raise AssertionError("it does not end")


def test_pausing_says_whether_it_changed_anything(storage, neighbour):
    assert storage.paused() == frozenset()
    assert [storage.pause("a"), storage.pause("a"), storage.pause(None), storage.pause(None)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert storage.paused() == {"a", None}
    assert neighbour.paused() == frozenset()
    assert [storage.resume("b"), storage.resume(None), storage.resume(None)] == [False, True, False]
    assert storage.paused() == {"a"}


def test_nothing_is_claimed_of_a_paused_queue(storage, neighbour, owner):
    put(storage, "a", message("due", due=NOW - 1 + 1), message("later", due=NOW + 5))
    put(neighbour, "n")
    storage.pause(None)
    assert claim(storage, owner) == []
    assert storage.top_priority() is None
    put(storage, message("b", priority=1))
    assert claim(storage, owner, now=NOW + 5) == []
    assert storage.next_due() is None, "what is due is ready, so that nobody waits for it again and again"
    assert counts(storage) == {"ready": 4}
    assert ids(claim(neighbour, owner)) == ["n"]
    storage.resume(None)
    assert ids(claim(storage, owner)) == ["b", "a", "due", "later"]


def test_a_paused_name_lets_the_others_pass(storage, owner):
    put(storage, message("a1", name="a", priority=5), message("b1", name="b"), message("a2", name="a"))
    storage.pause("a")
    assert ids(claim(storage, owner)) == ["b1"]
    put(storage, message("a3", name="a"), message("b2", name="b"))
    assert ids(claim(storage, owner)) == ["b2"]
    assert storage.pending_count() == 3
    assert storage.pending() == [b"a1", b"a2", b"a3"]
    assert storage.pending(2) == [b"a1", b"a2"]
    assert storage.is_live("a1")


def test_what_was_paused_returns_to_its_place(storage, owner):
    put(
        storage,
        message("a1", name="a"), message("b1", name="b"), message("a2", name="a", priority=3),
        message("b2", name="b", priority=3), message("a3", name="a"), message("c1", name="c"),
    )  # fmt: skip
    storage.pause("a")
    storage.pause("c")
    assert ids(claim(storage, owner, 1)) == ["b2"]
    put(storage, message("b3", name="b", priority=3))
    assert storage.resume("a")
    assert storage.pending() == [b"a2", b"b3", b"a1", b"b1", b"a3", b"c1"]
    assert ids(claim(storage, owner)) == ["a2", "b3", "a1", "b1", "a3"]
    storage.resume("c")
    assert ids(claim(storage, owner)) == ["c1"]


def test_attempts_and_crashes_are_kept(storage, owner):
    put(storage, "a")
    for _ in range(2):
        (claimed,) = claim(storage, owner)
        settle(storage, claimed.key, Disposition.CRASHED, status="crashed")
    storage.pause("app.task")
    assert claim(storage, owner) == []
    storage.resume("app.task")
    (claimed,) = claim(storage, owner)
    assert (claimed.attempt, claimed.crashes) == (3, 2)


def test_what_comes_back_while_its_name_is_paused_waits_too(storage, owner):
    put(storage, "back", "crash", "dead")
    back, crash, dead = claim(storage, owner)
    storage.pause("app.task")
    settle(storage, back.key, Disposition.BACK)
    settle(storage, crash.key, Disposition.CRASHED, status="crashed")
    settle(storage, dead.key, Disposition.DEAD, status="dead")
    storage.revive(["dead"])
    put(storage, message("due", due=NOW + 1))
    assert claim(storage, owner, now=NOW + 2) == []
    assert counts(storage) == {"ready": 4}
    storage.resume("app.task")
    assert ids(claim(storage, owner)) == ["back", "crash", "dead", "due"]


def test_claims_that_are_held_go_on(storage, owner):
    put(storage, "a")
    (claimed,) = claim(storage, owner)
    storage.pause(None)
    assert storage.extend(owner, 1) == 1
    assert settle(storage, claimed.key, results=(("a", b"1"),))
    assert storage.peek_result("a") == b"1"


def test_a_queue_and_a_name_are_resumed_apart(storage, owner):
    put(storage, message("a", name="a"), message("b", name="b"))
    storage.pause("a")
    claim(storage, owner, 1)
    storage.pause(None)
    storage.resume("a")
    assert claim(storage, owner) == []
    storage.resume(None)
    assert ids(claim(storage, owner)) == ["a"]


def test_pauses_outlast_a_flush_and_what_was_parked_does_not(storage, owner):
    put(storage, "a")
    storage.pause("app.task")
    claim(storage, owner)
    storage.flush()
    assert storage.paused() == {"app.task"}
    assert counts(storage) == {}
    storage.resume("app.task")
    assert claim(storage, owner) == []
    put(storage, "b")
    assert ids(claim(storage, owner)) == ["b"]


def test_many_are_set_aside_and_brought_back_in_steps_and_in_order(storage, owner, many):
    put(storage, *(message(f"a{i}", name="a", priority=i % 3) for i in range(many)))
    put(storage, *(message(f"b{i}", name="b", priority=1) for i in range(100)))
    storage.pause("a")
    assert drain(storage, owner) == [f"b{i}" for i in range(100)]
    assert storage.pending_count() == many
    storage.resume("a")
    put(storage, message("late", name="b", priority=1))
    expected = sorted(range(many), key=lambda i: (-(i % 3), i))
    order = [f"a{i}" for i in expected]
    order.insert(sum(i % 3 >= 1 for i in range(many)), "late")
    assert drain(storage, owner) == order


def test_paused_again_before_all_are_back(storage, owner, many):
    put(storage, *(message(f"a{i}", name="a") for i in range(many)))
    storage.pause("a")
    assert drain(storage, owner) == []
    storage.resume("a")
    first = ids(claim(storage, owner, 10))
    storage.pause("a")
    assert drain(storage, owner) == []
    assert storage.pending_count() == many - 10
    storage.resume("a")
    assert first + drain(storage, owner) == [f"a{i}" for i in range(many)]


@pytest.mark.parametrize("name", [None, "app.task"])
def test_another_connection_sees_it_at_once(storage, second, owner, name):
    put(storage, "a")
    storage.pause(name)
    assert second.paused() == {name}
    assert claim(second, owner) == []
    second.resume(name)
    assert ids(claim(storage, owner)) == ["a"]


@pytest.mark.parametrize("name", [None, "app.task"])
def test_pause_and_resume_wake_consumers(storage, second, name):
    source = second.work_source()
    if source is None:
        pytest.skip("this backend has to be polled here")
    import select

    try:
        for verb in (storage.pause, storage.resume):
            source.drain()
            verb(name)
            assert select.select([source], [], [], 10)[0]
    finally:
        source.close()


def test_those_who_poll_are_told_when_more_is_left(storage, owner, many):
    put(storage, *(message(f"a{i}", name="a") for i in range(many)), message("b", name="b"))
    storage.pause("a")
    for _ in range(many):
        version = storage.version()
        if claims := claim(storage, owner):
            break
        assert storage.version() != version
    assert ids(claims) == ["b"]
