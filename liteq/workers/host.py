"""A process of several workers, which are threads or greenlets.

Towards the dispatcher each of them is a worker like any other, with a line and an entry on the board of its
own. The main thread runs no tasks: it waits for signals, for the supervisor and for the ends of timeouts, and
is the only one to raise exceptions in the others.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from liteq import clock
from liteq.api import Huey
from liteq.greenlets import is_patched
from liteq.workers.control import Control
from liteq.workers.forks import let_go
from liteq.workers.greenlets import GreenletTarget, go_on_alone
from liteq.workers.memory import PrivateMemory
from liteq.workers.options import ConsumerOptions
from liteq.workers.orders import Stop
from liteq.workers.process import ignore
from liteq.workers.remote import NEVER, RemoteBrake, Target, ThreadTarget
from liteq.workers.rings import Rings
from liteq.workers.shared import Board
from liteq.workers.worker import Line, Worker

logger = logging.getLogger("huey.worker")


class Host:
    """Runs the workers of a process until all have ended.

    Args:
        huey: the application's queue.
        options: the consumer's options.
        control: the line to the supervisor.
        lines: of the workers, to the dispatcher.
        first: the index of the first worker on the board.
        board: where they tell what they are at.
        rings: where they report.
    """

    def __init__(
        self,
        huey: Huey,
        options: ConsumerOptions,
        control: Control,
        lines: Sequence[Line],
        first: int,
        board: Board,
        rings: Rings,
    ) -> None:
        self._control = control
        self._first = first
        self._wakes_at = NEVER
        self._interrupted = False
        self._started = threading.Semaphore(0)
        # Wakes the main thread. A signal that reaches another one would not do so by itself.
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        memory = None if options.max_memory is None else PrivateMemory(os.getpid(), options.max_memory)
        lease = int(options.lease * clock.SECOND)
        self._members = [
            Member(huey, index, line, board, rings, lease, memory, self)
            for index, line in enumerate(lines, first)
        ]
        self._left = set(self._members)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._reader, selectors.EVENT_READ, self._was_woken)
        self._selector.register(control.fileno(), selectors.EVENT_READ, self._listen)

    def install(self) -> None:
        """Have SIGTERM end what the workers are at, but not the processes that tasks fork."""
        signal.signal(signal.SIGTERM, self._note_interrupt)
        if signal.getsignal(signal.SIGALRM) == signal.SIG_DFL:
            # An alarm that a task has set and forgotten would kill the process.
            signal.signal(signal.SIGALRM, ignore)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        let_go(self._forget)

    def _note_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupted = True

    def _forget(self) -> None:
        """In a process that a task has forked."""
        signal.set_wakeup_fd(-1)
        for member in self._members:
            member.brake.forget_board()
        if is_patched():
            go_on_alone()

    def start(self) -> None:
        """Start the workers, and wait until each is ready."""
        for member in self._members:
            member.start()
        for _ in self._members:
            self._started.acquire()

    def run(self) -> None:
        """Wait until all workers have ended.

        Raises:
            OSError: if a task has closed what the process needs.
        """
        while self._left:
            self._wakes_at = NEVER  # whoever sets an alarm from here on wakes this thread
            self._wakes_at = min(member.brake.rings_at for member in self._members)
            timeout = None if self._wakes_at == NEVER else max(0.0, self._wakes_at - time.monotonic())
            for key, _ in self._selector.select(timeout):
                key.data()
            if self._interrupted:
                self._interrupted = False
                for member in self._members:
                    member.interrupt()
            now = time.monotonic()
            for member in self._members:
                if member.brake.rings_at <= now:
                    member.brake.ring()

    def _was_woken(self) -> None:
        os.read(self._reader, 4096)

    def _listen(self) -> None:
        received = self._control.receive()
        if received is None:  # the supervisor is gone; the dispatcher sees the workers to their end
            self._selector.unregister(self._control.fileno())
        elif isinstance(received[0], Stop):
            order = received[0]
            self._members[order.entry - self._first].stop(order.attempt)

    # Called by the workers

    def is_ready(self) -> None:
        """One of them is."""
        self._started.release()

    def has_ended(self, member: Member) -> None:
        """One of them has."""
        self._left.discard(member)
        self._poke()

    def alarm_set(self, at: float) -> None:
        """One of them wants `ring` to be called then."""
        if at < self._wakes_at:
            self._poke()

    def _poke(self) -> None:
        with suppress(BlockingIOError):  # it is full of the same
            os.write(self._writer, b"\0")


class Member:
    """One of the workers of a process.

    Args:
        huey: the application's queue.
        index: its number in the consumer.
        line: to the dispatcher.
        board: where it tells what it is at.
        rings: where it reports.
        lease: microseconds for which a claim is sure to hold after it was handed out.
        memory: of the process, if there is a limit.
        host: is told of its start, its alarms and its end.
    """

    def __init__(
        self,
        huey: Huey,
        index: int,
        line: Line,
        board: Board,
        rings: Rings,
        lease: int,
        memory: PrivateMemory | None,
        host: Host,
    ) -> None:
        self._huey = huey
        self._index = index
        self._line = line
        self._board = board
        self._host = host
        self.brake = RemoteBrake(board, index, host.alarm_set)
        self._worker = Worker(huey, index, line, board, rings, lease, self.brake, memory)
        self._thread = threading.Thread(target=self._work, name=f"Worker-{index + 1}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _work(self) -> None:
        try:
            self.brake.aim(self._target())
            self._huey.hooks.startup.run()
            self._host.is_ready()
            self._worker.work()
            self._huey.hooks.shutdown.run()
            self._host.has_ended(self)
        except BaseException:
            logger.exception("Worker %d can't go on, and its process ends", self._index + 1)
            os._exit(1)

    def _target(self) -> Target:
        return GreenletTarget() if is_patched() else ThreadTarget()

    # Called by the main thread

    def interrupt(self) -> None:
        """It is to end, and not to go on with what it is at."""
        self.brake.stopping = self.brake.hung_up = True
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RD)  # it may wait there
        self.brake.throw(self.brake.reason(), lambda: True)

    def stop(self, attempt: tuple[int, int]) -> None:
        """It is not to go on with this attempt."""
        self.brake.throw(self.brake.reason(), lambda: self._board.read(self._index) == attempt)
