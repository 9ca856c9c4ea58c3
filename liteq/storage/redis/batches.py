"""Batches: verbs that are committed together, in one call of the program.

What a verb returns within a batch is found by a trial: the server runs the batch so far, says what came of
it, and undoes all of that. From the first trial on the batch holds the queue, as a write transaction would:
others wait until it is over, so that the commit does what the trials did. Verbs from which nothing is wanted
are not tried. A batch of one verb, or of such verbs only, costs one round trip.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from liteq.exceptions import StorageBusy, StorageError
from liteq.storage.redis.server import Refused, Server, Verb


class Batches:
    """The batches of all threads on one queue.

    Args:
        server: where they run.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._open = threading.local()

    def call(self, verb: Verb, *, wanted: bool = True, patient: bool = True) -> Any:
        """Run a verb in this thread's batch, or by itself; its reply, or None if that is not wanted."""
        batch: _Batch | None = getattr(self._open, "batch", None)
        if batch is None:
            return self._server.run(b"run", b"", [verb], patient=patient)[0]
        return batch.call(verb, wanted=wanted)

    @property
    def is_open(self) -> bool:
        """Whether this thread is in a batch."""
        return getattr(self._open, "batch", None) is not None

    @contextmanager
    def batch(self) -> Iterator[None]:
        """A batch of this thread; one within another is a part of it."""
        if self.is_open:
            yield
            return
        batch = self._open.batch = _Batch(self._server)
        try:
            yield
        except BaseException:
            self._open.batch = None
            batch.abort()
            raise
        self._open.batch = None
        batch.commit()


_OF_A_RESULT = frozenset({"peek_result", "pop_result"})


def _is_blind_to(verb: Verb, earlier: Verb) -> bool:
    """Whether a verb surely says the same with and without one before it."""
    if verb.name in _OF_A_RESULT and earlier.name in _OF_A_RESULT:
        return verb.args[0] != earlier.args[0]
    return verb.name == "is_live" and earlier.name in {"is_live", "revoke"}


class _Batch:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._token = os.urandom(12).hex().encode()
        self._verbs: list[Verb] = []
        self._tried = False

    def call(self, verb: Verb, *, wanted: bool) -> Any:
        reply = None
        if wanted:
            self._tried = True
            # Without those that make no difference: else many in one batch would be tried again and again.
            before = [earlier for earlier in self._verbs if not _is_blind_to(verb, earlier)]
            reply = self._server.run(b"try", self._token, [*before, verb])
        self._verbs.append(verb)
        return reply

    def commit(self) -> None:
        if not self._verbs:
            return
        try:
            self._server.run(b"commit" if self._tried else b"run", self._token, self._verbs)
        except Refused as refusal:
            if refusal.words != ["LOST"]:
                raise
            raise StorageBusy(
                f"{self._server.where}: the batch took too long, and nothing of it was stored; try again"
            ) from None

    def abort(self) -> None:
        if self._tried:
            with suppress(StorageError):  # it ends by itself soon
                self._server.run(b"abort", self._token, [])
