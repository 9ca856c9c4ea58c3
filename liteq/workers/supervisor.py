"""The supervisor: the process that the user starts. It starts, watches, restarts and stops all others.

It never opens the storage and never imports the application, so that it can fork safely at any time and no
code but its own can bring it down. Signals are data: handlers only poke a pipe.
"""

from __future__ import annotations

import logging
import os
import resource
import selectors
import signal
import time
from collections import deque
from typing import Any

import liteq
from liteq.workers import wire
from liteq.workers.child import Action, Policy, State
from liteq.workers.launcher import Launcher, Place, Template
from liteq.workers.options import ConsumerOptions
from liteq.workers.process import become_subreaper, describe_exit, ignore
from liteq.workers.template import Forked, Loaded, LoadFailed

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
EXIT_INTERRUPTED = 5
"""Running tasks were interrupted to stop in time."""

_DISPATCHER_GRACE = 10.0
_ROLL_PATIENCE = 1.0


class Supervisor:
    """A consumer's root.

    Args:
        path: the application's queue, as `module.attribute`.
        options: the options of the consumer.
    """

    def __init__(self, path: str, options: ConsumerOptions) -> None:
        self._options = options
        self._launcher = Launcher(path, options)
        self._next_template: Template | None = None
        self._dispatcher = Place("dispatcher", 0, Policy(kill_after=options.kill_after))
        policy = Policy(restart=options.restart_workers, kill_after=options.kill_after)
        self._workers = [Place("worker", index, policy) for index in range(options.workers)]
        self._departed: dict[int, Departed] = {}
        self._exits: dict[int, str] = {}
        self._owner: int | None = None
        self._stopping = False
        self._exit_code = EXIT_CLEAN
        self._rolling: deque[Place] = deque()
        self._roll_deadline = 0.0
        self._announced = False
        self._started = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._signals, self._signal_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def _places(self) -> list[Place]:
        return [self._dispatcher, *self._workers]

    def run(self) -> int:
        """Run until stopped; the exit code."""
        become_subreaper()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, ignore)
        signal.set_wakeup_fd(self._signal_writer, warn_on_full_buffer=False)
        self._selector.register(self._signals, selectors.EVENT_READ, self._read_signals)
        self._launcher.template = self._start_template()
        while not self._is_over():
            for key, _ in self._selector.select(self._timeout()):
                key.data()
            self._act()
        self._end_templates()
        logger.info("Stopped")
        return self._exit_code

    def _is_over(self) -> bool:
        return self._stopping and all(place.child.is_over for place in self._places)

    def _timeout(self) -> float | None:
        deadlines = [place.child.next_deadline() for place in self._places]
        if self._rolling:
            deadlines.append(self._roll_deadline)
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
        drains = graceful is None or number.name == f"SIG{graceful}"
        again = self._stopping
        self._stop(f"{number.name} received")
        if not drains or (again and graceful is None):
            logger.warning("%s: interrupting the running tasks", number.name)
            for place in self._workers:
                place.child.limit(time.monotonic(), 0)

    def _stop(self, why: str) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._rolling.clear()
        logger.info("%s: stopping after the running tasks", why)
        now = time.monotonic()
        starting = [place for place in self._workers if place.child.state is State.STARTING]
        for place in self._workers:
            place.child.stop(now, self._options.shutdown_timeout)
        for place in starting:
            self._attach(place)  # so that it hears of the end as soon as it listens
        self._dispatcher.child.stop(now, None)
        self._tell_dispatcher(wire.Drain())

    def _fail(self, code: int, text: str) -> None:
        logger.error("%s", text)
        self._exit_code = code
        self._stop("Nothing can be done")

    # The application

    def _start_template(self) -> Template:
        template = self._launcher.start_template(self._close_inherited)
        self._selector.register(template.control, selectors.EVENT_READ, lambda: self._read_template(template))
        return template

    def _read_template(self, template: Template) -> None:
        for message in self._messages(template.control):
            if isinstance(message, Loaded):
                self._loaded(template, message)
            elif isinstance(message, LoadFailed):
                self._load_failed(template, message)
            elif isinstance(message, Forked):
                self._forked(message)

    def _loaded(self, template: Template, found: Loaded) -> None:
        template.is_loaded = True
        if template is self._next_template:
            logger.info("The application is loaded anew; replacing the workers one by one")
            self._end_template(self._launcher.template)
            self._launcher.template, self._next_template = template, None
            self._rolling.extend(self._places)
        else:
            self._introduce(found)
        if found.unsafe is not None:
            logger.warning("Each worker imports the application for itself, because %s", found.unsafe)
            self._launcher.by_itself = True
            self._end_template(template)

    def _introduce(self, found: Loaded) -> None:
        logger.info(
            "liteq %s, pid %d: queue %r in %s, %d %s worker%s, %d tasks known",
            liteq.__version__,
            os.getpid(),
            found.queue,
            found.storage,
            self._options.workers,
            self._options.worker_type,
            "s" if self._options.workers > 1 else "",
            len(found.tasks),
        )
        logger.debug("Tasks: %s", ", ".join(found.tasks))

    def _load_failed(self, template: Template, failure: LoadFailed) -> None:
        if template is self._next_template:
            logger.error("The application can't be loaded anew; the old code stays:\n%s", failure.text)
            self._next_template = None
        else:
            self._fail(EXIT_USAGE if failure.usage else EXIT_APPLICATION, failure.text)

    def _reload(self) -> None:
        if self._stopping or self._next_template is not None or not self._launcher.is_able:
            return
        logger.info("SIGHUP received: loading the application anew")
        if self._launcher.by_itself:
            self._rolling.extend(self._places)
        else:
            self._next_template = self._start_template()

    def _template_exited(self, template: Template) -> None:
        self._read_template(template)
        self._end_template(template)
        if template is self._next_template:
            self._next_template = None
        elif template is self._launcher.template and not self._launcher.by_itself:
            for place in self._places:
                if place.child.state is State.STARTING and place.pid is None:
                    self._exited(place, "was never forked")
            if not self._stopping:
                logger.warning("The template died; loading the application again")
                self._launcher.template = self._start_template()

    def _end_template(self, template: Template | None) -> None:
        if template is not None and template.control.fileno() >= 0:
            self._forget(template.control)

    def _end_templates(self) -> None:
        for template in (self._launcher.template, self._next_template):
            self._end_template(template)

    # Children

    def _act(self) -> None:
        """Do what is due for each child."""
        self._reap()
        now = time.monotonic()
        self._roll(now)
        for place in self._places:
            action = place.child.due(now)
            if action is Action.START and self._launcher.is_able:
                place.child.started(now)
                self._launcher.start(place, self._owner, self._close_inherited)
                self._register(place)
            elif action is Action.TERMINATE:
                self._exit_code = self._exit_code or EXIT_INTERRUPTED
                place.signal(signal.SIGTERM)
            elif action is Action.KILL:
                logger.warning("The %s (pid %s) does not end: killing it", place, place.pid)
                place.signal(signal.SIGKILL)
        if self._stopping and all(place.child.is_over for place in self._workers):
            self._dispatcher.child.limit(now, _DISPATCHER_GRACE)
        elif not self._stopping and all(place.child.is_over for place in self._workers):
            self._fail(EXIT_CRASH_LOOP, "No worker is left")

    def _register(self, place: Place) -> None:
        if place.control is not None:
            self._selector.register(place.control, selectors.EVENT_READ, lambda: self._read_child(place))

    def _forked(self, message: Forked) -> None:
        for place in self._places:
            if place.token == message.token:
                place.pid = message.pid
                if message.pid in self._exits:
                    self._exited(place, self._exits.pop(message.pid))
                elif place.child.state is State.STOPPING:
                    self._attach(place)

    def _read_child(self, place: Place) -> None:
        if place.control is None:
            return
        for message in self._messages(place.control):
            if isinstance(message, wire.Ready):
                self._dispatcher_ready(message)
            elif isinstance(message, wire.Buried):
                departed = self._departed.pop(message.token, None)
                if departed is not None:
                    departed.close()
            elif isinstance(message, wire.Failed):
                self._fail(EXIT_STORAGE, message.text)
            elif isinstance(message, wire.WorkerReady):
                place.pid = message.pid  # the template's word of it may come later than the worker's own
                place.child.ready(time.monotonic())
                self._attach(place)
        self._announce()

    def _announce(self) -> None:
        if not self._announced and all(place.child.state is State.READY for place in self._places):
            self._announced = True
            logger.info("Ready in %.2f s", time.monotonic() - self._started)

    def _reap(self) -> None:
        """Take note of all children that have ended, and of the orphans that were left to us."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            how = f"{describe_exit(os.waitstatus_to_exitcode(status))}, {_peak(usage)}"
            templates = [t for t in (self._launcher.template, self._next_template) if t and t.pid == pid]
            places = [place for place in self._places if place.pid == pid]
            if templates:
                self._template_exited(templates[0])
            elif places:
                self._exited(places[0], how)
            elif any(place.child.state is State.STARTING and place.pid is None for place in self._places):
                self._exits[pid] = how  # the template tells whose it was

    def _exited(self, place: Place, how: str) -> None:
        self._read_child(place)  # its last words
        state = place.child.state
        place.child.exited(time.monotonic())
        requested = state is State.STOPPING
        log = logger.debug if requested else logger.warning
        log("The %s (pid %s) %s", place, place.pid, how)
        if place.control is not None:
            self._forget(place.control)
            place.control = None
        if place.kind == "worker" and place.ends is not None:
            departed = Departed(place, wire.Gone(place.token, how, requested))
            place.ends = None
            if state is State.STARTING:
                departed.close()
            else:
                self._departed[place.token] = departed
                self._tell_dispatcher(departed.gone)
        place.pid = None
        if place.child.state is State.FAILED:
            self._fail(EXIT_CRASH_LOOP, f"The {place} could not be started: it {how}")

    # The dispatcher

    def _dispatcher_ready(self, message: wire.Ready) -> None:
        self._owner = message.owner
        self._dispatcher.child.ready(time.monotonic())
        for place in self._workers:
            if place.is_attached:
                self._attach(place)
                if place.child.state is State.STOPPING:
                    self._tell_dispatcher(wire.Retire(place.token))
        for departed in self._departed.values():
            self._tell_dispatcher(departed.attach, *departed.ends)
            self._tell_dispatcher(departed.gone)
        self._tell_dispatcher(wire.Attached())
        if self._stopping:
            self._tell_dispatcher(wire.Drain())

    def _attach(self, place: Place) -> None:
        if place.ends is not None and place.pid is not None:
            message = wire.Attach(place.token, place.index, place.pid)
            self._tell_dispatcher(message, *(end.fileno() for end in place.ends))

    def _tell_dispatcher(self, message: Any, *descriptors: int) -> None:
        """Tell it, if it listens; what it misses while there is none, it hears when the next one is ready."""
        place = self._dispatcher
        if place.control is not None and place.child.state in {State.READY, State.STOPPING}:
            place.control.send(message, *descriptors)

    # A rolling restart

    def _roll(self, now: float) -> None:
        """Replace the next child, once the one before it is back or takes too long."""
        if not self._rolling or self._dispatcher.child.state is not State.READY:
            return
        waiting = any(place.child.state is not State.READY for place in self._workers)
        if waiting and now < self._roll_deadline:
            return
        self._roll_deadline = now + _ROLL_PATIENCE
        place = self._rolling.popleft()
        if place.child.state is State.STARTING:
            self._rolling.append(place)  # it may have been forked from the old code
            return
        place.child.replace(now)
        self._tell_dispatcher(wire.Leave() if place is self._dispatcher else wire.Retire(place.token))

    # Lines

    def _messages(self, control: wire.Control) -> list[Any]:
        """All that has been said on a line."""
        messages = []
        while control.fileno() >= 0:
            try:
                received = control.receive()
            except BlockingIOError:
                break
            if received is None:
                self._forget(control)
                break
            messages.append(received[0])
        return messages

    def _forget(self, control: wire.Control) -> None:
        if control.fileno() >= 0:
            self._selector.unregister(control)
            control.close()

    def _close_inherited(self) -> None:
        """In a child: close what only the supervisor may hold, or its death would not be seen."""
        self._selector.close()
        os.close(self._signals)
        os.close(self._signal_writer)
        for template in (self._launcher.template, self._next_template):
            if template is not None and template.control.fileno() >= 0:
                template.control.close()
        for place in self._places:
            if place.control is not None:
                place.control.close()
            for end in place.ends or ():
                end.close()
        for departed in self._departed.values():
            departed.close()


class Departed:
    """A worker that has ended, until the dispatcher has settled what it left."""

    def __init__(self, place: Place, gone: wire.Gone) -> None:
        self.gone = gone
        self.attach = wire.Attach(place.token, place.index, place.pid or 0)
        self._sockets = place.ends or ()

    @property
    def ends(self) -> tuple[int, ...]:
        """The descriptors of its line."""
        return tuple(end.fileno() for end in self._sockets)

    def close(self) -> None:
        """Close its line."""
        for end in self._sockets:
            end.close()


def _peak(usage: resource.struct_rusage) -> str:
    return f"peak memory {usage.ru_maxrss // 1024} MB"
