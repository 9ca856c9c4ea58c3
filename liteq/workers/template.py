"""The template: a child of the supervisor that imports the application once, and from which all others fork.

Workers so share the memory of one import and start in milliseconds, and the supervisor never runs a line of
the application's code. New code means a new template. A child is forked twice, so that its parent is the
supervisor (the subreaper), whatever becomes of the template.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from liteq.api import Huey
from liteq.exceptions import ConfigurationError
from liteq.workers.application import BrokenApplication, load, unsafe_to_fork
from liteq.workers.control import Control
from liteq.workers.options import ConsumerOptions
from liteq.workers.process import fork, set_name

_LONGEST_LIST = 20_000

ChildMain = Callable[[Huey, "ChildSpec", list[int]], int]


class ChildSpec(NamedTuple):
    """What a child has to know about itself."""

    kind: str
    """"dispatcher" or "worker"."""
    token: int
    """A number that no other child of this supervisor had or will have."""
    place: int
    """The process's index among those of its kind."""
    owner: int | None
    """The consumer's id in storage, once a dispatcher has registered it."""

    def process_name(self, worker_type: str) -> str:
        """What the process calls itself towards the system."""
        if self.kind != "worker":
            return "dispatch"
        return f"worker{self.place + 1}" if worker_type == "process" else "workers"


class Loaded(NamedTuple):
    """What the template found."""

    tasks: int
    names: str
    storage: str
    queue: str
    unsafe: str | None
    """Why children must import the application for themselves."""

    def introduce(self, options: ConsumerOptions) -> str:
        """Who the consumer is, in a line."""
        workers = f"{options.workers} {options.worker_type} worker{'s' if options.workers > 1 else ''}"
        return f"queue {self.queue!r} in {self.storage}, {workers}, {self.tasks} tasks known"


class LoadFailed(NamedTuple):
    """The application can't be loaded."""

    text: str
    usage: bool
    """The path is wrong, rather than the application's code."""


class Forked(NamedTuple):
    """A child has been made."""

    token: int
    pid: int


def inspect(path: str) -> tuple[Huey | None, Loaded | LoadFailed]:
    """Load the application and describe it, or say why not."""
    try:
        huey = load(path)
    except ConfigurationError as error:
        return None, LoadFailed(str(error), usage=True)
    except BrokenApplication as error:
        return None, LoadFailed(str(error)[-_LONGEST_LIST:], usage=False)
    except KeyboardInterrupt as error:  # it was not the user, whose signal is ignored here
        return None, LoadFailed(f"the application raised {error!r} while it was imported", usage=False)
    names = ", ".join(sorted(huey.registry.names()))
    if len(names) > _LONGEST_LIST:
        names = f"{names[:_LONGEST_LIST]} …"
    return huey, Loaded(len(huey.registry), names, huey.storage.describe(), huey.name, unsafe_to_fork())


def template_main(path: str, control: Control, child_main: ChildMain) -> int:
    """Load the application, then fork a child for each request until the supervisor is gone."""
    set_name("template")
    huey, finding = inspect(path)
    control.send(finding)
    if huey is None:
        return 1
    while (received := control.receive()) is not None:
        spec, descriptors = received
        control.send(Forked(spec.token, _fork_for_supervisor(huey, spec, descriptors, control, child_main)))
        for fd in descriptors:
            os.close(fd)
    return 0


def _fork_for_supervisor(
    huey: Huey, spec: ChildSpec, descriptors: list[int], control: Control, child_main: ChildMain
) -> int:
    """Fork a child whose parent is the supervisor; its pid."""
    reader, writer = os.pipe()

    def child() -> int:
        os.close(reader)
        os.close(writer)
        control.close()
        return child_main(huey, spec, descriptors)

    def between() -> int:
        os.write(writer, str(fork(child)).encode())
        return 0

    middle = fork(between)
    os.close(writer)
    pid = int(os.read(reader, 32))
    os.close(reader)
    os.waitpid(middle, 0)  # only now is the child's parent the supervisor
    return pid
