"""The result store, and the wait for something to appear in it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from liteq import clock
from liteq.storage.base import Storage
from liteq.testing.conformance.building import (
    NOW,
    PATIENCE,
    at_once,
    claim_one,
    message,
    put,
    settle,
)
from liteq.testing.conformance.fixtures import Change

KEYS = ["key", "clé ✓ 𝄞", "", "r:a", "'\"\\"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [b"", b"\x00\xff", os.urandom(1_000_000)], ids=["empty", "bytes", "1MB"])
def test_a_value_comes_back_byte_for_byte(storage: Storage, key: str, value: bytes) -> None:
    storage.put_result(key, value)
    assert storage.peek_result(key) == value
    assert storage.results() == {key: value}
    assert storage.pop_result(key) == value


def test_what_is_not_there(storage: Storage) -> None:
    assert storage.peek_result("key") is None
    assert storage.pop_result("key") is None
    assert storage.delete_result("key") is False


def test_peek_leaves_the_value_and_pop_removes_it(storage: Storage) -> None:
    storage.put_result("key", b"value")
    assert storage.peek_result("key") == storage.peek_result("key") == b"value"
    assert storage.pop_result("key") == b"value"
    assert storage.pop_result("key") is None
    assert storage.result_count() == 0


def test_put_replaces(storage: Storage) -> None:
    storage.put_result("key", b"old")
    storage.put_result("key", b"new")
    assert storage.results() == {"key": b"new"}


@pytest.mark.parametrize("value", [b"value", b""])
def test_delete_tells_whether_there_was_one(storage: Storage, value: bytes) -> None:
    storage.put_result("key", value)
    assert storage.delete_result("key") is True
    assert storage.delete_result("key") is False


def test_results_and_their_count(storage: Storage) -> None:
    for number in range(3):
        storage.put_result(str(number), b"%d" % number)
    assert storage.results() == {"0": b"0", "1": b"1", "2": b"2"}
    assert storage.result_count() == 3


def test_put_if_empty_stores_the_first_only(storage: Storage) -> None:
    assert storage.put_if_empty("key", b"first", now=NOW) is True
    assert storage.put_if_empty("key", b"second", now=NOW) is False
    assert storage.peek_result("key") == b"first"
    storage.delete_result("key")
    assert storage.put_if_empty("key", b"third", now=NOW) is True


@pytest.mark.parametrize("value", [b"", b"value"])
def test_put_if_empty_respects_what_was_put(storage: Storage, value: bytes) -> None:
    storage.put_result("key", value)
    assert storage.put_if_empty("key", b"other", now=NOW) is False
    assert storage.peek_result("key") == value


def test_put_if_empty_replaces_what_has_expired(storage: Storage) -> None:
    assert storage.put_if_empty("key", b"first", now=NOW, expires=NOW + 10)
    assert not storage.put_if_empty("key", b"second", now=NOW + 9, expires=NOW + 1000)
    assert storage.put_if_empty("key", b"third", now=NOW + 10)
    assert not storage.put_if_empty("key", b"fourth", now=NOW + 10**12)


def test_an_expired_value_is_not_there(storage: Storage) -> None:
    now = clock.now()
    for key in ("a", "b", "c"):
        storage.put_if_empty(key, b"old", now=now - 2, expires=now - 1)
    storage.put_if_empty("fresh", b"value", now=now, expires=now + 3600 * clock.SECOND)
    assert storage.peek_result("a") is None
    assert storage.pop_result("b") is None
    assert storage.delete_result("c") is False
    assert storage.results() == {"fresh": b"value"}
    assert storage.result_count() == 1
    assert storage.pop_result("fresh") == b"value"


def test_a_value_that_is_put_over_an_expiring_one_stays(storage: Storage) -> None:
    now = clock.now()
    storage.put_if_empty("key", b"old", now=now - 2, expires=now - 1)
    storage.put_result("key", b"new")
    assert storage.peek_result("key") == b"new"


# Waiting


def wait_while(storage: Storage, make_change: Callable[[], object]) -> bool:
    """What a thread that waits gets, when the change is made once it has taken its ticket."""
    wakeup = storage.results_wakeup()
    ready = threading.Event()
    woken: list[bool] = []

    def run() -> None:
        ticket = wakeup.ticket()
        ready.set()
        woken.append(wakeup.wait(ticket, PATIENCE))

    waiter = threading.Thread(target=run)
    waiter.start()
    assert ready.wait(PATIENCE)
    make_change()
    waiter.join(PATIENCE * 2)
    return woken == [True]


def test_a_waiter_is_woken(storage: Storage, owner: int, change: Change) -> None:
    for _ in range(5):
        put(storage, "a")
        key = claim_one(storage, owner).key
        storage.delete_result("key")
        assert wait_while(storage, lambda key=key: change(storage, key))
        settle(storage, key)


def test_a_waiter_is_woken_by_another_connection(
    storage: Storage, second: Storage, owner: int, change: Change
) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    assert wait_while(storage, lambda: change(second, key))


def test_every_waiter_is_woken(storage: Storage) -> None:
    wakeup = storage.results_wakeup()
    start = threading.Barrier(9)

    def work(index: int) -> bool:
        ticket = wakeup.ticket()
        start.wait(PATIENCE)
        if index == 8:
            storage.put_result("key", b"value")
            return True
        return wakeup.wait(ticket, PATIENCE)

    for _ in range(30):  # some of them find the others asleep
        assert at_once(9, work) == [True] * 9


def test_a_change_after_the_ticket_ends_a_wait_at_once(storage: Storage, owner: int, change: Change) -> None:
    put(storage, "a")
    key = claim_one(storage, owner).key
    wakeup = storage.results_wakeup()
    ticket = wakeup.ticket()
    change(storage, key)
    started = clock.monotonic()
    assert wakeup.wait(ticket, PATIENCE)
    assert clock.monotonic() - started < PATIENCE * clock.SECOND / 3


def test_a_wait_ends_after_its_timeout(storage: Storage) -> None:
    wakeup = storage.results_wakeup()
    assert wakeup.watching in {True, False}
    ticket = wakeup.ticket()
    started = clock.monotonic()
    assert wakeup.wait(ticket, 0.05) is False
    assert clock.monotonic() - started >= 0.045 * clock.SECOND
    storage.put_result("key", b"value")
    assert wakeup.wait(ticket, PATIENCE) is True


def test_the_result_is_there_when_the_waiter_looks(storage: Storage, owner: int) -> None:
    for round_ in range(20):
        put(storage, message("a"))
        key = claim_one(storage, owner).key
        found: list[bytes | None] = []
        ready = threading.Event()

        def get(ready: threading.Event = ready, found: list[bytes | None] = found) -> None:
            wakeup = storage.results_wakeup()
            while True:
                ticket = wakeup.ticket()
                ready.set()
                value = storage.pop_result("key")
                if value is not None or not wakeup.wait(ticket, PATIENCE):
                    found.append(value)
                    return

        getter = threading.Thread(target=get)
        getter.start()
        assert ready.wait(PATIENCE)
        assert settle(storage, key, results=(("key", b"%d" % round_),))
        getter.join(PATIENCE * 2)
        assert found == [b"%d" % round_]
