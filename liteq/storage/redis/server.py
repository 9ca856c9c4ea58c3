"""Calls of the program on the server, each in one round trip, by connections of a pool of redis-py."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import redis

from liteq.exceptions import StorageBusy, StorageError
from liteq.storage.redis.errors import translate
from liteq.storage.redis.scripts import program

Arg = bytes | str | int

_PATIENCE = 30.0
"""Seconds to wait for another's batch to end."""
_RETRY_AFTER = 0.001


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
    """

    def __init__(self, pool: Any, prefix: str, where: str) -> None:
        self.pool = pool
        self.prefix = prefix.encode()
        self.where = where

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
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._evaluate(text, digest, args)
            except Refused as refusal:
                if refusal.words != ["LOCKED"] or not patient:
                    raise
                if time.monotonic() > deadline:
                    raise StorageBusy(
                        f"{self.where}: batches of others held the queue for {_PATIENCE:.0f} s; try again"
                    ) from None
            time.sleep(_RETRY_AFTER)

    def info(self, section: str) -> dict[str, str]:
        """A section of what the server says of itself.

        Raises:
            StorageError: if the server can't be reached, or does not say it.
        """
        text = self._send(packed([b"INFO", section.encode()])).decode()
        pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
        return {name: value.strip() for name, value in pairs}

    def close(self) -> None:
        """Give back the connections."""
        self.pool.disconnect()

    def _evaluate(self, text: bytes, digest: bytes, args: list[bytes]) -> Any:
        try:
            return self._send(packed([b"EVALSHA", digest, b"1", self.prefix, *args]))
        except redis.exceptions.NoScriptError:
            return self._send(packed([b"EVAL", text, b"1", self.prefix, *args]))

    def _send(self, command: bytes) -> Any:
        try:
            connection = self.pool.get_connection()
        except (redis.exceptions.RedisError, OSError) as error:
            raise translate(error, self.where) from error
        try:
            connection.send_packed_command([command])
            return connection.read_response()
        except redis.exceptions.NoScriptError:
            raise
        except redis.exceptions.ResponseError as error:
            words = str(error).split(" ")
            if words[0] == "LITEQ":
                raise Refused(words[1:]) from None
            raise self._translated(error) from error
        except (redis.exceptions.RedisError, OSError) as error:
            connection.disconnect()
            raise self._translated(error) from error
        except BaseException:
            connection.disconnect()  # somewhere within a reply
            raise
        finally:
            self.pool.release(connection)

    def _translated(self, error: Exception) -> StorageError:
        return translate(error, self.where)
