"""Rate limits and counters."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from liteq.storage.base import Instant, Storage
from liteq.testing.conformance.building import NOW, PATIENCE, at_once, message

START = Instant("boot-1", 1_000_000, NOW)


def later(microseconds: int, start: Instant = START) -> Instant:
    return Instant(start.boot, start.ticks + microseconds, start.wall + microseconds)


def hit(storage: Storage, now: Instant = START, limit: int = 3, per: int = 100, name: str = "limit") -> int:
    return storage.hit(name, limit=limit, per=per, clock=lambda: now)


def test_so_many_and_no_more(storage: Storage) -> None:
    assert [hit(storage) for _ in range(5)] == [0, 0, 0, 100, 100]


def test_it_says_when_there_is_room_again(storage: Storage) -> None:
    for moment in (0, 10, 20):
        assert hit(storage, later(moment)) == 0
    assert hit(storage, later(30)) == 70
    assert hit(storage, later(99)) == 1
    assert hit(storage, later(100)) == 0
    assert hit(storage, later(100)) == 10


def test_what_is_refused_does_not_count(storage: Storage) -> None:
    for moment in range(0, 90, 10):
        hit(storage, later(moment))
    assert storage.hits("limit", per=100, now=later(99)) == 3
    assert [hit(storage, later(100 + moment)) for moment in (0, 10, 20)] == [0, 0, 0]


def test_how_many_there_were(storage: Storage) -> None:
    for moment in (0, 10, 20):
        hit(storage, later(moment))
    usage = [storage.hits("limit", per=100, now=later(moment)) for moment in (20, 99, 100, 119, 120)]
    assert usage == [3, 3, 2, 1, 0]
    assert storage.hits("other", per=100, now=START) == 0


def test_names_and_queues_have_limits_of_their_own(storage: Storage, neighbour: Storage) -> None:
    assert [hit(storage, limit=1), hit(storage, limit=1, name="é"), hit(neighbour, limit=1)] == [0, 0, 0]
    assert [hit(storage, limit=1), hit(storage, limit=1, name="é"), hit(neighbour, limit=1)] == [100] * 3
    assert storage.clear_hits("limit") is True
    assert storage.clear_hits("limit") is False
    assert [hit(storage, limit=1), hit(storage, limit=1, name="é"), hit(neighbour, limit=1)] == [0, 100, 100]


def test_a_flush_forgets_them(storage: Storage, neighbour: Storage) -> None:
    for queue in (storage, neighbour):
        hit(queue, limit=1)
        queue.incr("key")
    storage.flush()
    assert (hit(storage, limit=1), hit(neighbour, limit=1)) == (0, 100)
    assert (storage.counter("key"), neighbour.counter("key")) == (0, 1)


def test_another_limit_holds_at_once(storage: Storage) -> None:
    for moment in range(5):
        assert hit(storage, later(moment), limit=5) == 0
    assert hit(storage, later(5), limit=2) == 98
    assert hit(storage, later(5), limit=7) == 0
    assert hit(storage, later(6), limit=7) == 0
    assert hit(storage, later(7), limit=7) == 93


def test_the_wall_clock_does_not_matter_in_one_boot(storage: Storage) -> None:
    hit(storage, limit=1)
    assert hit(storage, Instant("boot-1", START.ticks + 40, NOW - 10**12), limit=1) == 60
    assert hit(storage, Instant("boot-1", START.ticks + 40, NOW + 10**12), limit=1) == 60
    assert hit(storage, Instant("boot-1", START.ticks + 100, NOW - 10**12), limit=1) == 0


@pytest.mark.parametrize("boot", ["boot-0", "boot-2"])
def test_across_a_boot_the_wall_clock_tells(storage: Storage, boot: str) -> None:
    hit(storage, limit=1)
    assert hit(storage, Instant(boot, 5, NOW + 60), limit=1) == 40
    assert storage.hits("limit", per=100, now=Instant(boot, 5, NOW + 60)) == 1
    # Set back meanwhile: at least the time since the boot is certain.
    assert hit(storage, Instant(boot, 30, NOW - 10**12), limit=1) == 70
    assert hit(storage, Instant(boot, 100, NOW - 10**12), limit=1) == 0


def monotonic() -> Instant:
    now = time.monotonic_ns() // 1000
    return Instant("boot", now, now)


def test_the_clock_is_read_when_the_hit_has_its_turn(storage: Storage, second: Storage) -> None:
    """Not before it has waited for others to commit: its age must not begin earlier."""
    read: list[Instant] = []
    waits = threading.Event()

    def clock() -> Instant:
        read.append(monotonic())
        waits.set()
        return read[-1]

    with ThreadPoolExecutor(1) as pool:
        with second.batch():
            second.put([message("a")], NOW)
            assert second.pending_count() == 1  # whoever has looked at what it did holds the queue
            made = pool.submit(storage.hit, "limit", limit=1, per=100, clock=clock)
            waits.wait(0.2)  # some backends do not look before it is their turn
            time.sleep(0.01)
            committing = monotonic()
        assert made.result(PATIENCE) == 0
    assert read[-1].ticks >= committing.ticks


def test_no_span_holds_too_many_whoever_makes_them(storage: Storage) -> None:
    per, limit, end = 20_000, 7, monotonic().ticks + 400_000
    made: list[int] = []

    def work(_: int) -> None:
        read = []

        def clock() -> Instant:
            read.append(monotonic())
            return read[-1]

        while monotonic().ticks < end or len(made) <= limit:  # a backend may be slow
            wait = storage.hit("limit", limit=limit, per=per, clock=clock)
            assert 0 <= wait <= per
            if not wait:
                made.append(read[-1].ticks)

    at_once(8, work)
    made.sort()
    assert all(later - earlier >= per for earlier, later in zip(made, made[limit:], strict=False))


def test_old_hits_take_no_room(storage: Storage) -> None:
    for moment in range(50):
        assert hit(storage, later(moment), limit=5, per=5) == 0
    assert storage.hits("limit", per=10**9, now=later(50)) == 5


def test_hits_that_are_over_are_pruned(storage: Storage) -> None:
    for moment in range(5):
        hit(storage, later(moment), limit=10)
        hit(storage, Instant("boot-0", 50 + moment, NOW + moment), limit=10, name="earlier boot")
        hit(storage, Instant("boot-2", 50 + moment, NOW + moment), limit=10, name="other boot")
    prune = storage.prune
    assert prune(100, now=later(99), monotonic=0) == 0
    assert prune(4, now=later(101), monotonic=0) == 4
    assert prune(100, now=later(101), monotonic=0) == 2
    assert prune(100, now=later(1000), monotonic=0) == 9
    assert prune(100, now=later(1000), monotonic=0) == 0


def test_a_limit_holds_after_pruning(storage: Storage) -> None:
    for moment in (0, 50, 90):
        assert hit(storage, later(moment)) == 0
    storage.prune(100, now=later(120), monotonic=0)
    assert hit(storage, later(120)) == 0
    assert hit(storage, later(120)) == 30


# Counters


def test_a_counter_begins_at_nothing(storage: Storage) -> None:
    assert storage.counter("key") == 0
    assert storage.incr("key") == 1
    assert storage.incr("key", 41) == 42
    assert storage.incr("key", -50) == storage.counter("key") == -8
    assert storage.incr("key", 0) == -8


def test_counters_are_their_own(storage: Storage, neighbour: Storage) -> None:
    storage.put_result("key", b"value")
    assert [storage.incr("key"), neighbour.incr("key"), storage.incr("clé ✓")] == [1, 1, 1]
    assert storage.peek_result("key") == b"value"
    assert storage.delete_counter("key") is True
    assert storage.delete_counter("key") is False
    assert (storage.counter("key"), neighbour.counter("key"), storage.result_count()) == (0, 1, 1)


def test_a_counter_holds_64_bits(storage: Storage) -> None:
    largest = 2**63 - 1
    assert storage.incr("up", largest) == largest
    with pytest.raises(OverflowError):
        storage.incr("up")
    assert storage.incr("down", -largest) == -largest
    assert storage.incr("down", -1) == -(2**63)
    with pytest.raises(OverflowError):
        storage.incr("down", -1)
    assert (storage.counter("up"), storage.counter("down")) == (largest, -(2**63))


def test_no_count_is_lost(storage: Storage) -> None:
    seen = sum(at_once(8, lambda _: [storage.incr("key") for _ in range(50)]), [])
    assert sorted(seen) == list(range(1, 401))
