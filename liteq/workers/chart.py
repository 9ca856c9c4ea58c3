"""What is known of the health of one worker."""

from __future__ import annotations

import logging

from liteq import clock
from liteq.identity import standstill
from liteq.workers.memory import PrivateMemory
from liteq.workers.pool import Attempt, Worker
from liteq.workers.shared import NEVER, NOT_YET, Board

logger = logging.getLogger("huey.consumer")

_UNREAD = clock.SECOND // 2
"""A worker that has not begun what it was given for so long may be standing still ..."""
_LONG = 5 * clock.SECOND
"""... and so may one that has been at it for so long."""


class Chart:
    """One worker, from look to look.

    Args:
        worker: the worker.
        board: tells what it is at.
        memory: of its process; None: it does not matter.
    """

    def __init__(self, worker: Worker, board: Board, memory: PrivateMemory | None) -> None:
        self._worker = worker
        self._board = board
        self._memory = memory
        self._warned: Attempt | None = None
        self._attempt: Attempt | None = None
        self._since = 0
        self._zombie = False
        self._look_at_state = 0
        self.runs = 0
        """How many tasks it had been given at the last look."""

    @property
    def attempt(self) -> Attempt | None:
        """What it is at; None if it is at nothing that it was given by this dispatcher."""
        attempt = self._board.read(self._worker.index)
        return attempt if attempt in self._worker.in_hand else None

    def memory(self, now: int) -> int:
        """Bytes that it has for itself, exact only above the limit."""
        return 0 if self._memory is None else self._memory.measure(now)

    def has_halted_or_goes_on(self, now: int) -> bool:
        """Whether it has been found to stand still, or not to do so any more."""
        worker = self._worker
        if not worker.halted and (not self._is_suspicious(now) or now < self._look_at_state):
            return False
        self._look_at_state = now + _LONG
        state = standstill(worker.pid)
        if state == "zombie" and not self._zombie:
            self._zombie = True  # it may have died this moment
            self._look_at_state = 0
            return False
        halted = state != ""
        if halted == worker.halted:
            return False
        worker.halted = halted
        if halted:
            logger.warning("Worker %d (pid %d) is %s: %s", worker.index + 1, worker.pid, state, self._doing())
        else:
            logger.info("Worker %d (pid %d) goes on", worker.index + 1, worker.pid)
        return True

    def _is_suspicious(self, now: int) -> bool:
        if not self._worker.in_hand:
            return False
        patience = _UNREAD if self.attempt is None else _LONG
        return now - self._worker.last_report >= patience

    def _doing(self) -> str:
        claim = self._worker.in_hand.get(self.attempt or (0, 0))
        if claim is None:
            return "what it was given goes to others"
        return f"task {claim.id} ({claim.name}) does not go on; the others that it was given go to others"

    def warn_of_length(self, now: int, after: int) -> None:
        """Say once that a task without a timeout has run for longer than `after` (microseconds; 0: never)."""
        attempt = self.attempt
        if attempt != self._attempt:
            # It began when the one before it ended, or when it was given to a worker that had nothing to do.
            self._attempt, self._since = attempt, self._worker.last_report
        length = now - self._since
        if not after or attempt is None or attempt == self._warned or length < after:
            return
        claim = self._worker.in_hand[attempt]
        if self._board.deadline(self._worker.index) in {NOT_YET, NEVER}:
            self._warned = attempt
            logger.warning(
                "Task %s (%s) has been running for %d s, in worker %d (pid %d), and has no timeout",
                claim.id, claim.name, length // clock.SECOND, self._worker.index + 1, self._worker.pid,
            )  # fmt: skip
