"""The rings of reports: written by workers, read by dispatchers, whoever of them dies."""

import os
import random
import signal
import time

import pytest

from liteq.workers import rings as rings_module
from liteq.workers.rings import QUIET, SIZE, Doorbell, Rings

from .running import in_child


def report(number, size=0):
    return f"{number} ".encode() + b"x" * size


def numbers(reports):
    return [int(one.split()[0]) for one in reports]


def test_it_begins_empty():
    rings = Rings(2)
    assert rings.take_over() == rings.read(0) == rings.read(1) == rings.left(0) == []
    assert not rings.has_news(0)


def test_what_was_written_is_read_once_and_left_until_it_is_committed():
    rings = Rings(2)
    written = [report(1), report(2, 60_000), b"", report(3)]
    for one in written:
        assert rings.write(1, one)
    assert rings.has_news(1)
    assert not rings.has_news(0)
    assert rings.read(0) == []
    assert rings.read(1) == written
    assert not rings.has_news(1)
    assert rings.read(1) == []
    assert rings.left(1) == written
    rings.commit()
    assert rings.left(1) == []


def test_a_commit_is_of_what_was_read():
    rings = Rings(1)
    rings.write(0, report(1))
    rings.read(0)
    rings.write(0, report(2))
    rings.commit()
    assert numbers(rings.left(0)) == numbers(rings.read(0)) == [2]


def test_the_next_dispatcher_reads_what_the_one_before_had_not_committed():
    rings = Rings(3)

    def dispatch():
        rings.write(0, report(1))
        rings.write(2, report(2))
        rings.read(0)
        rings.read(2)
        rings.commit()
        rings.write(0, report(3))
        rings.write(2, report(4))
        rings.read(0)

    in_child(dispatch)
    assert numbers(rings.take_over()) == [3, 4]
    assert rings.read(0) == rings.read(2) == []
    rings.write(0, report(5))
    assert numbers(rings.read(0)) == [5]
    assert numbers(rings.take_over()) == [3, 5, 4]
    rings.commit()
    assert rings.take_over() == []


def test_a_worker_that_dies_leaves_its_reports_and_the_next_goes_on_behind_them():
    rings = Rings(1)
    for number in range(3):
        in_child(lambda number=number: rings.write(0, report(number, 1000)))
    assert numbers(rings.read(0)) == [0, 1, 2]


def killed_in_the_middle(rings, packet):
    """A worker dies when it has written a report, but not yet that there is one."""
    pid = os.fork()
    if not pid:
        rings._set = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        rings.write(0, packet)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("size", [0, 50_000])
def test_half_a_report_is_none(size):
    rings = Rings(1)
    rings.write(0, report(1))
    killed_in_the_middle(rings, report(2, size))
    assert numbers(rings.read(0)) == [1]
    rings.write(0, report(3))
    assert numbers(rings.read(0)) == [3]


def test_there_is_no_room_until_something_is_committed():
    rings = Rings(2)
    count = 0
    while rings.write(0, report(count, 10_000)):
        count += 1
    assert count == SIZE // 10_020
    assert rings.write(1, report(7))
    assert numbers(rings.read(0)) == list(range(count))
    assert not rings.write(0, report(9, 10_000))
    rings.commit()
    assert rings.write(0, report(count, 10_000))
    assert numbers(rings.read(0)) == [count]


def test_the_largest_report_fits_wherever_the_ring_begins():
    rings = Rings(1)
    for start in range(0, SIZE, 9_973):
        packet = random.Random(start).randbytes(65_536)
        assert rings.write(0, packet)
        assert rings.read(0) == [packet]
        rings.commit()


def test_all_that_is_written_arrives_in_order():
    """Two processes, at full speed and round and round."""
    rings, count = Rings(2), 30_000
    pid = os.fork()
    if not pid:
        chance = random.Random(1)
        for number in range(count):
            packet = report(number, chance.choice([0, 10, 100, 5_000]))
            while not rings.write(1, packet):
                time.sleep(0)
        os._exit(0)
    got = []
    try:
        deadline = time.monotonic() + 60
        while len(got) < count and time.monotonic() < deadline:
            got += numbers(rings.read(1))
            rings.commit()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert got == list(range(count))


# Who is rung when


def test_only_a_dispatcher_that_sleeps_is_rung():
    rings = Rings(1)
    assert not rings.is_awaited()
    assert rings.sleep()
    assert rings.is_awaited()
    rings.wake()
    assert not rings.is_awaited()


def test_it_does_not_fall_asleep_over_news():
    rings = Rings(3)
    rings.write(2, report(1))
    assert not rings.sleep()
    assert rings.is_awaited(), "until it has said that it is awake"
    rings.read(2)
    assert rings.sleep()


def test_no_report_is_slept_over():
    """A dispatcher that is about to sleep and a worker that reports: one of them sees the other."""
    rings = Rings(1)
    ready, awake = os.pipe(), os.pipe()
    pid = os.fork()
    count = 20_000
    if not pid:
        for number in range(count):
            os.read(ready[0], 1)
            rings.write(0, report(number))
            os.write(awake[1], b"r" if rings.is_awaited() else b"-")
        os._exit(0)
    slept_over = 0
    try:
        for number in range(count):
            os.write(ready[1], b"x")
            for _ in range(number % 50):
                pass
            asleep = rings.sleep()
            rang = os.read(awake[0], 1) == b"r"
            slept_over += asleep and not rang
            rings.wake()
            assert numbers(rings.read(0)) == [number]
            rings.commit()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in (*ready, *awake):
            os.close(fd)
    assert slept_over == 0


def test_a_worker_with_nothing_more_to_do_always_rings():
    doorbell = Doorbell()
    assert all(doorbell.is_due(now, now, more=False) for now in (10**6, 10**6 + 1, 10**6 + 2))


def test_a_worker_with_more_to_do_rings_now_and_then():
    doorbell, start = Doorbell(), 10**6
    rang = [at for at in range(start, start + 10 * QUIET, 20) if doorbell.is_due(at, at, more=True)]
    assert rang == list(range(start, start + 10 * QUIET, QUIET))


def test_nothing_is_written_in_silence_long_after_a_ring():
    """What the dispatcher relies on when it looks once more, and then not again."""
    doorbell, chance, now, could_be_read = Doorbell(), random.Random(7), 10**6, 0
    for _ in range(10_000):
        before = now = now + chance.choice([1, 50, 400, QUIET, 5_000])
        now += chance.choice([0, 0, 1, QUIET, 5_000])  # it may stand still at any step
        if doorbell.is_due(before, now, more=chance.random() < 0.9):
            could_be_read = before
        else:
            assert now - could_be_read < QUIET


def test_a_word_has_the_size_that_processors_store_as_a_whole():
    """Byte by byte, the other side might read numbers that were never there; that it is so, no test shows."""
    assert rings_module.Rings(1)._words.itemsize == 8
