"""The health of the workers: which of them have to be stopped or replaced, and what an operator should know.

All of it is seen from outside. A worker that is inside C code, stopped by a signal or out of memory can't say
so itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from liteq import clock
from liteq.messages import Verdict
from liteq.storage.base import Storage
from liteq.workers.chart import Chart
from liteq.workers.memory import PrivateMemory, shown
from liteq.workers.options import ConsumerOptions
from liteq.workers.pool import Pool, Worker
from liteq.workers.shared import Board
from liteq.workers.watchdog import Watchdog

logger = logging.getLogger("huey.consumer")

_LOOK_EVERY = 1 * clock.SECOND
_LOOK_AT_MEMORY_EVERY = clock.SECOND // 10
_STOP_BEYOND = 2
"""A task is stopped when its worker has so many times --max-memory. Before the task it had less than once, or
it would have ended (see `Worker`); so the task is to blame."""
_PAUSE_BETWEEN_AGED = 1 * clock.SECOND
"""Workers that were started together are replaced one after the other."""


class Order(NamedTuple):
    """What is to be done with a worker."""

    worker: Worker
    verdict: Verdict
    """Why what it is at is to be stopped; with NONE, it gives back what it is not at."""
    why: str = ""
    """The end of a sentence that begins with: its worker; empty if the verdict says all."""


class Health:
    """Looks at the workers, each as long as it has something to do and once after that.

    Args:
        storage: tells which claims were revoked.
        owner: the consumer's id in storage.
        board: tells what each worker is at, and until when.
        options: the limits.
    """

    def __init__(self, storage: Storage, owner: int, board: Board, options: ConsumerOptions) -> None:
        self._watchdog = Watchdog(storage, owner, board, int(options.timeout_grace * clock.SECOND))
        self._board = board
        self._limit = options.max_memory
        self._max_age = None if options.max_age is None else int(options.max_age * clock.SECOND)
        self._warn_after = int(options.warn_after * clock.SECOND)
        self._every = _LOOK_EVERY if self._limit is None else _LOOK_AT_MEMORY_EVERY
        self._charts: dict[int, Chart] = {}
        self._memories: dict[int, PrivateMemory] = {}
        """By process."""
        self._next = 0
        self._next_aged = 0
        self._told_of_small_limit = False

    def storage_changed(self) -> None:
        """There may be new revocations."""
        self._watchdog.storage_changed()

    def next_look(self, pool: Pool) -> int | None:
        """When to look next, in microseconds of the monotonic clock; None if there is no need to."""
        looks = [self._watchdog.next_look(pool)]
        if any(self._is_new(worker) for worker in pool):
            looks.append(self._next)
        if self._max_age is not None:
            ages = [worker.since + self._max_age for worker in pool if not worker.retiring]
            if ages:
                looks.append(max(min(ages), self._next, self._next_aged))
        return min((look for look in looks if look is not None), default=None)

    def _is_new(self, worker: Worker) -> bool:
        """Whether it has done something since the last look, or may be doing it."""
        chart = self._charts.get(worker.token)
        return bool(worker.in_hand) or worker.halted or chart is None or chart.runs != worker.handed_out

    def look(self, pool: Pool, now: int) -> Iterator[Order]:
        """What is to be done.

        Raises:
            StorageError: if storage fails.
        """
        for worker, verdict in self._watchdog.doomed(pool, now):
            yield Order(worker, verdict)
        if now < self._next and not self._has_newcomers(pool):
            return
        self._next = now + self._every
        for worker in pool:
            if self._is_new(worker):
                chart = self._charts.get(worker.token)
                if chart is None:
                    chart = self._charts[worker.token] = Chart(worker, self._board, self._memory_of(worker))
                if chart.has_halted_or_goes_on(now):
                    yield Order(worker, Verdict.NONE)
                chart.warn_of_length(now, self._warn_after)
                yield from self._of_memory(worker, chart, now)
                chart.runs = worker.handed_out
        yield from self._aged(pool, now)
        self._charts = {t: chart for t, chart in self._charts.items() if pool.get(t) is not None}
        pids = {worker.pid for worker in pool}
        self._memories = {pid: memory for pid, memory in self._memories.items() if pid in pids}

    def _memory_of(self, worker: Worker) -> PrivateMemory | None:
        if self._limit is not None and worker.pid not in self._memories:
            self._memories[worker.pid] = PrivateMemory(worker.pid, self._limit)
        return self._memories.get(worker.pid)

    def _has_newcomers(self, pool: Pool) -> bool:
        """Whether there are workers whose memory is to be looked at before they get their first task."""
        return self._limit is not None and any(worker.token not in self._charts for worker in pool)

    def _of_memory(self, worker: Worker, chart: Chart, now: int) -> Iterator[Order]:
        if self._limit is None or worker.condemned:
            return
        used = chart.memory(now)
        if used > _STOP_BEYOND * self._limit and chart.attempt is not None:
            yield Order(worker, Verdict.MEMORY, f"used {shown(used)}, more than --max-memory allows")
        elif used > self._limit and not (worker.handed_out or worker.in_hand or self._told_of_small_limit):
            self._told_of_small_limit = True
            logger.warning(
                "A worker uses %s before its first task, more than --max-memory %s: each will be replaced "
                "after a task", shown(used), shown(self._limit),
            )  # fmt: skip

    def _aged(self, pool: Pool, now: int) -> Iterator[Order]:
        """The oldest worker, if it is too old."""
        if self._max_age is None or now < self._next_aged:
            return
        oldest = min((w for w in pool if not w.retiring), key=lambda worker: worker.since, default=None)
        if oldest is not None and now >= oldest.since + self._max_age:
            self._next_aged = now + _PAUSE_BETWEEN_AGED
            mates = pool.mates(oldest)
            logger.info(
                "%s %d (pid %d) is %d s old: it is replaced%s",
                "The process of worker" if oldest.shares_process else "Worker",
                oldest.index + 1, oldest.pid, (now - oldest.since) // clock.SECOND,
                " after its task" if any(mate.in_hand for mate in mates) else "",
            )  # fmt: skip
            for mate in mates:
                mate.retiring = True  # it ends once it has nothing in hand
                yield Order(mate, Verdict.NONE)
