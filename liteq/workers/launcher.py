"""How the supervisor gets its children: from a template that has imported the application, or by itself."""

from __future__ import annotations

import itertools
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from liteq.api import Huey
from liteq.exceptions import ConfigurationError
from liteq.identity import Identity, identify
from liteq.workers.application import BrokenApplication, load
from liteq.workers.control import Control, adopt
from liteq.workers.greenlets import patch
from liteq.workers.mains import dispatcher_main, worker_main
from liteq.workers.options import ConsumerOptions
from liteq.workers.orders import LINES_AT_ONCE, Lines
from liteq.workers.place import Line, Place
from liteq.workers.process import fork, set_name
from liteq.workers.rings import Rings
from liteq.workers.shared import Board
from liteq.workers.template import ChildSpec, template_main
from liteq.workers.wire import packet_pair

logger = logging.getLogger("huey.consumer")


class Template:
    """A running template and the line to it."""

    def __init__(self, pid: int, control: Control) -> None:
        self.pid = pid
        self.control = control
        self.is_loaded = False
        self.is_gone = False

    def kill(self) -> None:
        """End it; its pid is ours until it has been waited for."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Launcher:
    """Starts processes; knows everything that they inherit."""

    def __init__(self, path: str, options: ConsumerOptions) -> None:
        self._path = path
        self._options = options
        # Before any fork: children share what this imports, and no child may ask for its parent's pid later.
        self._supervisor: Identity = identify()
        self._tokens = itertools.count(1, options.per_process)
        self.board = Board(options.workers)
        self._rings = Rings(options.workers)
        self.template: Template | None = None
        self.by_itself = False
        """Children are forked from the supervisor and import the application for themselves."""

    @property
    def is_able(self) -> bool:
        """Whether a child can be started now."""
        return self.by_itself or (self.template is not None and self.template.is_loaded)

    def start_template(self, inherited: Callable[[], None]) -> Template:
        """Start a template; `inherited` closes, in it, what is the supervisor's alone."""
        ours, theirs = packet_pair()

        def main() -> int:
            inherited()
            ours.close()
            self._prepare()
            return template_main(self._path, Control(theirs), self._child_main)

        pid = fork(main)
        theirs.close()
        ours.setblocking(False)
        return Template(pid, Control(ours))

    def start(self, place: Place, owner: int | None, inherited: Callable[[], None]) -> Control:
        """Start the process of a place; the line to it. Its pid may be told only later, by the template."""
        place.begin(next(self._tokens))
        spec = ChildSpec(place.kind, place.token, place.index, owner)
        ours, theirs = packet_pair()
        ours.setblocking(False)
        place.control = Control(ours)
        if place.kind == "worker":
            self._give_lines(place, place.control)
        if self.by_itself:
            descriptors = [os.dup(theirs.fileno())]

            def main() -> int:
                inherited()
                theirs.close()
                return self._import_and_run(spec, descriptors)

            place.pid = fork(main)
            for fd in descriptors:
                os.close(fd)
        elif self.template is not None:
            self.template.control.send(spec, theirs.fileno())
        theirs.close()
        return place.control

    def _give_lines(self, place: Place, control: Control) -> None:
        """Make the lines of the workers of a process, which finds its ends of them in its control."""
        number = self._options.per_process
        place.lines = [Line(place.token + i, place.index * number + i, *packet_pair()) for i in range(number)]
        for line in place.lines:
            self.board.clear(line.entry)
        for first in range(0, number, LINES_AT_ONCE):
            batch = place.lines[first : first + LINES_AT_ONCE]
            control.send(Lines(), *(line.far_end.fileno() for line in batch))

    def _prepare(self) -> None:
        """Before the application is imported."""
        if self._options.worker_type == "greenlet":
            patch()

    def _import_and_run(self, spec: ChildSpec, descriptors: list[int]) -> int:
        set_name(spec.process_name(self._options.worker_type))
        if spec.kind == "worker":
            self._prepare()
        try:
            huey = load(self._path)
        except (ConfigurationError, BrokenApplication) as error:
            logger.error("%s", error)  # noqa: TRY400 -- it is or contains a traceback
            return 1
        return self._child_main(huey, spec, descriptors)

    def _child_main(self, huey: Huey, spec: ChildSpec, descriptors: list[int]) -> int:
        set_name(spec.process_name(self._options.worker_type))
        control = Control(*map(adopt, descriptors))
        if spec.kind == "worker":
            return worker_main(huey, self._options, spec, control, self.board, self._rings)
        return dispatcher_main(
            huey, self._options, self._supervisor, spec.owner, control, self.board, self._rings
        )
