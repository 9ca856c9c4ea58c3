"""The verbs of live events: a channel of the server, to which those who listen subscribe."""

from __future__ import annotations

import os
import struct
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis

from liteq.exceptions import StorageError
from liteq.storage.base import Packet
from liteq.storage.base import Subscription as Listener
from liteq.storage.redis.errors import translate
from liteq.storage.redis.server import Server, packed

_HEADER = struct.Struct("<8sQI")
"""Who publishes, how many events it has published before, and how many are in the packet."""
_READ_AT_ONCE = 1_000
_MOST_PUBLISHERS = 10_000
_ERRORS = (redis.exceptions.RedisError, OSError)


class Publisher:
    """Numbers what a process publishes."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._name = os.urandom(8)
        self._lock = threading.Lock()
        self._published = 0

    def head(self, events: int) -> bytes:
        """What stands before the next packet."""
        with self._lock:
            before = self._published
            self._published += events
        return _HEADER.pack(self._name, before, events)


class EventVerbs:
    """Live events of one queue on a server."""

    server: Server
    look_again_after = 0.1

    _publisher: Publisher | None = None

    def has_subscribers(self) -> bool:
        """See the contract."""
        try:
            return self.server.subscribers(self.events_channel) > 0
        except StorageError:  # whoever is to store something is told of it
            return False

    def publish(self, packets: Sequence[Packet]) -> None:
        """See the contract."""
        if self._publisher is None or self._publisher.pid != os.getpid():
            self._publisher = Publisher()
        bodies = [self._publisher.head(packet.events) + packet.data for packet in packets]
        with suppress(StorageError):
            self.server.publish(self.events_channel, bodies)

    def subscribe(self) -> Listener:
        """See the contract."""
        return EventSubscription(self.server, self.events_channel)

    @property
    def events_channel(self) -> bytes:
        """Where they are published."""
        # All databases of a server share its channels.
        return b"%b:events:%d" % (self.server.prefix, self.server.pool.connection_kwargs.get("db") or 0)


class EventSubscription:
    """One listener, with a connection of its own, which is made anew when it breaks.

    Raises:
        StorageError: if the server can't be reached, or does not allow it.
    """

    def __init__(self, server: Server, channel: bytes) -> None:
        self._server = server
        self._channel = channel
        self._gaps = Gaps()
        self._connection: Any = None
        self._closed = False
        self._connect()
        _subscriptions.add(self)

    @property
    def dropped(self) -> int:
        """See the contract."""
        return self._gaps.events

    def receive(self, timeout: float | None) -> list[bytes]:
        """See the contract.

        Raises:
            StorageError: if the connection is lost, and no other can be made.
        """
        if self._closed:
            return []
        try:
            if self._connection is not None and self._connection.can_read(timeout):
                return self._read_all()
        except _ERRORS:
            self._connection.disconnect()
            self._connection = None
        if self._connection is None:
            self._connect()
            self._gaps.events += 1  # at least: the server ends connections that do not keep up
        return []

    def close(self) -> None:
        """See the contract."""
        if not self._closed:
            self._closed = True
            if self._connection is not None:
                self._connection.disconnect()

    def _read_all(self) -> list[bytes]:
        packets: list[bytes] = []
        while len(packets) < _READ_AT_ONCE:
            _, _, body = self._connection.read_response()
            packets.append(self._gaps.note(body))
            if not self._connection.can_read(0):
                break
        return packets

    def _connect(self) -> None:
        pool = self._server.pool
        connection = pool.connection_class(**{**pool.connection_kwargs, "protocol": 2})
        try:
            connection.connect()
            connection.send_packed_command([packed([b"SUBSCRIBE", self._channel])])
            connection.read_response()
        except _ERRORS as error:
            connection.disconnect()
            raise translate(error, self._server.where) from error
        self._connection = connection

    def close_in_child(self) -> None:
        """Let the parent have what is its own; a proper end would be that of its connection, too."""
        if not self._closed:
            self._closed = True
            with suppress(*_ERRORS, AttributeError):
                self._connection._sock.close()  # noqa: SLF001 -- the same


class Gaps:
    """Counts the events that did not arrive, by what each publisher numbers."""

    def __init__(self) -> None:
        self.events = 0
        self._expected: dict[bytes, int] = {}

    def note(self, body: bytes) -> bytes:
        """Take note of a packet; its data."""
        publisher, before, events = _HEADER.unpack_from(body)
        expected = self._expected.get(publisher, before)
        # Threads of one process may overtake each other: what comes late after all was not missed.
        self.events += before - expected if before >= expected else -events
        self._expected[publisher] = max(expected, before + events)
        if len(self._expected) > _MOST_PUBLISHERS:
            del self._expected[next(iter(self._expected))]
        return body[_HEADER.size :]


_subscriptions: weakref.WeakSet[EventSubscription] = weakref.WeakSet()


def _close_in_child() -> None:
    for subscription in list(_subscriptions):
        subscription.close_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
