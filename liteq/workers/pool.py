"""The dispatcher's view of its workers: what each has in hand, and how much more it should get."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from heapq import heapify, heappop, heapreplace
from itertools import islice

from liteq.messages import Claim, Verdict
from liteq.workers.shared import Board
from liteq.workers.wire import STOP_PACKET, Report, batches, pack_tasks, receive_all

# Work that may wait inside a worker: enough to bridge the time until the dispatcher's next batch.
_PREFETCHED_TIME = 20_000
_UNKNOWN = 10.0 * _PREFETCHED_TIME
"""What a task is taken to last until it is known better: nothing waits behind it."""
_MAX_DEPTH = 64
_STUCK_AFTER = 20_000
_LOOK_AFTER = 20_000
_SMOOTHING = 0.2

Attempt = tuple[int, int]


class Worker:
    """One worker: its line, and the claims that it holds, in the order in which it gets to them.

    Args:
        token: its number, never used again.
        index: its place in the pool and on the board.
        pid: its process.
        line: the dispatcher's end of the line to it.
        far_end: a duplicate of its own end, so that the line can be emptied.
        board: where its epochs are noted.
        since: when it was ready, in microseconds of the monotonic clock.
        shares_process: others are in the same process: it is a thread or a greenlet.
        turns: how many of them do what they do one after the other, as greenlets.
    """

    def __init__(
        self,
        token: int,
        index: int,
        pid: int,
        line: socket.socket,
        far_end: socket.socket,
        board: Board,
        since: int = 0,
        *,
        shares_process: bool = False,
        turns: int = 1,
    ) -> None:
        self.token = token
        self.index = index
        self.pid = pid
        self.since = since
        self.line = line
        self._far_end = far_end
        self._board = board
        self._epoch = board.epoch(index)
        self._last_of_before: Attempt | None = None
        """What it was at when its last epoch ended: that goes on, or comes back."""
        self.in_hand: dict[Attempt, Claim] = {}
        self.handed_out = 0
        self.retiring = False
        self.stopped = False
        """It has been told to end."""
        self.halted = False
        """It stands still (SIGSTOP, a debugger)."""
        self.condemned = False
        self.last_report = 0
        self.look_at: int | None = None
        """When the deadline of what it runs is to be looked at (monotonic microseconds)."""
        self._full = False
        self._duration = _UNKNOWN
        self.shares_process = shares_process
        # What the others have may come first, and is to be done long before this one seems to be stuck.
        self._prefetched_time = _PREFETCHED_TIME / (2 * turns if turns > 1 else 1)

    @property
    def room(self) -> int:
        """How many more tasks it should get: one if it is idle, more the shorter its tasks are."""
        if self.retiring or self.halted or self._full or self._last_of_before in self.in_hand:
            return 0
        depth = min(_MAX_DEPTH, 1 + int(self._prefetched_time / max(self._duration, 1.0)))
        held = len(self.in_hand)
        # A worker with half of its depth in hand is busy for a while: larger batches cost less.
        return depth - held if held <= depth // 2 else 0

    @property
    def waiting(self) -> int:
        """How many tasks wait behind the one that it runs."""
        return max(0, len(self.in_hand) - 1)

    def hand_out(self, claims: Sequence[Claim], now: int, verdict: Verdict = Verdict.NONE) -> list[Claim]:
        """Give it tasks; those for which there was no room in its line."""
        given = 0
        for batch in batches(claims):
            if not self.send(pack_tasks(batch, verdict, now, self._epoch)):
                break
            if not self.in_hand:
                self.last_report = now
                self.look_at = now + _LOOK_AFTER
            self.in_hand.update([((claim.seq, claim.attempt), claim) for claim in batch])
            given += len(batch)
        self.handed_out += given
        return list(claims[given:])

    def send(self, packet: bytes) -> bool:
        """Send it a packet; False if there is no room for it in its line."""
        try:
            self.line.send(packet, socket.MSG_DONTWAIT)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            self._full = True  # until it has read some
            return False
        return True

    def is_running(self, claim: Claim, now: int) -> None:
        """It was given this task by another dispatcher, and is at it."""
        attempt = (claim.seq, claim.attempt)
        self.in_hand[attempt] = claim
        self._last_of_before = attempt
        self.last_report = self.look_at = now

    def reported(self, report: Report, now: int) -> Claim | None:
        """Take note of an outcome, or of a return; the claim that it ends, if the worker had it."""
        self._full = self.condemned = False
        self.last_report = now
        claim = self.in_hand.pop((report.seq, report.attempt), None)
        if not report.is_return:
            self._duration += _SMOOTHING * (report.duration - self._duration)
        elif claim is not None:
            self.handed_out -= 1
        self.look_at = now + _LOOK_AFTER if self.in_hand else None
        return claim

    def is_stuck(self, now: int) -> bool:
        """Whether tasks wait behind one that takes longer than those before it."""
        return self.waiting > 0 and now - self.last_report > _STUCK_AFTER

    def end_epoch(self) -> None:
        """From here on it starts nothing more of what it was handed until now."""
        self._epoch = self._board.begin_epoch(self.index)
        for packet in receive_all(self._far_end):  # or it would read all of that in vain
            if packet == STOP_PACKET:
                self.stopped = False
        self._full = False
        # Whatever it runs now is not what it has been measured by.
        self._duration = max(self._duration, _UNKNOWN)

    def take_back(self, at: Attempt) -> list[Claim]:
        """Take back all but the attempt that it is at, once its epoch has ended and its reports are read.

        If that one comes back as well, nothing is to have overtaken it: until then it gets no others.
        """
        taken = [self.in_hand.pop(attempt) for attempt in list(self.in_hand) if attempt != at]
        self.handed_out -= len(taken)
        self._last_of_before = at
        return taken

    def rang(self) -> None:
        """Take a ring off its line. What the packet holds is of no interest: a task may have sent it."""
        with suppress(BlockingIOError, ConnectionResetError):
            self.line.recv(1, socket.MSG_DONTWAIT)

    def stop(self) -> None:
        """Tell it to end once it has done what it has in hand."""
        if not self.stopped:
            try:
                self.line.send(STOP_PACKET, socket.MSG_DONTWAIT)
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                return  # tried again with the next turn
            self.stopped = True

    def close(self) -> None:
        """Close both ends."""
        self.line.close()
        self._far_end.close()


class Pool:
    """The workers of a consumer."""

    def __init__(self, max_tasks: int | None) -> None:
        self._max_tasks = max_tasks
        self._workers: dict[int, Worker] = {}

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._workers.values()))

    @property
    def is_empty(self) -> bool:
        """Whether there are no workers."""
        return not self._workers

    def add(self, worker: Worker) -> None:
        """A worker is ready."""
        self._workers[worker.token] = worker

    def get(self, token: int) -> Worker | None:
        """The worker of a token."""
        return self._workers.get(token)

    def remove(self, worker: Worker) -> None:
        """A worker is gone."""
        self._workers.pop(worker.token, None)
        worker.close()

    def room(self) -> int:
        """How many tasks the workers should get now."""
        return sum(self._rooms().values())

    def idle(self) -> int:
        """How many workers have nothing in hand."""
        return sum(
            not (worker.in_hand or worker.retiring or worker.halted) for worker in self._workers.values()
        )

    def mates(self, worker: Worker) -> list[Worker]:
        """The workers of a worker's process, itself among them."""
        return [other for other in self._workers.values() if other.pid == worker.pid]

    def _rooms(self) -> dict[int, int]:
        """How many more tasks each worker should get; the workers of a process have `max_tasks` together."""
        rooms = {token: worker.room for token, worker in self._workers.items()}
        if self._max_tasks is None:
            return rooms
        left = self._left()
        for token, worker in self._workers.items():
            rooms[token] = max(0, min(rooms[token], left[worker.pid]))
            left[worker.pid] -= rooms[token]
        return rooms

    def _left(self) -> dict[int, int]:
        """How many tasks each process may still be handed."""
        left = dict.fromkeys((worker.pid for worker in self._workers.values()), self._max_tasks or 0)
        for worker in self._workers.values():
            left[worker.pid] -= worker.handed_out
        return left

    def hand_out(self, claims: Iterable[Claim], now: int) -> list[Claim]:
        """Give tasks to the workers with the least in hand; those that found no room."""
        rooms = [(len(self._workers[token].in_hand), token, room) for token, room in self._rooms().items()]
        free = [(held, token, held + room) for held, token, room in rooms if room > 0]
        heapify(free)
        left: list[Claim] = []
        shares: dict[int, list[Claim]] = {}
        for claim in claims:
            if not free:
                left.append(claim)
                continue
            held, token, most = free[0]
            shares.setdefault(token, []).append(claim)
            if held + 1 < most:
                heapreplace(free, (held + 1, token, most))
            else:
                heappop(free)
        refused = [c for token, share in shares.items() for c in self._workers[token].hand_out(share, now)]
        # A worker that has refused some has no room any more, so that this ends.
        return left + self.hand_out(refused, now) if refused else left

    def freest(self) -> Worker | None:
        """The worker with the least in hand that may get more."""
        able = (self._workers[token] for token, room in self._rooms().items() if room > 0)
        return min(able, key=lambda worker: len(worker.in_hand), default=None)

    def retire_spent(self) -> None:
        """Retire the workers that have had their number of tasks, and stop those that retire and are done."""
        left = {} if self._max_tasks is None else self._left()
        for worker in self._workers.values():
            if left.get(worker.pid, 1) <= 0 and not worker.in_hand:
                worker.retiring = True
            if worker.retiring and not worker.in_hand:
                worker.stop()

    def lowest_waiting(self) -> int | None:
        """The lowest priority among the tasks that wait inside workers; None if none waits."""
        return min((claim.priority for claim in self.waiting()), default=None)

    def waiting(self) -> Iterator[Claim]:
        """The tasks that wait inside workers, behind the ones that these run."""
        return (c for w in self._workers.values() for c in islice(w.in_hand.values(), 1, None))

    def next_stuck(self) -> int | None:
        """When the next worker may turn out to be stuck, in microseconds of the monotonic clock."""
        waiting = [w.last_report for w in self._workers.values() if w.waiting]
        return min(waiting) + _STUCK_AFTER + 1 if waiting else None
