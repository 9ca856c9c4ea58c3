"""One folder for any number of processes: its locks, its journal, and what happens to its files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from liteq.exceptions import StorageDamaged, StorageError, StorageFull
from liteq.storage.file import layout
from liteq.storage.file.flock import held
from liteq.storage.file.steps import Put, Step

logger = logging.getLogger("huey")

_FOLDERS = (*layout.MESSAGES, *layout.OTHERS, "new")
DAMAGED = "damaged"
"""The folder of what is set aside."""
_CLOSED = -1
_NUMBER_SIZE = 20
_OUT_OF_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Disk:
    """The folder of a queue, which is made by the first call that needs it.

    Args:
        folder: the folder.
        synchronous: wait for the disk, so that what is committed survives a power failure.
        timeout: seconds to wait for a lock.

    Raises:
        StorageBusy: if a lock was not free for so long.
        StorageFull: if there is no room.
        StorageError: if the folder can't be used; it says why.
    """

    def __init__(self, folder: Path, *, synchronous: bool, timeout: float) -> None:
        self.folder = folder
        self._timeout = timeout
        self._synchronous = synchronous
        self._lock = self._gate = _CLOSED
        self._opened = 0

    # Locks

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who writes; others may look meanwhile."""
        self.open()
        with self._held(self._lock, fcntl.LOCK_EX):
            yield

    @contextmanager
    def steady(self) -> Iterator[int]:
        """See the folder as of one moment; a number that differs after each change."""
        self.open()
        while True:
            with self._held(self._gate, fcntl.LOCK_SH):
                if not self.has("journal"):
                    yield self._mark(self._number())
                    return
            with self._held(self._gate, fcntl.LOCK_EX), self._told():
                self._replay()

    def open(self) -> None:
        """Make the folder and open the locks, if that is not done or somebody has removed them since."""
        if self._lock != _CLOSED and os.fstat(self._lock).st_nlink:
            return
        self.close()
        with self._told():
            # A name that is not on the disk loses all that is below it.
            above = [path.parent for path in self.folder.parents if not path.exists()]
            self.folder.parent.mkdir(0o700, parents=True, exist_ok=True)
            for folder in ("", *_FOLDERS):
                (self.folder / folder).mkdir(0o700, exist_ok=True)
            self._lock = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._gate = os.open(self._path("gate"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._sync(*_FOLDERS, ".", "..", *map(str, above))
        self._opened += 1

    def close(self) -> None:
        """Give back the locks. In a child, what the parent holds stays held."""
        for fd in (self._lock, self._gate):
            if fd != _CLOSED:
                os.close(fd)
        self._lock = self._gate = _CLOSED

    # Reading

    def names(self, folder: str) -> list[str]:
        """The files in a folder."""
        with self._told():
            return os.listdir(self._path(folder))  # noqa: PTH208 -- the names are what is wanted

    def read(self, path: str) -> bytes:
        """The contents of a file.

        Raises:
            ValueError: if it is a folder.
        """
        with self._told():
            try:
                return (self.folder / path).read_bytes()
            except IsADirectoryError as error:
                raise ValueError("it is a folder") from error

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return os.path.exists(self._path(path))  # noqa: PTH110 -- the quick form

    # Writing

    def commit(self, steps: Sequence[Step]) -> int:
        """Take all the steps, or none, whatever happens meanwhile; what `steady` gives from now on.

        Once the journal is there, they count as taken: what is still to be done then is done by whoever looks
        at the folder next.
        """
        with self._told(), self._without_leftovers():
            noted = self._prepare(steps)
            with self._held(self._gate, fcntl.LOCK_EX):
                self._write("journal.new", json.dumps(noted).encode())
                number = self._raise_number()
                os.replace(self._path("journal.new"), self._path("journal"))  # noqa: PTH105
                self._sync(".")
                with contextlib.suppress(OSError):
                    self._take(noted)
        return self._mark(number)

    @contextmanager
    def _without_leftovers(self) -> Iterator[None]:
        """If it fails, remove what was written: where there is no room, it takes what others need."""
        try:
            yield
        except OSError:
            if not self.has("journal"):
                with contextlib.suppress(OSError):
                    for path in ("journal.new", *(f"new/{name}" for name in self.names("new"))):
                        Path(self._path(path)).unlink(missing_ok=True)
            raise

    def _prepare(self, steps: Sequence[Step]) -> list[list[str]]:
        """Write the new files where nobody looks for them; the steps as they stand in the journal."""
        noted = []
        for index, step in enumerate(steps):
            if isinstance(step, Put):
                self._write(f"new/{index}", step.contents)
                noted.append([f"new/{index}", step.path])
            else:
                noted.append(list(step))
        self._sync("new")
        return noted

    def _take(self, noted: list[list[str]]) -> None:
        """Take the steps, of which some may have been taken."""
        touched = set()
        for old, *new in noted:
            with contextlib.suppress(FileNotFoundError):
                if new:
                    os.replace(self._path(old), self._path(new[0]))  # noqa: PTH105 -- the quick forms
                else:
                    os.unlink(self._path(old))  # noqa: PTH108
            touched |= {os.path.dirname(path) or "." for path in (old, *new)}  # noqa: PTH120
        self._sync(*touched)
        os.unlink(self._path("journal"))  # noqa: PTH108
        self._sync(".")  # or a power failure would bring it back, when all is different

    def _replay(self) -> None:
        """Finish what somebody began who died; nobody else is here."""
        if not self.has("journal"):
            return  # another one has finished it
        self._raise_number()
        try:
            noted = [[str(path) for path in step] for step in json.loads(self.read("journal"))]
        except (ValueError, TypeError):  # the power failed, and nothing was synchronised
            self._set_aside("journal")
        else:
            self._take(noted)

    # Damage

    def set_aside(self, paths: Sequence[str], is_damaged: Callable[[str], bool]) -> None:
        """Take files out of the queue that still are damaged once nobody else looks at it."""
        with self._told(), self._held(self._gate, fcntl.LOCK_EX):
            self._raise_number()
            for path in filter(is_damaged, paths):
                self._set_aside(path)

    def _set_aside(self, path: str) -> None:
        kept = f"{DAMAGED}/{path.replace('/', '-')}"
        (self.folder / DAMAGED).mkdir(0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.replace(self._path(path), self._path(kept))  # noqa: PTH105 -- as above
            logger.error("%s is damaged, or none that liteq wrote; it is kept as %s", self._path(path), kept)
        self._sync(DAMAGED, os.path.dirname(path) or ".", ".")  # noqa: PTH120

    # Bytes

    def _mark(self, number: int) -> int:
        return (self._opened << 48) + number  # the folder may be another one when it is opened again

    def _number(self) -> int:
        try:
            return int(os.pread(self._gate, _NUMBER_SIZE, 0) or b"0")
        except ValueError:  # what a power failure left; nobody has seen an earlier one
            return 0

    def _raise_number(self) -> int:
        number = self._number() + 1
        os.pwrite(self._gate, b"%0*d" % (_NUMBER_SIZE, number), 0)
        return number

    def _write(self, path: str, contents: bytes) -> None:
        with open(self._path(path), "wb") as file:  # noqa: PTH123
            file.write(contents)
            if self._synchronous:
                file.flush()
                os.fsync(file.fileno())

    def _sync(self, *folders: str) -> None:
        for folder in folders if self._synchronous else ():
            try:
                fd = os.open(self._path(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except PermissionError:  # one above the queue's
                continue
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _held(self, fd: int, kind: int) -> AbstractContextManager[None]:
        return held(str(self.folder), fd, kind, self._timeout)

    def _path(self, path: str) -> str:
        return path if path[0] == "/" else f"{self.folder}/{path}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the system as ours."""
        try:
            yield
        except OSError as error:
            if error.errno in _OUT_OF_ROOM:
                raise StorageFull(
                    f"{self.folder}: there is no room; nothing was stored: make some and try again ({error})"
                ) from error
            raise StorageError(
                f"{self.folder}: it can't be used as the folder of a queue: {error}"
            ) from error

    @contextmanager
    def decoding(self, path: str) -> Iterator[None]:
        """What goes wrong inside is the fault of a file.

        Raises:
            StorageDamaged: in the place of what is raised by decoding.
        """
        try:
            yield
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise StorageDamaged(
                f"{self.folder}/{path}: it is damaged, or none that liteq wrote; remove it ({error!r})"
            ) from error
