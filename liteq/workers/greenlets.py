"""Workers that are greenlets: gevent's part, which is loaded only for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def patch() -> None:
    """Let whatever waits let other greenlets run; before the application is imported."""
    from gevent import monkey

    monkey.patch_all()


def begin() -> None:
    """Have an event loop of its own, in a process that was forked."""
    import gevent

    gevent.reinit()


def go_on_alone() -> None:
    """In a process that a greenlet has forked: it alone goes on there, as a thread does.

    It gets another event loop, so that nothing runs any more the one in which the others wait.
    """
    from gevent import hub

    hub.set_loop(None)
    hub.set_hub(hub.Hub(default=False))


def cooperative(descriptor: int) -> Any:
    """A socket of an open descriptor on which a greenlet waits alone."""
    from gevent import socket

    made = socket.socket(fileno=descriptor)
    made.settimeout(None)  # whatever default the application has set
    return made


class GreenletTarget:
    """The greenlet that makes this; see `remote.Target`."""

    def __init__(self) -> None:
        import gevent

        self._greenlet = gevent.getcurrent()
        self._loop = gevent.get_hub().loop

    def throw(self, error: BaseException, holds: Callable[[], bool]) -> None:
        """See `Target`. It is raised by the event loop, before which the worker may go on to another task."""
        self._loop.run_callback(self._throw, error, holds)

    def _throw(self, error: BaseException, holds: Callable[[], bool]) -> None:
        if holds():
            self._greenlet.throw(error)

    def clear(self) -> None:
        """See `Target`: nothing is raised while it runs."""
