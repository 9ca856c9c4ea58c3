"""What the dispatcher finds out about its workers; these are real processes, and their line is played."""

from __future__ import annotations

import os
import signal

import pytest

from liteq import clock
from liteq.messages import Claim, Verdict
from liteq.storage.memory import MemoryStorage
from liteq.workers.health import Health
from liteq.workers.options import ConsumerOptions
from liteq.workers.pool import Pool, Worker
from liteq.workers.process import fork
from liteq.workers.shared import NEVER, Board
from liteq.workers.wire import packet_pair

SECOND = clock.SECOND
LOGGER = "huey.consumer"


def claim(seq):
    return Claim(seq, 1, 1, f"id{seq}", "app.task", b"", 0, 0, at_most_once=False, revoked=False)


def wait(told, megabytes):
    kept = bytearray(b"x") * (megabytes << 20)
    os.write(told, b".")
    signal.pause()
    return len(kept)


class Ward:
    """Workers that wait, each in a process, and what looks after them."""

    def __init__(self, number=1, megabytes=0, **options):
        self.pool = Pool(None)
        self.board = Board(number)
        self.health = Health(MemoryStorage("huey"), 1, self.board, ConsumerOptions(**options))
        self.workers = []
        self._ends = []
        for index in range(number):
            line, far = packet_pair()
            ready, told = os.pipe()
            pid = fork(lambda told=told: wait(told, megabytes))
            os.read(ready, 1)
            os.close(ready)
            os.close(told)
            self.workers.append(Worker(index + 1, index, pid, line, far.dup(), self.board))
            self._ends.append(far)
            self.pool.add(self.workers[-1])

    def give(self, worker, seq, now=0, *, begun=True, deadline=NEVER):
        worker.hand_out([claim(seq)], now)
        if begun:
            self.board.write(worker.index, seq, 1, 1)
            self.board.limit(worker.index, deadline)

    def look(self, now):
        return [(worker, verdict) for worker, verdict, _ in self.health.look(self.pool, now)]

    def end(self):
        for worker, far in zip(self.workers, self._ends, strict=True):
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            worker.close()
            far.close()


@pytest.fixture
def ward():
    wards = []

    def build(*arguments, **options):
        wards.append(Ward(*arguments, **options))
        wards[-1].look(SECOND)  # which finds nothing to do
        return wards[-1]

    yield build
    for one in wards:
        one.end()


@pytest.fixture
def told(caplog):
    caplog.set_level("INFO", LOGGER)
    return lambda: [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_who_has_nothing_to_do_is_not_looked_at(ward):
    healthy = ward(3)
    assert healthy.health.next_look(healthy.pool) is None


def test_who_has_something_to_do_is_looked_at_once_a_second(ward):
    healthy = ward()
    healthy.give(healthy.workers[0], 1, now=2 * SECOND)
    healthy.look(3 * SECOND)
    assert healthy.health.next_look(healthy.pool) == 4 * SECOND


def test_a_long_task_is_told_of_once_and_the_next_one_again(ward, told):
    slow = ward(warn_after=10)
    (worker,) = slow.workers
    slow.give(worker, 1, now=2 * SECOND)
    slow.look(11 * SECOND)
    assert told() == []
    slow.look(13 * SECOND)
    slow.look(60 * SECOND)
    assert told() == [
        f"Task id1 (app.task) has been running for 11 s, in worker 1 (pid {worker.pid}), and has no timeout"
    ]
    worker.in_hand.clear()
    worker.last_report = 60 * SECOND
    slow.give(worker, 2, now=60 * SECOND)
    slow.look(61 * SECOND)
    slow.look(71 * SECOND)
    assert len(told()) == 2


def test_no_warning_of_what_has_a_timeout_nor_if_it_is_switched_off(ward, told):
    bounded = ward(warn_after=10)
    bounded.give(bounded.workers[0], 1, deadline=10**9 * SECOND)
    off = ward(warn_after=0)
    off.give(off.workers[0], 1)
    for now in (10, 20, 10**6):
        bounded.look(now * SECOND)
        off.look(now * SECOND)
    assert told() == []


def test_a_worker_that_stands_still_gets_nothing_until_it_goes_on(ward, told):
    two = ward(2)
    halted, other = two.workers
    os.kill(halted.pid, signal.SIGSTOP)
    os.waitpid(halted.pid, os.WUNTRACED)
    two.give(halted, 1, now=2 * SECOND, begun=False)
    two.give(other, 2, now=2 * SECOND, begun=False)
    assert two.look(3 * SECOND) == [(halted, Verdict.NONE)]
    assert (halted.room, two.pool.idle()) == (0, 0)
    assert told() == [f"Worker 1 (pid {halted.pid}) is stopped: what it was given goes to others"]
    assert two.look(4 * SECOND) == []
    os.kill(halted.pid, signal.SIGCONT)
    os.waitpid(halted.pid, os.WCONTINUED)
    assert two.look(5 * SECOND) == [(halted, Verdict.NONE)]
    assert not halted.halted
    assert told()[1:] == [f"Worker 1 (pid {halted.pid}) goes on"]


def test_the_old_are_replaced_one_after_the_other(ward, told):
    aging = ward(2, max_age=100)
    first, second = aging.workers
    first.since, second.since = 1, 0
    assert aging.look(99 * SECOND) == []
    assert aging.health.next_look(aging.pool) == 100 * SECOND
    assert aging.look(101 * SECOND) == [(second, Verdict.NONE)]
    assert (first.retiring, second.retiring) == (False, True)
    assert aging.look(101 * SECOND + 1) == []
    assert aging.health.next_look(aging.pool) == 102 * SECOND
    assert aging.look(102 * SECOND) == [(first, Verdict.NONE)]
    assert told()[0] == f"Worker 2 (pid {second.pid}) is 101 s old: it is replaced"


def test_only_a_running_task_is_stopped_for_its_memory(ward, told):
    small = ward(2, megabytes=30, max_memory=10 << 20)
    idle, busy = small.workers
    small.give(busy, 1, now=2 * SECOND)
    idle.handed_out += 1
    assert small.look(3 * SECOND) == [(busy, Verdict.MEMORY)]
    busy.condemned = True
    assert small.look(4 * SECOND) == []
    assert len(told()) == 1, "the limit is below what a worker needs"
    assert "before its first task, more than --max-memory 10 MB" in told()[0]
