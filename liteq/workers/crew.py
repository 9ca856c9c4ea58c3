"""The dispatcher's dealings with its workers: what they are given, what they say, what they leave."""

from __future__ import annotations

import logging
import selectors
import socket
from collections.abc import Iterable

from liteq import clock
from liteq.api import Huey
from liteq.messages import BACK, Claim, ClaimKey, Disposition, Settlement, Verdict
from liteq.outcomes import dead_outcome
from liteq.workers import notices, wire
from liteq.workers.aftermath import Aftermath
from liteq.workers.control import Control
from liteq.workers.inheritance import Inheritance
from liteq.workers.ledger import Ledger
from liteq.workers.options import ConsumerOptions
from liteq.workers.pool import Pool, Worker
from liteq.workers.rings import Rings
from liteq.workers.shared import Board

logger = logging.getLogger("huey.consumer")


class Crew:
    """Attaches workers, hears their reports, takes back, stops and buries; what that settles is the ledger's.

    Args:
        huey: the application's queue.
        owner: the consumer's id in storage.
        pool: the workers.
        control: the line to the supervisor.
        board: tells what each worker is at.
        rings: reports, those as well that the dispatcher before this one had not committed.
        aftermath: what is to be done about attempts that ended with their workers.
        ledger: settles.
        selector: waits for the workers' lines.
        options: the consumer's.

    Raises:
        StorageError: if storage fails.
    """

    def __init__(
        self,
        huey: Huey,
        owner: int,
        pool: Pool,
        control: Control,
        board: Board,
        rings: Rings,
        aftermath: Aftermath,
        ledger: Ledger,
        selector: selectors.BaseSelector,
        options: ConsumerOptions,
    ) -> None:
        self._huey = huey
        self._owner = owner
        self._pool = pool
        self._control = control
        self._board = board
        self._rings = rings
        self._aftermath = aftermath
        self._ledger = ledger
        self._selector = selector
        self._options = options
        self._charged: set[int] = set()
        """Processes that have ended with tasks, while their workers are buried."""
        self._inheritance = Inheritance(huey.storage.held(owner, wire.MAX_PAYLOAD))
        self.draining = False
        self.interrupted = False
        """Running tasks were ended by a stop."""
        self.wonders = False
        """A worker was interrupted, and why is not known: of a stop, the supervisor has told before that."""
        self._all_attached = False
        rings.owner = owner
        for packet in rings.take_over():
            self._take_report(packet, None, 0)

    @property
    def is_inheriting(self) -> bool:
        """Whether there are claims of the dispatcher before this one whose fate is not known."""
        return self._inheritance.is_open

    def all_attached(self) -> None:
        """All workers that live have been told of: what none of them has never reached one."""
        self._ledger.settle(*self._inheritance.close())
        self._all_attached = True
        self.stop_wondering()

    def stop_wondering(self) -> None:
        """All that the supervisor has told by now is known; a new dispatcher is told of a stop first."""
        self.wonders = self.wonders and not self._all_attached

    def attach(self, message: notices.Attach, line: socket.socket, far_end: socket.socket) -> None:
        """A worker is ready, or was when the dispatcher before this one was there."""
        kind = self._options.worker_type
        worker = Worker(
            message.token, message.place, message.pid, line, far_end, self._board, message.since,
            shares_process=kind != "process", turns=self._options.workers if kind == "greenlet" else 1,
        )  # fmt: skip
        inheriting = self._inheritance.is_open
        if inheriting:
            worker.end_epoch()
        attempt = message.last or self._board.read(message.place)
        running = self._inheritance.take(attempt) or self._aftermath.concluding(attempt)
        if running is not None:
            worker.is_running(running, clock.monotonic())
        self._pool.add(worker)
        self._selector.register(line, selectors.EVENT_READ, worker)
        if inheriting or not self._aftermath.is_concluded:
            self.read_reports(worker)  # what it has concluded, nobody else is to have
        if self.draining:
            self.retire(worker)

    def take_back(self, worker: Worker) -> None:
        """Give the queue back what a worker has not started."""
        worker.end_epoch()
        at = self._board.read(worker.index)
        self.read_reports(worker)  # what it has ended is there by now
        self._give_back(worker.take_back(at))

    def _give_back(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            if not self._aftermath.taken_back(claim):
                self._ledger.settle(Settlement(claim.key, BACK))

    def retire(self, worker: Worker) -> None:
        """Let the process of a worker end once it has done what it is at."""
        for mate in self._pool.mates(worker):
            if not mate.retiring:
                mate.retiring = True
                self.take_back(mate)

    def stop(self, worker: Worker, verdict: Verdict, why: str) -> None:
        """Have the supervisor end what a worker is at; with NONE, only take back what it is not."""
        attempt = self._board.read(worker.index)
        goes_on = not verdict or (worker.shares_process and verdict is not Verdict.MEMORY)
        if goes_on:
            self.take_back(worker)
            self._ledger.look_anew()
        else:
            self.retire(worker)
        claim = worker.in_hand.get(attempt) if verdict else None
        if claim is not None and self._board.read(worker.index) == attempt:  # and it gets no other meanwhile
            what = "it" if goes_on else "its worker"
            reason = why or verdict.name.lower()
            logger.warning("Task %s (%s): %s; stopping %s", claim.id, claim.name, reason, what)
            worker.condemned = True
            self._control.send(notices.Condemn(worker.token, attempt, verdict, why))

    def bury(self, worker: Worker, gone: notices.Gone) -> None:
        """Settle what a dead worker leaves: its last reports, what it had not started, what it was at."""
        for mate in self._pool.mates(worker):
            mate.retiring = True  # it is as dead, and gets nothing until that is told as well
        self._selector.unregister(worker.line)
        self.read_reports(worker)
        self._give_back(worker.take_back(gone.attempt))
        running = worker.in_hand.values()
        self.interrupted = self.interrupted or (self.draining and gone.requested and bool(running))
        self._ledger.settle(*self._aftermath.take(running, gone, gone.until(clock.now(), worker.pid)))
        self._pool.remove(worker)
        if running:
            self._charged.add(worker.pid)
        if not self._pool.mates(worker):  # it was the last one of its process
            if worker.pid not in self._charged:
                self._aftermath.died_idle(gone)
            self._charged.discard(worker.pid)

    def drain(self) -> None:
        """Let all workers end, those as well that are attached from here on."""
        self.draining = True
        self.interrupted = self.interrupted or self.wonders
        for worker in self._pool:
            self.retire(worker)

    def read_all_reports(self) -> bool:
        """Hear all workers; whether one had something to report."""
        speaking = [worker for worker in self._pool if self._rings.has_news(worker.index)]
        for worker in speaking:
            self.read_reports(worker)
        return bool(speaking)

    def read_reports(self, worker: Worker) -> None:
        """Hear what a worker has reported."""
        now = clock.monotonic()
        for packet in self._rings.read(worker.index):
            self._take_report(packet, worker, now)

    def _take_report(self, packet: bytes, worker: Worker | None, now: int) -> None:
        try:
            report = wire.unpack_report(packet)
        except wire.Garbled as error:
            who = "A worker" if worker is None else f"Worker {worker.index + 1} (pid {worker.pid})"
            logger.error("%s has sent rubbish, which is ignored: %s", who, error)  # noqa: TRY400 -- it says all
            return
        if report.is_leaving:
            if worker is not None:
                self.retire(worker)
            return
        claim = worker.reported(report, now) if worker is not None else None
        claim = claim or self._inheritance.take((report.seq, report.attempt))
        if report.is_return:
            self._give_back([] if claim is None else [claim])
            return
        attempted = self._aftermath.attempted(report, worker.pid if worker is not None else None)
        if report.outcome is None:
            return  # the worker has settled it
        outcome = report.outcome
        if outcome.status == "interrupted":
            self.interrupted = self.interrupted or self.draining
            self.wonders = not self.draining
        if outcome.disposition is Disposition.DEAD and claim is not None:
            logger.error("Task %s (%s) is dead: %s", claim.id, claim.name, outcome.reason)
            dead = dead_outcome(self._huey, claim, outcome.reason)
            outcome = dead._replace(events=outcome.events + dead.events)
        key = ClaimKey(report.seq, report.attempt, self._owner)
        self._ledger.settle(Settlement(key, outcome, attempted))
