"""Wait in one thread for the ends of any number of tasks."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import nullcontext

from liteq.storage.base import Storage
from liteq.storage.contract.results import FIRST_LOOK, LONGEST_WATCH

logger = logging.getLogger("huey")

_LONGEST_LOOK = 0.1
"""Seconds between looks at a storage that can't wake the waiter."""
_LOOKS_GROW = 1.15
_GATHER = 0.002
"""Seconds between two reads of results, while others are waited for: many are read at the cost of one."""
_LONGEST_REST = 0.1
"""After a look the thread rests for as long as that took, but no longer than this."""
_LINGER = 1.0
"""Seconds that the thread outlives the last that it waited for, since another often follows."""


class Waiting(ABC):
    """One task whose end somebody waits for; a subclass says what is done with it."""

    def __init__(self, id: str) -> None:
        self.id = id

    @abstractmethod
    def read(self) -> None:
        """Take the stored result, if there is one; in a transaction with others, so nothing more."""

    @abstractmethod
    def tell(self) -> bool:
        """Pass on what was read; False if that was not the end, and the wait goes on."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Pass on that storage could not be read."""


class Waiter:
    """Tells of the ends of tasks in one storage. Its thread lives while there is something to wait for.

    Any thread may add and discard at any time. Whoever adds must `look` once afterwards, because the task may
    have ended before; unless it was live after a `ticket` was taken, and nothing has changed since.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = weakref.ref(storage)
        self._changed = threading.Condition()
        self._waiting: dict[str, list[Waiting]] = {}
        self._thread: threading.Thread | None = None
        _waiters.add(self)

    def add(self, *added: Waiting) -> None:
        """Wait for these. Each is told, or fails, by the waiter's thread or in a `look`.

        Raises:
            RuntimeError: if the process can't have one more thread; nothing is waited for then.
        """
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="liteq-waiter", daemon=True)
                thread.start()
                self._thread = thread
            for one in added:
                self._waiting.setdefault(one.id, []).append(one)
            self._changed.notify()

    def discard(self, one: Waiting) -> bool:
        """Wait for this one no longer; False if it has been told, or is about to be."""
        with self._changed:
            same = self._waiting.get(one.id, [])
            if one not in same:
                return False
            same.remove(one)
            if not same:
                del self._waiting[one.id]
            return True

    def is_own_thread(self) -> bool:
        """Whether this is called by the waiter's thread."""
        return self._thread is threading.current_thread()

    def ticket(self) -> int | None:
        """A mark of what has been seen so far, for `has_changed`."""
        storage = self._storage()
        return None if storage is None else storage.results_wakeup().ticket()

    def has_changed(self, ticket: int | None) -> bool:
        """Whether a change was seen since the ticket; one that was not will be, and the thread looks then."""
        return self.ticket() != ticket

    def look(self, ids: list[str]) -> bool:
        """Tell those of `ids` that have ended; whether there were any."""
        storage = self._storage()
        if storage is None or not ids:
            return False
        taken: list[Waiting] = []
        try:
            taken = self._take(storage.ended(ids))
            if taken:
                # A power failure that undoes this leaves the results where they were.
                with storage.batch(durable=False) if len(taken) > 1 else nullcontext():
                    for one in taken:
                        one.read()
        except BaseException as error:  # for those who wait, who would wait for ever
            for one in taken or self._take(ids):
                one.fail(error)
            if not isinstance(error, Exception):
                raise
            return True
        again = [one for one in taken if not self._tell(one)]
        if again:
            self.add(*again)
            self.look([one.id for one in again])
        return bool(taken)

    def _take(self, ids: Iterable[str]) -> list[Waiting]:
        with self._changed:
            return [one for id in ids for one in self._waiting.pop(id, ())]

    def _tell(self, one: Waiting) -> bool:
        try:
            return one.tell()
        except BaseException as error:
            # It comes from a callback of the application, and others wait for this thread.
            if not isinstance(error, Exception) and not self.is_own_thread():
                raise
            logger.exception("A callback of task %s raised", one.id)
            return True

    # The thread

    def _work(self) -> None:
        storage = self._storage()
        while storage is not None and self._has_to_wait():
            try:
                self._wait(storage)
            except Exception as error:
                logger.exception("Results can't be waited for")
                for one in self._take(list(self._waiting)):
                    one.fail(error)

    def _has_to_wait(self) -> bool:
        """Whether there is anything to wait for; if there is not for a while, the thread is over."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._waiting, _LINGER)
            if not found:
                self._thread = None
            return bool(found)

    def _wait(self, storage: Storage) -> None:
        """Look at each change until there is nothing left to wait for."""
        wakeup = storage.results_wakeup()
        pause = FIRST_LOOK
        while True:
            ticket = wakeup.ticket()
            with self._changed:
                ids = list(self._waiting)
            started = time.monotonic()
            told = self.look(ids)
            if not self._waiting:
                return
            time.sleep(min(max(_GATHER * told, time.monotonic() - started), _LONGEST_REST))
            pause = FIRST_LOOK if told else min(pause * _LOOKS_GROW, _LONGEST_LOOK)
            wakeup.wait(ticket, LONGEST_WATCH if wakeup.watching else pause)

    def reset_after_fork(self) -> None:
        """Forget the parent's thread, and what it waits for; those are told in the parent."""
        self._changed = threading.Condition()
        self._waiting = {}
        self._thread = None


def waiter_of(storage: Storage) -> Waiter:
    """The waiter that all event loops of this process share."""
    with _sharing:
        waiter = _shared.get(storage)
        if waiter is None:
            waiter = _shared[storage] = Waiter(storage)
        return waiter


_waiters: weakref.WeakSet[Waiter] = weakref.WeakSet()
_shared: weakref.WeakKeyDictionary[Storage, Waiter] = weakref.WeakKeyDictionary()
_sharing = threading.Lock()


def _reset_after_fork() -> None:
    global _sharing  # noqa: PLW0603 -- a thread of the parent may hold it, and never give it back here
    _sharing = threading.Lock()
    for waiter in _waiters:
        waiter.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
