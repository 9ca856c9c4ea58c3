"""The dispatcher: the only process of a consumer that claims tasks and settles their outcomes.

Each turn of its loop is one transaction for everything that has arrived: outcomes are stored, what is due is
made ready, as many tasks are claimed as the workers have room for. However many outcomes came in meanwhile
share one commit, so that full durability costs little.
"""

from __future__ import annotations

import logging
import selectors
import socket
from contextlib import suppress
from typing import Any

from liteq import clock
from liteq.api import Huey
from liteq.exceptions import StorageError
from liteq.workers import notices
from liteq.workers.aftermath import Aftermath
from liteq.workers.beat import Beat
from liteq.workers.chores import Chores
from liteq.workers.control import Control, adopt
from liteq.workers.crew import Crew
from liteq.workers.deputy import Deputy, Orphan
from liteq.workers.health import Health
from liteq.workers.ledger import Ledger
from liteq.workers.notes import Notes
from liteq.workers.options import ConsumerOptions
from liteq.workers.outage import Outage
from liteq.workers.pool import Pool, Worker
from liteq.workers.rings import QUIET, Rings
from liteq.workers.shared import Board
from liteq.workers.watch import Watch

logger = logging.getLogger("huey.consumer")

_Selector = selectors.DefaultSelector
"""As it is before gevent replaces it in a process of greenlets, from which this one is forked as well."""

EXIT_INTERRUPTED = 5
"""Of the dispatcher, and then of the consumer: running tasks were interrupted."""


class Dispatcher:
    """The loop: wait, take note of what has arrived, turn.

    Args:
        huey: the application's queue.
        options: the consumer's options.
        owner: the consumer's id in storage.
        control: the line to the supervisor.
        board: tells what each worker started last.
        rings: reports, those as well that the dispatcher before this one had not committed.

    Raises:
        StorageError: if storage can't be used.
    """

    def __init__(
        self,
        huey: Huey,
        options: ConsumerOptions,
        owner: int,
        control: Control,
        board: Board,
        rings: Rings,
    ) -> None:
        self._huey = huey
        self._options = options
        self._owner = owner
        self._control = control
        self._board = board
        self._rings = rings
        self._pool = Pool(options.max_tasks)
        self._watch = Watch(huey.storage, options)
        self._deputy = Deputy(options)
        lease = int(options.lease * clock.SECOND)
        self._beat = Beat(huey, options.periodic)
        self._beat.start(clock.now())
        self._ledger = Ledger(huey, owner, lease, self._beat, rings)
        self._health = Health(huey.storage, owner, board, options)
        self._aftermath = Aftermath(huey, options.max_crashes)
        self._chores = Chores(huey, owner, lease)
        self._notes = Notes(huey.storage, board)
        self._selector = _Selector()
        self._crew = Crew(
            huey, owner, self._pool, control, board, rings, self._aftermath, self._ledger, self._selector,
            options,
        )  # fmt: skip
        self._buried: list[int] = []
        self._outage = Outage(huey.storage)
        self._look_again_at: int | None = None
        self._finishing = False
        self._leaving = False
        control.socket.setblocking(False)
        self._selector.register(control, selectors.EVENT_READ, control)
        if self._watch.source is not None:
            self._selector.register(self._watch.source, selectors.EVENT_READ, self._watch)

    def run(self) -> int:
        """Run until there is nothing more to do; the exit code."""
        while not self._is_finished():
            self._collect(self._wait())
            self._turn()
        if not (self._leaving or self._outage.is_hopeless):
            with suppress(StorageError):  # the next consumer strikes it off
                self._huey.storage.unregister(self._owner)
        self._watch.close()
        self._huey.storage.close()
        return EXIT_INTERRUPTED if self._crew.interrupted else int(self._outage.is_hopeless)

    @property
    def _is_claiming(self) -> bool:
        return not (self._crew.draining or self._leaving or self._crew.is_inheriting)

    def _is_finished(self) -> bool:
        if self._outage.is_hopeless:
            return True
        if not (self._ledger.is_clear and (self._leaving or self._aftermath.is_clear)):
            return False
        return self._leaving or (self._finishing and self._pool.is_empty and not self._crew.is_inheriting)

    def _timeout(self) -> float:
        """Seconds until there is something to do even if nothing arrives."""
        now, monotonic = clock.now(), clock.monotonic()
        if self._outage.retry_at is not None:
            return max(0.0, (self._outage.retry_at - monotonic) / clock.SECOND)
        if not self._ledger.is_clear:
            return 0
        waits = [
            self._watch.timeout(),
            clock.seconds_until(self._ledger.next_due(), now) if self._is_claiming else None,
            clock.seconds_until(self._pool.next_stuck(), monotonic),
            clock.seconds_until(self._health.next_look(self._pool), monotonic),
            clock.seconds_until(self._deputy.deadline, monotonic),
            clock.seconds_until(self._look_again_at, monotonic),
            clock.seconds_until(min(self._chores.next_extension, self._chores.next_pruning), monotonic),
            clock.seconds_until(self._notes.next_look(self._pool), monotonic),
        ]
        return max(0.0, min(wait for wait in waits if wait is not None))

    # What has arrived

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        timeout = self._timeout()
        if timeout > 0 and not self._rings.sleep():
            timeout = 0
        events = self._selector.select(timeout)
        self._rings.wake()
        return events

    def _collect(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, _ in events:
            if isinstance(key.data, Worker):
                if self._pool.get(key.data.token) is not None:  # not buried by an event before this one
                    key.data.rang()
            elif isinstance(key.data, Orphan):
                self._selector.unregister(key.fileobj)
                self._orphan_ended(key.data)
            elif key.data is self._watch:
                self._watch.rang()
                self._storage_changed()
            else:
                self._read_control()
        now = clock.monotonic()
        heard = self._crew.read_all_reports()
        if self._crew.wonders:
            self._read_control()
            self._crew.stop_wondering()
        if not (events or heard or self._ledger.look or self._look_again_at is not None):
            self._check_version()
        # Where there was a report, others may follow for which nobody is rung.
        if heard:
            self._look_again_at = clock.monotonic() + QUIET
        elif self._look_again_at is not None and self._look_again_at <= now:
            self._look_again_at = None

    def _check_version(self) -> None:
        with suppress(StorageError):  # the turn will meet it again, and say so
            if self._watch.has_changed():
                self._storage_changed()

    def _storage_changed(self) -> None:
        self._ledger.look_anew()
        self._health.storage_changed()
        self._beat.storage_changed()

    def _read_control(self) -> None:
        while True:
            try:
                received = self._control.receive()
            except BlockingIOError:
                return
            if received is None:
                self._selector.unregister(self._control)
                # Workers of which it could not tell any more: what they have is for the next consumer.
                self._leaving = self._leaving or self._crew.is_inheriting
                self._crew.drain()
                self._finishing = True
                self._watch_orphans()
                return
            message, descriptors = received
            self._obey(message, [adopt(fd) for fd in descriptors])

    def _watch_orphans(self) -> None:
        """The supervisor is gone: the ends of its workers are to be seen from here."""
        for orphan in list(self._deputy.take_over(self._pool, clock.monotonic())):
            if orphan.pidfd is None:
                self._orphan_ended(orphan)
            else:
                self._selector.register(orphan.pidfd, selectors.EVENT_READ, orphan)

    def _orphan_ended(self, orphan: Orphan) -> None:
        self._deputy.has_ended(orphan)
        for worker in orphan.workers:
            attempt = self._board.read(worker.index)
            self._crew.bury(worker, notices.Gone(worker.token, "ended", requested=False, attempt=attempt))

    def _obey(self, message: Any, ends: list[socket.socket]) -> None:
        match message:
            case notices.Attach():
                self._crew.attach(message, *ends)
                self._ledger.look_anew()
            case notices.Attached():
                self._crew.all_attached()
            case notices.Gone():
                if (worker := self._pool.get(message.token)) is not None:
                    self._crew.bury(worker, message)
                self._buried.append(message.token)
            case notices.Retire(token):
                if (worker := self._pool.get(token)) is not None:
                    self._crew.retire(worker)
            case notices.Drain():
                self._crew.drain()
            case notices.Finish():
                self._crew.drain()
                self._finishing = True
            case notices.Leave():
                self._leaving = True

    # A turn

    def _turn(self) -> None:
        now, monotonic = clock.now(), clock.monotonic()
        self._deputy.enforce(monotonic)
        if self._outage.holds(monotonic):
            return
        claiming = self._is_claiming
        if self._crew.draining:
            self._ledger.settle(*self._aftermath.give_up())
        try:
            self._rearrange(monotonic)
            self._aftermath.hand_out(self._pool, monotonic)
            self._ledger.turn(now, monotonic, self._pool, claiming=claiming)
            self._do_chores(monotonic, claiming)
            self._outage.is_over(monotonic)
        except StorageError as error:
            # Nothing is lost: outcomes stay here, and the workers have their tasks.
            self._outage.goes_on(error, monotonic)
            self._chores.storage_failed(monotonic)
            if self._outage.is_hopeless:
                self._control.send(notices.Failed(str(error)))
        self._pool.retire_spent()
        # Until then, the supervisor tells the next dispatcher of them, too.
        while self._buried and self._ledger.is_clear and self._aftermath.is_concluded:
            self._control.send(notices.Buried(self._buried.pop()))

    def _rearrange(self, monotonic: int) -> None:
        """Take back what should not wait any longer where it is, and stop what should have ended."""
        for order in self._health.look(self._pool, monotonic):
            self._crew.stop(*order)
        overtaken = self._ledger.overtakes(self._pool)
        for worker in self._pool:
            if overtaken or worker.is_stuck(monotonic):
                self._crew.take_back(worker)
                self._ledger.look_anew()

    def _do_chores(self, monotonic: int, claiming: bool) -> None:
        """What can wait until the tasks are on their way."""
        self._chores.extend(monotonic, claims_held=any(worker.in_hand for worker in self._pool))
        self._huey.storage.maintain()
        self._notes.take(monotonic, self._pool)
        self._chores.prune(monotonic)
        if claiming and self._chores.visit_neighbours(monotonic):
            self._ledger.look_anew()
