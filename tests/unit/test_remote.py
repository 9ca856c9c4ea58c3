"""Exceptions that are raised in threads from outside: in the attempt, and nowhere else."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from liteq.exceptions import TaskInterrupted, TaskStopped, TaskTerminated, TaskTimeout
from liteq.messages import Verdict
from liteq.tasks import Task
from liteq.workers.remote import NEVER, RemoteBrake, ThreadTarget
from liteq.workers.shared import NOT_YET, Board


@pytest.fixture
def switch_often():
    """Threads take turns so often that what one does is interrupted at each of its steps, sooner or later."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def always():
    return True


class Slot:
    """A thread that runs a function between `open` and `close`, again and again."""

    def __init__(self, function, times=1):
        self.board = Board(1)
        self.woken = []
        self.brake = RemoteBrake(self.board, 0, self.woken.append)
        self.caught = []
        self.strays = []
        self.rounds = 0
        self._times = times
        self._function = function
        self._aimed = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        assert self._aimed.wait(60)

    @property
    def is_over(self):
        return not self._thread.is_alive()

    def _work(self):
        self.brake.aim(ThreadTarget())
        self._aimed.set()
        try:
            while self.rounds < self._times:
                self._round()
                self.rounds += 1
        except BaseException as error:  # noqa: BLE001 -- there must be none
            self.strays.append(error)

    def _round(self):
        try:
            try:
                self.brake.open()
                self._function(self)
            finally:
                self.brake.close()
        except (TaskStopped, TaskInterrupted) as error:
            self.caught.append(error)
        self.brake.close()

    def join(self):
        self._thread.join(60)
        assert self.is_over
        assert self.strays == []


def forever(slot):
    slot.begun = True
    while True:
        time.sleep(0.001)


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0)


@pytest.mark.parametrize(
    ("verdict", "kind", "reason"),
    [
        (Verdict.NONE, TaskInterrupted, None),
        (Verdict.TERMINATED, TaskStopped, TaskTerminated),
        (Verdict.TIMEOUT, TaskStopped, TaskTimeout),
    ],
)
def test_what_is_raised_says_why(verdict, kind, reason):
    slot = Slot(forever)
    wait_until(lambda: hasattr(slot, "begun"))
    slot.board.condemn(0, verdict)
    slot.brake.throw(slot.brake.reason(), always)
    slot.join()
    (error,) = slot.caught
    assert type(error).__name__ == kind.__name__
    assert isinstance(error, kind)
    if reason is not None:
        assert isinstance(error.reason, reason)
        assert str(error) == str(error.reason)
        assert isinstance(error.__traceback__.tb_frame.f_code.co_name, str)


def test_nothing_is_raised_if_the_reason_does_not_hold():
    slot = Slot(lambda slot: time.sleep(0.05))
    slot.brake.throw(TaskInterrupted(), lambda: False)
    slot.join()
    assert slot.caught == []


def test_nothing_is_raised_outside_of_an_attempt():
    gate = threading.Event()
    brake = RemoteBrake(Board(1), 0, lambda _: None)
    seen = []

    def work():
        brake.aim(ThreadTarget())
        gate.wait(60)
        seen.append("unharmed")

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: brake._target is not None)
    brake.throw(TaskInterrupted(), always)
    gate.set()
    thread.join(60)
    assert seen == ["unharmed"]


def test_what_comes_at_the_end_of_an_attempt_hits_nothing_else(switch_often):
    """The attempts are as short as can be, and one exception after the other is thrown at them."""
    slot = Slot(lambda slot: sum(range(slot.rounds % 50)), times=10**9)
    for _ in range(1000):
        before = slot.rounds
        slot.brake.throw(TaskInterrupted(), always)
        wait_until(lambda before=before: slot.rounds > before + 3 or slot.is_over)
    slot._times = 0
    slot.join()
    assert slot.caught, "none has come in time"


def guarded(timeout, function):
    def run(slot):
        task = Task(timeout=timeout)
        task.start_timer()
        with slot.brake(task):
            function(slot)

    return run


def ring_until_over(slot):
    while not slot.is_over:
        if slot.brake.rings_at <= time.monotonic():
            slot.brake.ring()
        time.sleep(0.0005)
    slot.join()


def test_a_timeout():
    slot = Slot(guarded(0.05, forever))
    ring_until_over(slot)
    (error,) = slot.caught
    assert isinstance(error, TaskStopped)
    assert str(error) == "timeout 0.05s"
    assert slot.woken
    assert slot.board.deadline(0) != NOT_YET
    assert slot.brake.rings_at == NEVER


def test_a_timeout_rings_once():
    slot = Slot(guarded(0.01, lambda slot: forever_but_deaf()))
    wait_until(lambda: slot.brake.rings_at <= time.monotonic())
    slot.brake.ring()
    assert slot.brake.rings_at == NEVER
    slot.join()


def forever_but_deaf():
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        try:
            time.sleep(0.01)
        except TaskStopped:
            continue


def test_a_task_that_ends_in_time_is_left_alone_and_so_is_the_next():
    slot = Slot(guarded(0.002, lambda slot: time.sleep(0.0019)), times=300)
    ring_until_over(slot)
    assert slot.rounds == 300
    assert all(isinstance(error, TaskStopped) for error in slot.caught)


def test_a_process_that_a_task_forks_does_not_write_on_the_board():
    board = Board(1)
    brake = RemoteBrake(board, 0, lambda _: None)
    brake.forget_board()
    brake.no_limit()
    assert board.deadline(0) == NOT_YET
