"""What a dispatcher notes in storage of tasks that run for long: since when, and where.

A note for each task would cost as much as its claim, and most are over before anybody could read it.
"""

from __future__ import annotations

from liteq import clock
from liteq.messages import ClaimKey
from liteq.storage.base import Storage
from liteq.storage.contract.records import Start
from liteq.workers.pool import Pool, Worker
from liteq.workers.shared import Board

_LONG = clock.SECOND // 10


class Notes:
    """Notes attempts once they have run for a while.

    Args:
        storage: where they are noted.
        board: tells what each worker is at.
    """

    def __init__(self, storage: Storage, board: Board) -> None:
        self._storage = storage
        self._board = board
        self._noted: dict[int, ClaimKey] = {}
        self._next = 0

    def next_look(self, pool: Pool) -> int | None:
        """When there may be something to note (monotonic microseconds); None if nothing is run."""
        busy = [worker.last_report + _LONG for worker in pool if self._is_new(worker)]
        return max(min(busy), self._next) if busy else None

    def take(self, monotonic: int, pool: Pool) -> None:
        """Note what has run for long enough and is not noted yet.

        Raises:
            StorageError: if storage fails.
        """
        due = self.next_look(pool)
        if due is None or monotonic < due:
            return
        self._next = monotonic + _LONG
        workers = [worker for worker in pool if monotonic - worker.last_report >= _LONG]
        starts = {worker.token: start for worker in workers if (start := self._start_of(worker)) is not None}
        new = [start for token, start in starts.items() if self._noted.get(token) != start.key]
        if new:
            with self._storage.batch(durable=False):
                self._storage.note_starts(new)
        self._noted = {token: start.key for token, start in starts.items()}

    def _is_new(self, worker: Worker) -> bool:
        noted = self._noted.get(worker.token)
        return bool(worker.in_hand) and (noted is None or (noted.seq, noted.attempt) not in worker.in_hand)

    def _start_of(self, worker: Worker) -> Start | None:
        claim = worker.in_hand.get(self._board.read(worker.index))
        started = self._board.started(worker.index)
        return None if claim is None or started is None else Start(claim.key, started, worker.pid)
