"""Calls of the program on the server, each in one round trip, by connections of a pool of redis-py."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import redis

from liteq.exceptions import StorageBusy
from liteq.storage.redis.errors import translate
from liteq.storage.redis.scripts import program

Arg = bytes | str | int

_PATIENCE = 30.0
"""Seconds to wait for another's batch to end."""
_RETRY_AFTER = 0.001
_ERRORS = (redis.exceptions.RedisError, OSError)


class Verb(NamedTuple):
    """A verb of the program, with its arguments."""

    name: str
    args: list[bytes]


class Refused(Exception):  # noqa: N818 -- it never leaves this package
    """The program refused a verb; the words say why."""

    def __init__(self, words: list[str]) -> None:
        super().__init__(" ".join(words))
        self.words = words


def verb(name: str, args: Iterable[Arg]) -> Verb:
    """A verb whose arguments are bytes, texts and numbers.

    Raises:
        TypeError: if one is something else.
        UnicodeEncodeError: if a text is none that can be written as UTF-8.
    """
    return Verb(name, [_encoded(arg) for arg in args])


def _encoded(arg: Arg) -> bytes:
    if type(arg) is bytes:
        return arg
    if isinstance(arg, str):
        return arg.encode()
    if isinstance(arg, int):
        return b"%d" % arg
    raise TypeError(f"{arg!r} is neither bytes nor a text nor a whole number")


def packed(args: Sequence[bytes]) -> bytes:
    """A command as the protocol has it."""
    parts = [b"*%d\r\n" % len(args)]
    parts += [b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args]
    return b"".join(parts)


class Server:
    """A server, as one queue sees it.

    Args:
        pool: its connections, a `redis.ConnectionPool`; parts of that have no types.
        prefix: what the keys of the queue begin with.
        where: the server, for messages.
        keeps: connections stay here between calls, which saves more time than a call of the server takes.
            Those of a pool that others share, or that has a bound, go back to it.
    """

    def __init__(self, pool: Any, prefix: str, where: str, *, keeps: bool) -> None:
        self.pool = pool
        self.prefix = prefix.encode()
        self.where = where
        self._wake = packed([b"PUBLISH", self.prefix + b":work", b""])
        self._keeps = keeps
        self._pid = os.getpid()
        self._idle: list[Any] = []

    def run(self, how: bytes, token: bytes, verbs: Sequence[Verb], *, patient: bool = True) -> Any:
        """Run verbs as `main.lua` says; its reply. If patient, it waits for the batch of another to end.

        Raises:
            Refused: if the program refuses a verb.
            StorageError: if the server can't be reached, or fails.
        """
        args = [how, token, b"%d" % len(verbs)]
        for name, its in verbs:
            args.append(name.encode())
            args.extend(its)
        text, digest = program(frozenset([name for name, _ in verbs]))
        deadline = None
        while True:
            try:
                return self._evaluate(text, digest, args)
            except Refused as refusal:
                if refusal.words == ["MORE"]:  # a step was made, others had their turn, the next step is due
                    continue
                if refusal.words != ["LOCKED"] or not patient:
                    raise
            deadline = deadline or time.monotonic() + _PATIENCE
            if time.monotonic() > deadline:
                raise StorageBusy(
                    f"{self.where}: batches of others held the queue for {_PATIENCE:.0f} s; try again"
                )
            time.sleep(_RETRY_AFTER)

    def push(self, parcels: list[bytes]) -> None:
        """Bring new messages and wake consumers, in one round trip.

        Raises:
            StorageError: if the server can't be reached, or fails.
        """
        self._send(packed([b"RPUSH", self.prefix + b":inbox", *parcels]) + self._wake, replies=2)

    def subscribers(self, channel: bytes) -> int:
        """How many connections are subscribed to a channel.

        Raises:
            StorageError: if the server can't be reached, or fails.
        """
        return int(self._send(packed([b"PUBSUB", b"NUMSUB", channel]))[1])

    def publish(self, channel: bytes, bodies: Sequence[bytes]) -> None:
        """Publish to a channel, in one round trip.

        Raises:
            StorageError: if the server can't be reached, or fails.
        """
        commands = b"".join(packed([b"PUBLISH", channel, body]) for body in bodies)
        self._send(commands, replies=len(bodies))

    def info(self, section: str) -> dict[str, str]:
        """A section of what the server says of itself.

        Raises:
            StorageError: if the server can't be reached, or does not say it.
        """
        text = self._send(packed([b"INFO", section.encode()])).decode()
        pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
        return {name: value.strip() for name, value in pairs}

    def close(self) -> None:
        """Give back the connections; the next call opens new ones."""
        self._forget_those_of_the_parent()
        while self._idle:
            self.pool.release(self._idle.pop())
        if self._keeps:
            self.pool.disconnect()

    def _evaluate(self, text: bytes, digest: bytes, args: list[bytes]) -> Any:
        try:
            return self._send(packed([b"EVALSHA", digest, b"1", self.prefix, *args]))
        except redis.exceptions.NoScriptError:
            return self._send(packed([b"EVAL", text, b"1", self.prefix, *args]))

    def _send(self, command: bytes, replies: int = 1) -> Any:
        """Send what is one command or more; the first reply."""
        try:
            connection = self._connected()
        except _ERRORS as error:
            raise translate(error, self.where, connecting=True) from error
        try:
            connection.send_packed_command([command], check_health=False)
            received = [_read(connection) for _ in range(replies)]
        except BaseException as error:  # the connection may be within a reply
            connection.disconnect()
            self.pool.release(connection)
            if isinstance(error, _ERRORS):
                raise translate(error, self.where) from error
            raise
        if self._keeps:
            self._idle.append(connection)
        else:
            self.pool.release(connection)
        for reply in received:
            if isinstance(reply, redis.exceptions.ResponseError):
                raise self._refusal(reply)
        return received[0]

    def _connected(self) -> Any:
        """A connection that nobody uses; one that the server has closed meanwhile is opened anew."""
        self._forget_those_of_the_parent()
        try:
            connection = self._idle.pop()
        except IndexError:
            return self.pool.get_connection()
        if _has_something_to_read(connection):
            connection.disconnect()
            try:
                connection.connect()
            except BaseException:
                self.pool.release(connection)
                raise
        return connection

    def _forget_those_of_the_parent(self) -> None:
        if self._pid != os.getpid():
            self._pid, self._idle = os.getpid(), []

    def _refusal(self, error: redis.exceptions.ResponseError) -> Exception:
        words = str(error).split(" ")
        if words[0] == "LITEQ":
            return Refused(words[1:])
        if isinstance(error, redis.exceptions.NoScriptError):
            return error
        return translate(error, self.where)


def _read(connection: Any) -> Any:
    """A reply, which may be an error of the server's."""
    try:
        return connection.read_response()
    except redis.exceptions.ResponseError as error:
        return error


def _has_something_to_read(connection: Any) -> bool:
    """Whether an idle connection is at its end: nobody says anything on it without being asked."""
    sock = connection._sock  # noqa: SLF001 -- the public way costs ten times as much
    if sock is None:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
