"""The supervisor: the process that the user starts. It starts, watches, restarts and stops all others.

It never opens the storage and never imports the application, so that it can fork safely at any time and no
code but its own can bring it down. Signals are data: handlers only poke a pipe.
"""

from __future__ import annotations

import logging
import os
import signal
import time

import liteq
from liteq.workers import notices
from liteq.workers.child import Action, Policy, State
from liteq.workers.dispatcher import EXIT_INTERRUPTED
from liteq.workers.launcher import Launcher
from liteq.workers.liaison import Liaison
from liteq.workers.lines import Lines
from liteq.workers.options import ConsumerOptions
from liteq.workers.place import End, Place
from liteq.workers.process import become_subreaper, ignore, set_name
from liteq.workers.roll import Roll
from liteq.workers.template import Forked, Loaded, LoadFailed
from liteq.workers.templates import Templates

logger = logging.getLogger("huey.consumer")

EXIT_CLEAN = 0
EXIT_APPLICATION = 1
"""The application's own code raised while it was imported."""
EXIT_USAGE = 2
"""A wrong option or import path."""
EXIT_STORAGE = 3
"""The storage can't be used."""
EXIT_CRASH_LOOP = 4
"""A child could not be started within its budget, or no worker is left."""
_DISPATCHER_GRACE = 10.0
_FLUSH_EVERY = 0.005
"""Seconds, while the dispatcher's line has no room for what it is to be told."""


class Supervisor:
    """A consumer's root.

    Args:
        path: the application's queue, as `module.attribute`.
        options: the options of the consumer.
    """

    def __init__(self, path: str, options: ConsumerOptions) -> None:
        self._options = options
        self._launcher = Launcher(path, options)
        self._dispatcher = Place("dispatcher", 0, Policy(kill_after=options.kill_after, lives=3))
        policy = Policy(
            restart=options.restart_workers,
            start_timeout=options.start_timeout,
            kill_after=options.kill_after,
        )
        shared = options.worker_type != "process"
        self._workers = [Place("worker", i, policy, shared=shared) for i in range(options.processes)]
        self._places = [self._dispatcher, *self._workers]
        self._liaison = Liaison(self._dispatcher, self._workers)
        self._roll = Roll()
        self._unclaimed_exits: dict[int, End] = {}
        self._stopping = False
        self._exit_code = EXIT_CLEAN
        self.failure: str | None = None
        """Why the consumer could not go on, for people."""
        self._announced = False
        self._started = time.monotonic()
        self._lines = Lines()
        self._templates = Templates(
            self._launcher, self._lines, self._close_inherited, self, options.start_timeout
        )
        self._signals, self._signal_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Run until stopped; the exit code."""
        become_subreaper()
        set_name("consumer")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, ignore)
        signal.set_wakeup_fd(self._signal_writer, warn_on_full_buffer=False)
        self._lines.add(self._signals, self._read_signals)
        self._templates.start()
        while not self._is_over():
            self._lines.wait(self._timeout())
            self._reap()
            self._act(time.monotonic())
        self._templates.end()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # else Python's own end would make it end by a late one
        if self._announced:
            logger.info("Stopped")
        return self._exit_code

    def _is_over(self) -> bool:
        return self._stopping and all(place.child.is_over for place in self._places)

    def _timeout(self) -> float | None:
        deadlines = [place.child.next_deadline() for place in self._places]
        deadlines += [self._roll.next_deadline(self._dispatcher), self._templates.next_deadline()]
        if self._liaison.has_backlog:
            return _FLUSH_EVERY
        waits = [deadline - time.monotonic() for deadline in deadlines if deadline is not None]
        return max(0.0, min(waits)) if waits else None

    # Signals

    def _read_signals(self) -> None:
        for number in os.read(self._signals, 4096):
            if number == signal.SIGHUP:
                self._reload()
            elif number in {signal.SIGTERM, signal.SIGINT}:
                self._stop_signal(signal.Signals(number))

    def _stop_signal(self, number: signal.Signals) -> None:
        graceful = self._options.graceful_signal
        drains = number.name == f"SIG{graceful}" if graceful else not self._stopping
        self._stop(f"{number.name} received")
        if not drains:
            logger.warning("%s: interrupting the running tasks", number.name)
            for place in self._workers:
                place.child.limit(time.monotonic(), 0)

    def _stop(self, why: str) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._roll.cancel()
        self._templates.give_up()
        logger.log(
            logging.INFO if self._announced else logging.DEBUG, "%s: stopping after the running tasks", why
        )
        now = time.monotonic()
        starting = [place for place in self._workers if place.child.state is State.STARTING]
        for place in self._workers:
            place.child.stop(now, self._options.shutdown_timeout)
        self._liaison.tell(notices.Drain())
        for place in starting:
            self._liaison.attach(place)  # so that it hears of the end as soon as it listens
            place.child.limit(now, 0)  # it may never get that far

    def _fail(self, code: int, text: str) -> None:
        if self.failure is None:
            self.failure = text
            self._exit_code = code
        self._stop("Giving up")

    # The application

    def loaded(self, found: Loaded, *, anew: bool) -> None:
        """The application is loaded."""
        if anew:
            logger.info("The application is loaded anew; replacing the workers one by one")
            self._begin_roll()
        elif not self._announced:
            who = found.introduce(self._options)
            logger.info("liteq %s, pid %d: %s", liteq.__version__, os.getpid(), who)
            logger.debug("Tasks: %s", found.names)

    def load_failed(self, failure: LoadFailed) -> None:
        """The application can't be loaded."""
        self._fail(EXIT_USAGE if failure.usage else EXIT_APPLICATION, failure.text)

    def template_died(self, how: str, *, for_good: bool) -> None:
        """The children that were asked for will not be made: ask again."""
        for place in filter(lambda place: place.is_unborn, self._places):
            if place.control is not None:
                self._lines.forget(place.control)
            place.forsake(time.monotonic())
        if for_good:
            self._fail(
                EXIT_CRASH_LOOP, f"The process that imports the application can't be kept running: it {how}"
            )
        elif not self._stopping:
            logger.warning("The process that imports the application %s; loading it again", how)

    def forked(self, message: Forked) -> None:
        """A child has been made."""
        place = next((p for p in self._places if p.token == message.token and p.is_unborn), None)
        if place is None:
            return
        place.pid = message.pid
        end = self._unclaimed_exits.pop(message.pid, None)
        if end is not None:
            self._exited(place, end)
        elif place.child.state is State.STOPPING and place.kind == "worker":
            self._liaison.attach(place)

    def _reload(self) -> None:
        if not self._stopping:
            logger.info("SIGHUP received: loading the application anew")
            if not self._templates.reload():
                self._begin_roll()

    def _begin_roll(self) -> None:
        if not self._stopping:
            self._roll.begin(self._places)

    # Children

    def _act(self, now: float) -> None:
        """Do what is due for each child."""
        self._liaison.flush()
        self._templates.act(now)
        replaced = self._roll.step(now, self._dispatcher)
        if replaced is not None:
            leaves = replaced is self._dispatcher
            self._liaison.tell(notices.Leave() if leaves else notices.Retire(replaced.token))
        if self._roll.has_ended():
            logger.info("The new code is in force")
        for place in self._places:
            self._act_on(place, place.child.due(now), now)
        if all(place.child.is_over for place in self._workers):
            if not self._stopping:
                self._fail(EXIT_CRASH_LOOP, "No worker is left")
            self._liaison.finish(now, _DISPATCHER_GRACE, replaceable=self._launcher.is_able)
        elif self._dispatcher.child.is_over:
            for place in self._workers:
                place.tell_to_end()

    def _act_on(self, place: Place, action: Action, now: float) -> None:
        if action is Action.START and self._launcher.is_able:
            place.child.started(now)
            control = self._launcher.start(place, self._liaison.owner, self._close_inherited)
            self._lines.add(control, lambda: self._read_child(place))
        elif action is Action.TERMINATE:
            place.signal(signal.SIGTERM)
        elif action is Action.KILL:
            what = "is not ready in time" if place.child.state is State.STARTING else "does not end"
            logger.warning("The %s (pid %s) %s: killing it", place, place.pid, what)
            place.signal(signal.SIGKILL)

    def _read_child(self, place: Place) -> None:
        if place.control is None:
            return
        for message in self._lines.messages(place.control):
            if isinstance(message, notices.Ready):
                place.pid = message.pid
                self._liaison.ready(message, draining=self._stopping)
            elif isinstance(message, notices.Buried):
                self._liaison.buried(message.token)
            elif isinstance(message, notices.Condemn):
                self._condemn(message)
            elif isinstance(message, notices.Failed):
                self._fail(EXIT_STORAGE, message.text)
                place.child.stop(time.monotonic(), None)
            elif isinstance(message, notices.WorkerReady):
                place.ready(message.pid)
                self._liaison.attach(place)
        if not self._announced and all(place.child.state is State.READY for place in self._places):
            self._announced = True
            logger.info("Ready in %.2f s", time.monotonic() - self._started)

    def _condemn(self, message: notices.Condemn) -> None:
        """End a worker that is at an attempt with which it must not go on; another takes its place."""
        board = self._launcher.board
        for place in self._workers:
            line = place.line(message.token)
            if line is not None and place.pid is not None and board.read(line.entry) == message.attempt:
                place.condemn(message, line.entry, board)

    def _reap(self) -> None:
        """Take note of all children that have ended, and of the orphans that were left to us."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            end = End(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024)
            if self._templates.exited(pid, str(end)):
                continue
            place = next((place for place in self._places if place.pid == pid), None)
            if place is not None:
                self._exited(place, end)
            elif any(place.is_unborn for place in self._places):
                self._unclaimed_exits[pid] = end  # the template will tell whose it was
            else:
                self._unclaimed_exits.clear()  # they were orphans, whose pids may be used again

    def _exited(self, place: Place, end: End) -> None:
        self._read_child(place)  # its last words
        before = place.child.state
        if place is self._dispatcher:
            self._note_end_of_dispatcher(end)
        board = self._launcher.board
        at_work = any(board.read(line.entry) != (0, 0) for line in place.lines)
        # One that was to end by itself, and died over its task, was not told to die.
        by_itself = end.code != 0 or at_work
        requested = before is State.STOPPING and (place.child.was_terminated or not by_itself)
        # A worker that dies over a task has lived: the task, which has few lives, is more likely to blame.
        others = any(other.is_served for other in self._workers if other is not place)
        needed = place is self._dispatcher or self._stopping or not others
        useful = end.code == 0 or at_work
        place.child.exited(time.monotonic(), useful=useful, needed=needed)
        well = before in {State.READY, State.STOPPING} and end.code == 0
        expected = requested or well or (before is State.STOPPING and place is self._dispatcher)
        logger.log(
            logging.DEBUG if expected else logging.WARNING, "The %s (pid %s) %s", place, place.pid, end
        )
        if place.control is not None:
            self._lines.forget(place.control)
        for departed in place.departures(end, board, requested=requested):
            if before is State.STARTING:
                departed.close()
            else:
                self._liaison.departed(departed)
        place.pid = place.control = None
        place.lines = []
        if place.child.state is State.FAILED:
            self._fail(EXIT_CRASH_LOOP, f"The {place} can't be kept running: it {end}")

    def _note_end_of_dispatcher(self, end: End) -> None:
        if end.code == EXIT_INTERRUPTED:
            self._exit_code = self._exit_code or EXIT_INTERRUPTED
        elif end.code and self._stopping and self.failure is None:
            self._dispatcher.child.try_again()  # the rings still have what it did not commit

    def _close_inherited(self) -> None:
        """In a child: close what only the supervisor may hold, or its death would not be seen."""
        self._lines.close()
        os.close(self._signals)
        os.close(self._signal_writer)
        self._templates.close()
        for place in self._places:
            place.close()
        self._liaison.close()
