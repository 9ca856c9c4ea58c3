"""Results that expire."""

from __future__ import annotations

from liteq import clock
from liteq.messages import Disposition
from liteq.storage.base import Instant, Storage
from liteq.testing.conformance.building import NOW, claim_one, put, settle, settlement

HOUR = 3600 * clock.SECOND


def prune(storage: Storage, limit: int, now: int) -> int:
    return storage.prune(limit, now=Instant("boot", 0, now), monotonic=0)


def test_nothing_expires_by_default(storage: Storage) -> None:
    assert storage.expire_time is None
    storage.apply(settlement(None, results=(("key", b"value"),)), 0)
    assert storage.peek_result("key") == b"value"
    assert prune(storage, 10, 10**17) == 0


def test_what_was_put_with_an_end_expires(storage: Storage) -> None:
    now = clock.now()
    storage.put_result("over", b"value", expires=now)
    storage.put_result("fresh", b"value", expires=now + HOUR)
    storage.put_result("stays", b"value")
    assert storage.peek_result("over") is None
    assert storage.pop_result("over") is None
    assert storage.results() == {"fresh": b"value", "stays": b"value"}
    assert storage.result_count() == 2


def test_putting_again_sets_the_end_anew(storage: Storage) -> None:
    now = clock.now()
    storage.put_result("a", b"old", expires=now)
    storage.put_result("a", b"new", expires=now + HOUR)
    storage.put_result("b", b"old", expires=now)
    storage.put_result("b", b"new")
    storage.put_result("c", b"old")
    storage.put_result("c", b"new", expires=now)
    assert storage.results() == {"a": b"new", "b": b"new"}


def test_results_of_outcomes_expire_and_values_do_not(storage: Storage, owner: int) -> None:
    storage.expire_time = HOUR
    now = clock.now()
    put(storage, "a", "b")
    for name, when in (("a", now - HOUR), ("b", now - HOUR + 60 * clock.SECOND)):
        key = storage.claim(owner, 1, now=now, lease=0)[0].key
        settle(storage, key, results=((name, b"value"),), now=when)
    storage.apply(settlement(None, results=(("c", b"value"),)), now - HOUR)
    storage.apply(settlement(None, results=(("d", b"value"),)), now)
    storage.put_result("e", b"value")
    assert storage.results() == {"b": b"value", "d": b"value", "e": b"value"}


def test_the_error_of_a_dead_task_expires(storage: Storage, owner: int) -> None:
    storage.expire_time = HOUR
    put(storage, "a")
    key = claim_one(storage, owner).key
    settle(storage, key, Disposition.DEAD, results=(("a", b"error"),), now=clock.now() - HOUR)
    assert storage.results() == {}


def test_pruning_goes_by_steps_and_takes_only_what_is_over(storage: Storage, neighbour: Storage) -> None:
    for number in range(5):
        storage.put_result(str(number), b"value", expires=NOW + number)
    storage.put_result("stays", b"value")
    neighbour.put_result("over", b"value", expires=1)
    assert prune(storage, 2, NOW + 2) == 2
    assert prune(storage, 2, NOW + 2) == 1
    assert prune(storage, 2, NOW + 2) == 0
    assert prune(storage, 9, NOW + 9) == 2
    assert prune(neighbour, 9, NOW) == 1
    assert storage.pop_result("stays") == b"value"


def test_a_value_that_took_the_place_of_an_expired_one_is_not_pruned(storage: Storage) -> None:
    storage.put_result("key", b"old", expires=NOW)
    storage.put_result("key", b"new", expires=NOW + 10)
    assert prune(storage, 9, NOW + 9) == 0
    assert prune(storage, 9, NOW + 10) == 1
