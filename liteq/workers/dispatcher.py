"""The dispatcher: the only process of a consumer that claims tasks and settles their outcomes.

Each turn of its loop is one transaction for everything that has arrived: outcomes are stored, what is due is
made ready, as many tasks are claimed as the workers have room for. However many outcomes came in meanwhile
share one commit, so that full durability costs little.
"""

from __future__ import annotations

import logging
import selectors
import signal
import socket
from typing import Any

from liteq import clock
from liteq.api import Huey
from liteq.exceptions import StorageError
from liteq.identity import Identity, identify
from liteq.messages import BACK, Claim, ClaimKey, Disposition, Settlement
from liteq.workers import wire
from liteq.workers.beat import Beat
from liteq.workers.chores import Chores
from liteq.workers.deputy import Deputy
from liteq.workers.inheritance import Inheritance
from liteq.workers.options import ConsumerOptions
from liteq.workers.pool import Pool, Worker
from liteq.workers.process import ignore
from liteq.workers.recovery import crashed, dead_outcome, returned
from liteq.workers.shared import Board, Journal
from liteq.workers.watch import Watch

logger = logging.getLogger("huey.consumer")

_RETRY_STORAGE_AFTER = clock.SECOND // 4


def dispatcher_main(
    huey: Huey,
    options: ConsumerOptions,
    supervisor: Identity,
    owner: int | None,
    control: wire.Control,
    board: Board,
    journal: Journal,
) -> int:
    """Claim and settle until told to stop, or until the supervisor is gone and the workers have ended."""
    signal.signal(signal.SIGTERM, ignore)  # its end is the supervisor's to say, and after the workers'
    dispatcher = Dispatcher(huey, options, control, board, journal)
    try:
        dispatcher.open(supervisor, owner)
    except StorageError as error:
        control.send(wire.Failed(str(error)))
        return 3
    dispatcher.run()
    return 0


class Dispatcher:
    """The state of the loop."""

    def __init__(
        self,
        huey: Huey,
        options: ConsumerOptions,
        control: wire.Control,
        board: Board,
        journal: Journal,
    ) -> None:
        self._huey = huey
        self._storage = huey.storage
        self._options = options
        self._control = control
        self._board = board
        self._journal = journal
        self._pool = Pool(options.max_tasks)
        self._beat = Beat(huey, options.periodic)
        self._watch = Watch(huey.storage, options)
        self._deputy = Deputy(options)
        self._selector = selectors.DefaultSelector()
        self._owner = 0
        self._chores = Chores(huey, 0, 0)
        self._lease = int(options.lease * clock.SECOND)
        self._settlements: list[Settlement] = []
        self._claimed: list[Claim] = []
        self._to_sync = False
        self._buried: list[int] = []
        self._inheritance = Inheritance([])
        self._look = True
        self._due: int | None = None
        self._retry_at: int | None = None
        self._draining = False
        self._leaving = False

    # Start and end

    def open(self, supervisor: Identity, owner: int | None) -> None:
        """Register, or take over what the dispatcher before this one held.

        Raises:
            StorageError: if the storage can't be used.
        """
        if owner is None:
            owner = self._storage.register(supervisor)
        self._owner = owner
        self._storage.attend(owner, identify())
        self._chores = Chores(self._huey, owner, self._lease)
        self._inheritance = Inheritance(self._storage.held(owner))
        for packet in self._journal:
            self._take_report(wire.unpack_report(packet), None)
        self._beat.start(clock.now())
        self._selector.register(self._control, selectors.EVENT_READ, self._control)
        if self._watch.source is not None:
            self._selector.register(self._watch.source, selectors.EVENT_READ, self._watch)
        self._control.socket.setblocking(False)
        self._control.send(wire.Ready(owner))

    def run(self) -> None:
        """Wait, turn, wait … until there is nothing more to do."""
        while not self._is_finished():
            self._collect(self._selector.select(self._timeout()))
            self._turn()
        if not self._leaving:
            self._storage.unregister(self._owner)
        self._watch.close()
        self._storage.close()

    def _is_finished(self) -> bool:
        if self._settlements:
            return False
        return self._leaving or (self._draining and self._pool.is_empty and not self._inheritance.is_open)

    # What has arrived

    def _timeout(self) -> float:
        """Seconds until there is something to do even if nothing arrives."""
        now, monotonic = clock.now(), clock.monotonic()
        if self._retry_at is not None:
            return max(0.0, (self._retry_at - monotonic) / clock.SECOND)
        if self._settlements:
            return 0
        waits = [
            moment - now for moment in (self._due, self._beat.next_due()) if moment is not None
        ] if not self._draining else []  # fmt: skip
        deadlines = (
            self._pool.next_stuck(), self._deputy.deadline, self._inheritance.deadline
        )  # fmt: skip
        waits.extend(moment - monotonic for moment in deadlines if moment is not None)
        return max(0.0, min([self._watch.timeout(), *(wait / clock.SECOND for wait in waits)]))

    def _collect(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        if not events and not self._look and self._watch.has_changed():
            self._look = True
        for key, _ in events:
            if isinstance(key.data, Worker):
                self._read_worker(key.data)
            elif key.data is self._watch:
                self._watch.rang()
                self._look = True
            else:
                self._read_control()

    def _read_worker(self, worker: Worker) -> None:
        for packet in worker.reports():
            self._journal.append(packet)
            self._take_report(wire.unpack_report(packet), worker)
        if worker.ended and self._deputy.in_charge:
            self._bury(worker, "ended", requested=False)

    def _take_report(self, report: wire.Report, worker: Worker | None) -> None:
        claim = worker.reported(report, clock.monotonic()) if worker is not None else None
        claim = claim or self._inheritance.take((report.seq, report.attempt))
        if report.outcome is None:
            return  # the worker has settled it
        outcome = report.outcome
        if outcome.disposition is Disposition.DEAD and claim is not None:
            logger.error("Task %s (%s) is dead: %s", claim.id, claim.name, outcome.reason)
            outcome = dead_outcome(self._huey, claim, outcome.reason)
        key = ClaimKey(report.seq, report.attempt, self._owner)
        self._settlements.append(Settlement(key, outcome))

    def _read_control(self) -> None:
        while True:
            try:
                received = self._control.receive()
            except BlockingIOError:
                return
            if received is None:
                self._selector.unregister(self._control)
                self._drain()
                self._deputy.take_over(self._pool, clock.monotonic())
                return
            message, descriptors = received
            self._obey(message, [socket.socket(fileno=fd) for fd in descriptors])

    def _obey(self, message: Any, ends: list[socket.socket]) -> None:
        if isinstance(message, wire.Attach):
            self._attach(message, *ends)
        elif isinstance(message, wire.Attached):
            self._inheritance.workers_known(clock.monotonic())
        elif isinstance(message, wire.Gone):
            worker = self._pool.get(message.token)
            if worker is not None:
                self._bury(worker, message.how, requested=message.requested)
            self._buried.append(message.token)
        elif isinstance(message, wire.Retire):
            worker = self._pool.get(message.token)
            if worker is not None:
                self._retire(worker)
        elif isinstance(message, wire.Drain):
            self._drain()
        elif isinstance(message, wire.Leave):
            self._leaving = True

    # Workers

    def _attach(self, message: wire.Attach, line: socket.socket, far_end: socket.socket) -> None:
        worker = Worker(message.token, message.place, message.pid, line, far_end)
        if self._inheritance.is_open:
            self._give_back(worker)
            running = self._inheritance.take(self._board.read(message.place))
            if running is not None:
                worker.in_hand[running.seq, running.attempt] = running
        self._pool.add(worker)
        self._selector.register(line, selectors.EVENT_READ, worker)
        if self._draining:
            self._retire(worker)
        self._look = True

    def _give_back(self, worker: Worker) -> None:
        """Give back what a worker has not started."""
        for attempt in worker.take_back():
            claim = worker.in_hand.pop(attempt, None) or self._inheritance.take(attempt)
            if claim is not None:
                self._settlements.append(Settlement(claim.key, BACK))

    def _retire(self, worker: Worker) -> None:
        worker.retiring = True
        self._give_back(worker)

    def _bury(self, worker: Worker, how: str, *, requested: bool) -> None:
        """Settle what a dead worker leaves: its last reports, what it had not started, and what killed it."""
        self._selector.unregister(worker.line)
        for packet in worker.reports():
            self._journal.append(packet)
            self._take_report(wire.unpack_report(packet), worker)
        self._give_back(worker)
        for claim in worker.in_hand.values():
            if requested:
                self._settlements.append(returned(self._huey, claim, "interrupted"))
            else:
                outcome = crashed(self._huey, claim, how, self._options.max_crashes)
                self._settlements.append(Settlement(claim.key, outcome))
        self._pool.remove(worker)

    def _drain(self) -> None:
        self._draining = True
        self._inheritance.workers_known(clock.monotonic())
        for worker in self._pool:
            self._retire(worker)

    # A turn

    def _turn(self) -> None:
        now, monotonic = clock.now(), clock.monotonic()
        self._deputy.enforce(self._pool, monotonic)
        if self._retry_at is not None and monotonic < self._retry_at:
            return
        self._retry_at = None
        try:
            self._prepare(monotonic)
            room = self._pool.room()
            if self._settlements or self._is_to_look(now, room):
                self._commit(now, monotonic, room)
            self._deliver(monotonic)
            self._do_chores(monotonic)
        except StorageError as error:
            # Nothing is lost: outcomes stay here, and the workers have their tasks.
            logger.error("Storage fails, trying again: %s", error)  # noqa: TRY400 -- the text says it all
            self._retry_at = monotonic + _RETRY_STORAGE_AFTER
        self._pool.retire_spent()
        while self._buried and not self._settlements:
            self._control.send(wire.Buried(self._buried.pop()))

    def _prepare(self, monotonic: int) -> None:
        """Take back what should not wait any longer where it is, and do what is done now and then."""
        for worker in self._pool:
            if worker.is_stuck(monotonic):
                self._give_back(worker)
                self._look = True
        self._overtake()
        why = "its dispatcher died before it was known to run"
        unaccounted = self._inheritance.unaccounted(monotonic)
        self._settlements.extend(returned(self._huey, claim, why) for claim in unaccounted)

    def _do_chores(self, monotonic: int) -> None:
        """What can wait until the tasks are on their way."""
        self._storage.maintain()
        self._chores.extend(monotonic, claims_held=any(worker.in_hand for worker in self._pool))
        if not self._is_ending and self._chores.visit_neighbours(monotonic):
            self._look = True

    def _overtake(self) -> None:
        """Let a task of higher priority pass those that wait inside workers."""
        lowest = self._pool.lowest_waiting() if self._look else None
        if lowest is None:
            return
        top = self._storage.top_priority()
        if top is not None and top > lowest:
            for worker in self._pool:
                self._give_back(worker)

    def _is_to_look(self, now: int, room: int) -> bool:
        if self._is_ending:
            return False
        due = self._due is not None and self._due <= now
        return (self._look and room > 0) or due or self._beat.is_due(now)

    @property
    def _is_ending(self) -> bool:
        """Whether nothing more is to be claimed."""
        return self._draining or self._leaving

    def _commit(self, now: int, monotonic: int, room: int) -> None:
        """The transaction of this turn."""
        settlements = self._settlements
        durable = bool(settlements) or self._beat.is_due(now)
        with self._storage.batch(durable=durable):
            held = self._storage.settle(settlements, now) if settlements else []
            claims = [] if self._is_ending else self._claim(now, monotonic, room)
            self._due = self._storage.next_due()
        self._settlements = []
        self._claimed.extend(claims)
        self._to_sync = not durable and any(claim.at_most_once for claim in claims)
        self._journal.clear()
        self._beat.fired(now)
        # With no room, what these outcomes made ready waits for a look; with room left, nothing is.
        self._look = room <= len(claims) if room else self._look or bool(settlements)
        for settlement, holds in zip(settlements, held, strict=True):
            if not holds:
                logger.warning(
                    "Message %d was taken by another; an outcome has no effect", settlement.key.seq
                )

    def _claim(self, now: int, monotonic: int, room: int) -> list[Claim]:
        self._beat.fire(now)
        lease, startable = monotonic + self._lease, self._pool.idle()
        return self._storage.claim(self._owner, room, now=now, lease=lease, startable=startable)

    def _deliver(self, monotonic: int) -> None:
        """Hand out what has been claimed; what finds no room goes back with the next turn."""
        if self._to_sync:
            self._storage.sync()  # a task that runs at most once may start now, even if the power fails then
            self._to_sync = False
        claims, self._claimed = self._claimed, []
        for claim in self._pool.hand_out(claims, monotonic):
            self._settlements.append(Settlement(claim.key, BACK))
