"""Wake-ups: subscriptions to what the program publishes after each change.

A subscription has a connection of its own. When that breaks, the next look at it makes another one, and
counts as a change: whatever was published meanwhile is missed.
"""

from __future__ import annotations

import os
import select
import ssl
import threading
import time
import weakref
from contextlib import suppress
from typing import Any, Self

import redis

from liteq.storage.readable import is_readable
from liteq.storage.redis.server import Server, packed

_AT_ONCE = 65_536
_ERRORS = (redis.exceptions.RedisError, OSError)


class Subscription:
    """A `WakeSource` whose descriptor stays the same when its connection is replaced.

    Args:
        server: what is connected to.
        channel: which of the queue's channels.

    Raises:
        redis.exceptions.RedisError, OSError: if it can't be made.
    """

    def __init__(self, server: Server, channel: str) -> None:
        self._server = server
        self._channel = server.prefix + b":" + channel.encode()
        self._epoll = select.epoll()
        self._connection: Any = None
        self._socket: Any = None
        self._watched = -1
        try:
            self._connect()
        except BaseException:
            self._epoll.close()
            raise
        _subscriptions.add(self)

    @classmethod
    def opened(cls, server: Server, channel: str) -> Self | None:
        """A subscription; None where there can be none at the moment, and one has to poll."""
        if not hasattr(select, "epoll"):
            return None
        try:
            return cls(server, channel)
        except _ERRORS:
            return None

    @property
    def is_connected(self) -> bool:
        """Whether changes are seen."""
        return self._connection is not None

    def fileno(self) -> int:
        """See `WakeSource`."""
        return self._epoll.fileno()

    def drain(self) -> None:
        """See `WakeSource`."""
        try:
            if self._connection is None:
                self._connect()
            self._read_all()
        except _ERRORS:
            self._disconnect()
            with suppress(*_ERRORS):
                self._connect()

    def close(self) -> None:
        """See `WakeSource`."""
        self._disconnect()
        self._epoll.close()

    def _read_all(self) -> None:
        """Read what was published. What it says does not matter, nor where one message ends."""
        try:
            while self._socket.recv(_AT_ONCE):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        raise ConnectionResetError("the server has closed the connection")

    def _connect(self) -> None:
        pool = self._server.pool
        connection = pool.connection_class(**pool.connection_kwargs)
        try:
            connection.connect()
            connection.send_packed_command([packed([b"SUBSCRIBE", self._channel])])
            _check_subscribed(connection._sock.recv(_AT_ONCE))  # noqa: SLF001 -- it is not told otherwise
            self._socket = connection._sock  # noqa: SLF001 -- it is not told otherwise
            self._socket.setblocking(False)
            self._watched = self._socket.fileno()
            self._epoll.register(self._watched, select.EPOLLIN)
        except BaseException:
            connection.disconnect()
            raise
        self._connection = connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._epoll.unregister(self._watched)
            connection.disconnect()

    def reset_after_fork(self) -> None:
        """Let the parent have what is its own."""
        connection, self._connection = self._connection, None
        if connection is not None and connection._sock is not None:  # noqa: SLF001 -- disconnect() would shut it
            connection._sock.close()  # noqa: SLF001 -- the same
        self._epoll.close()


def _check_subscribed(reply: bytes) -> None:
    if b"subscribe" not in reply:
        raise redis.exceptions.ResponseError(reply.decode(errors="replace"))


class SubscriptionWakeup:
    """A `Wakeup`: waits of any number of threads on one subscription. One reads it, and tells the others.

    Args:
        server: what is connected to.
        channel: which of the queue's channels.
    """

    def __init__(self, server: Server, channel: str) -> None:
        self._server = server
        self._channel = channel
        self._changes = 0
        self._changed = threading.Condition()
        self._subscription: Subscription | None = None
        self._being_read = False
        _wakeups.add(self)

    @property
    def watching(self) -> bool:
        """See `Wakeup`."""
        return self._subscription is not None and self._subscription.is_connected

    def ticket(self) -> int:
        """See `Wakeup`."""
        with self._changed:
            if self._subscription is None:
                self._subscription = Subscription.opened(self._server, self._channel)
                self._changes += 1  # what was published before is missed: a ticket from then is no good
            elif not self._subscription.is_connected and not self._being_read:
                self._subscription.drain()
                self._changes += 1
            return self._changes

    def wait(self, ticket: int, timeout: float) -> bool:
        """See `Wakeup`."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._changes == ticket:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                if not self.watching or self._being_read:
                    self._changed.wait(left)
                else:
                    self._read(self._subscription, left)
        return True

    def close(self) -> None:
        """Give back the subscription, unless somebody waits on it."""
        with self._changed:
            if self._subscription is not None and not self._being_read:
                self._subscription.close()
                self._subscription = None

    def _read(self, subscription: Subscription | None, timeout: float) -> None:
        """Be the one thread that reads; the lock is free for the others meanwhile."""
        if subscription is None:
            return
        self._being_read = True
        self._changed.release()
        try:
            changed = is_readable(subscription, timeout)
            if changed:
                subscription.drain()
        finally:
            self._changed.acquire()
            self._being_read = False
            # If only this thread's time is up, another one has to take its place.
            self._changed.notify_all()
        self._changes += changed

    def reset_after_fork(self) -> None:
        """Start anew in a child."""
        self._changed = threading.Condition()
        self._subscription, self._being_read = None, False


_subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
_wakeups: weakref.WeakSet[SubscriptionWakeup] = weakref.WeakSet()


def _reset_after_fork() -> None:
    for subscription in list(_subscriptions):
        subscription.reset_after_fork()
    for wakeup in list(_wakeups):
        wakeup.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
