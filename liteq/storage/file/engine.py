"""The queue in a folder: the verbs of the memory backend, on what all processes have agreed on."""

from __future__ import annotations

import copy
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from liteq.exceptions import ConfigurationError
from liteq.storage.base import Capabilities, Subscription, WakeSource
from liteq.storage.bell import Bell, BellWakeup
from liteq.storage.file import layout, mirror
from liteq.storage.file.disk import Disk
from liteq.storage.file.steps import Put, brings_work, ends_tasks, steps
from liteq.storage.memory import READING, MemoryStorage
from liteq.storage.memory.tables import Changes
from liteq.storage.pipes import PipeFolder, PipeVerbs

_KEPT_BY_DEFAULT = 1_000  # each is a file


class FileStorage(PipeVerbs, MemoryStorage):
    """A queue in a folder, one file per message, for tests and development; any number of processes share it.

    The package's documentation says how. Making one opens nothing.

    Args:
        name: the queue; each has a folder of its own in `path`.
        path: the folder, which is made with mode 0700 on first use.
        fsync: whether what is committed survives a power failure; the death of any process it always does.
        timeout: seconds to wait for another process's lock.
        levels: accepted; there is one level of folders.
        use_thread_lock: accepted; threads and processes are kept apart always.
        expire_time: seconds after which the results of tasks expire; None: they stay until they are read.
        history: how many ended attempts are remembered; 0 is none.
        history_age: seconds for which they are remembered; None is no bound.
        **unknown: none.

    Raises:
        ConfigurationError: for an option that is unknown or has no such value.
    """

    capabilities = Capabilities(durable=True, shared=True, events=True)

    def __init__(
        self,
        name: str = "huey",
        path: Any = None,
        *,
        fsync: bool = True,
        timeout: float = 60,
        levels: int = 2,
        use_thread_lock: bool = False,
        history: int = _KEPT_BY_DEFAULT,
        **options: Any,
    ) -> None:
        del levels, use_thread_lock
        if not isinstance(path, str | os.PathLike) or os.fspath(path) in {"", b""} or "\0" in str(path):
            raise ConfigurationError(f"path must be the path of a folder, not {path!r}; say FileHuey(path=…)")
        super().__init__(name, history=history, **options)
        # Unlike Path, it takes `..` away.
        self.folder = Path(os.path.abspath(path)) / layout.name_of(name)  # noqa: PTH100
        self._synchronous = fsync
        self._timeout = _checked_timeout(timeout)
        self._listeners = PipeFolder(str(self.folder / "events"), str(self.folder), name)
        self._work_bell = Bell(str(self.folder / "bell"))
        self._done_bell = Bell(str(self.folder / "done"))
        self._start_anew()
        _storages.add(self)

    def _start_anew(self) -> None:
        """As if just made; what another process was doing with this one's memory does not count."""
        self._lock = threading.RLock()
        self._changes = Changes(self._lock)
        self._disk = Disk(self.folder, synchronous=self._synchronous, timeout=self._timeout)
        self._inside = self._result_stored = False
        self._seen = -1
        self._stored = mirror.nothing()

    def after_fork_in_child(self) -> None:
        """Begin anew, and leave the parent its locks."""
        self._disk.close()
        self._start_anew()

    def describe(self) -> str:
        """See the contract."""
        return f"{self.folder} (one file per task: for tests and development)"

    def close(self) -> None:
        """See the contract."""
        with self._lock:
            if not self._inside:
                self._disk.close()
        self._work_bell.close()
        self._done_bell.close()

    def around(self, verb: str) -> AbstractContextManager[object]:
        """See the memory backend."""
        return self._reading() if verb in READING else self._writing()

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:  # noqa: ARG002 -- all batches are
        """See the contract."""
        with self._writing() as is_outermost:
            before = None if is_outermost else copy.deepcopy(self.contents())
            try:
                yield
            except BaseException:
                if before is not None:
                    self.set_contents(before)  # the batch around it may go on
                raise

    def put_result(self, key: str, value: bytes, *, expires: int | None = None) -> None:
        """See the contract."""
        with self._writing():
            super().put_result(key, value, expires=expires)
            self._result_stored = True  # it may be the value that was there, and still somebody waits

    def results_wakeup(self) -> BellWakeup:
        """See the contract."""
        self._disk.open()
        return self._done_bell.wakeup

    def work_source(self) -> WakeSource | None:
        """See the contract."""
        self._disk.open()
        try:
            return self._work_bell.watch()
        except OSError:
            return None

    def subscribe(self) -> Subscription:
        """See the contract."""
        self._disk.open()
        return super().subscribe()

    def version(self) -> int:
        """See the contract."""
        with self._reading():
            return self._seen

    @contextmanager
    def _writing(self) -> Iterator[bool]:
        """What happens inside is committed at its end, or has not happened if it raises.

        Whether it is not a part of something that does so already.
        """
        with self._lock:
            if self._inside:
                yield False
                return
            disk = self._disk
            with disk.locked():
                self._look()
                self._inside = True
                try:
                    yield True
                    rings = self._commit() if self._disk is disk else []  # or this is a child of who began it
                except BaseException:
                    self._seen = -1
                    raise
                finally:
                    self._inside = self._result_stored = False
        for bell in rings:
            bell.ring()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            if not self._inside:
                self._look()
            yield

    def _look(self) -> None:
        """See what others have changed."""
        disk, looking = self._disk, True
        while looking:
            try:
                with disk.steady() as number:
                    if number != self._seen:
                        self._seen = -1
                        self._stored = mirror.load(disk, self, self._stored)
                        self._seen = number
                looking = False
            except mirror.DamagedFilesError as found:
                disk.set_aside(found.paths, partial(mirror.is_damaged, disk))

    def _commit(self) -> list[Bell]:
        """Make the folder what the queue in memory is; the bells to ring."""
        stored, before = mirror.stored_form(self), self._stored
        todo = steps(before.items, stored.items)
        if stored.state != before.state:
            todo.append(Put(mirror.STATE, stored.state))
        if todo:
            self._seen = self._disk.commit(todo)
        self._stored = stored
        woken = []
        if any(map(brings_work, todo)) or before.watched != stored.watched:
            woken.append(self._work_bell)
        if self._result_stored or any(map(ends_tasks, todo)):
            woken.append(self._done_bell)
        return woken


def _checked_timeout(timeout: object) -> float:
    if not isinstance(timeout, int | float) or not 0 <= timeout < 1e9:
        raise ConfigurationError(f"timeout must be a number of seconds, zero or more, not {timeout!r}")
    return timeout


_storages: weakref.WeakSet[FileStorage] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for storage in _storages:
        storage.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
