"""Which workers have to be stopped, or to give back tasks: for a timeout, or because of a revocation."""

from __future__ import annotations

from collections.abc import Iterator

from liteq import clock
from liteq.messages import Verdict
from liteq.storage.base import Storage
from liteq.workers.pool import Pool, Worker
from liteq.workers.shared import NEVER, NOT_YET, Board

_LOOK_AGAIN = 50_000


class Watchdog:
    """Reads the deadlines on the board, each worker's once a task has lasted for a moment.

    Args:
        storage: tells which claims were revoked.
        owner: the consumer's id in storage.
        board: tells what each worker is at, and until when.
        grace: microseconds that a task has, beyond its timeout, to end by the exception in it.
    """

    def __init__(self, storage: Storage, owner: int, board: Board, grace: int) -> None:
        self._storage = storage
        self._owner = owner
        self._board = board
        self._grace = grace
        self._ask_at: int | None = 0

    def storage_changed(self) -> None:
        """There may be new revocations."""
        self._ask_at = 0

    def next_look(self, pool: Pool) -> int | None:
        """When to look next, in microseconds of the monotonic clock."""
        looks = [worker.look_at for worker in pool if worker.look_at is not None]
        if self._ask_at is not None:
            looks.append(self._ask_at)
        return min(looks, default=None)

    def doomed(self, pool: Pool, now: int) -> Iterator[tuple[Worker, Verdict]]:
        """The workers to be stopped; with the verdict NONE, those from which tasks are to be taken back.

        Raises:
            StorageError: if storage fails.
        """
        for worker in pool:
            if worker.look_at is not None and worker.look_at <= now and self._is_overdue(worker, now):
                yield worker, Verdict.TIMEOUT
        if self._ask_at is not None and self._ask_at <= now:
            yield from self._revoked(pool, now)

    def _is_overdue(self, worker: Worker, now: int) -> bool:
        attempt = self._board.read(worker.index)
        deadline = self._board.deadline(worker.index)
        if attempt not in worker.in_hand or attempt != self._board.read(worker.index) or deadline == NOT_YET:
            worker.look_at = now + _LOOK_AGAIN
            return False
        if deadline == NEVER:
            worker.look_at = None
            return False
        overdue = deadline + self._grace <= now
        worker.look_at = None if overdue else deadline + self._grace
        return overdue

    def _revoked(self, pool: Pool, now: int) -> Iterator[tuple[Worker, Verdict]]:
        if not any(worker.in_hand for worker in pool):
            self._ask_at = None  # what is claimed from now on is known to be revoked by its claim
            return
        revoked = self._storage.revoked_claims(self._owner, clock.now())
        ends = {(key.seq, key.attempt): terminate for key, terminate in revoked.items()}
        self._ask_at = None
        for worker in pool:
            for attempt in ends.keys() & worker.in_hand.keys():
                if worker.condemned:
                    continue
                if ends[attempt]:
                    self._ask_at = now + _LOOK_AGAIN  # to see that it was stopped, or was not started
                running = self._board.read(worker.index) == attempt
                if ends[attempt] or not running:
                    yield worker, Verdict.TERMINATED if running else Verdict.NONE
