"""Workers that are greenlets: gevent's part, which is loaded only for them."""

from __future__ import annotations

from collections.abc import Callable

from liteq.workers.control import adopt


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


class CooperativeLine:
    """A worker's line on which a greenlet waits alone; it has what `Worker` needs of a socket.

    Args:
        descriptor: of the line.
    """

    def __init__(self, descriptor: int) -> None:
        from gevent import socket

        self._sender = adopt(descriptor)  # gevent's own waits for room even where that is forbidden
        self._receiver = socket.socket(fileno=descriptor)
        self._receiver.settimeout(None)  # whatever default the application has set

    def fileno(self) -> int:
        """Its descriptor."""
        return self._sender.fileno()

    def recv(self, size: int, /) -> bytes:
        """The next packet; empty if there will be none any more."""
        return bytes(self._receiver.recv(size))

    def send(self, packet: bytes, flags: int, /) -> int:
        """Send a packet."""
        return self._sender.send(packet, flags)

    def shutdown(self, how: int, /) -> None:
        """Shut it in a direction."""
        self._sender.shutdown(how)


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
