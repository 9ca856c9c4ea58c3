"""Live events between the processes of one machine: a named pipe for each listener, in a folder of their own.

A pipe has one order for all who write to it, a bound that the system keeps, and no reader any more once its
process is dead. Nothing is kept open between two events: a task may have closed all descriptors, and what is
opened then must not get them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import weakref
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from liteq.exceptions import StorageError
from liteq.storage import drops
from liteq.storage.contract.events import Packet, Subscription
from liteq.storage.frames import Assembler, frames_of, news_frame
from liteq.storage.readable import is_readable

_PIPE_SIZE = 1 << 20
"""Bytes, which the system allows to all users; some thousand events."""
_READ_SIZE = 1 << 16
_TRIES = 10
_LOOKS = 1
"""Seconds between two looks of who waits whether the pipe still is where others find it."""
_TO_WRITE = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class PipeFolder:
    """The listeners of a queue, in a folder that is there while somebody listens. Making one touches nothing.

    Args:
        path: the folder.
        like: the queue's file or folder: who may read and write that one may listen and publish.
        queue: the name of the queue; several may be in the file.
    """

    def __init__(self, path: str, like: str, queue: str) -> None:
        self.path = path
        self.like = like
        self._mark = f"{zlib.crc32(queue.encode()):08x}{len(queue)}-"
        """What the names of the queue's pipes begin with."""
        self._pipes: tuple[str, ...] = ()
        self._uncounted: dict[str, list[int]] = {}
        """Events that found no room, by pipe, while another process was counting its own."""

    def look(self) -> bool:
        """Find the pipes that are there now; whether there are any."""
        try:
            names = os.listdir(self.path)  # noqa: PTH208 -- it is called while tasks run
            self._pipes = tuple(self._paths(names)) if names and self._why_not() is None else ()
        except OSError:
            self._pipes = ()
        if not self._pipes:
            self._uncounted.clear()
        return bool(self._pipes)

    def _paths(self, names: list[str]) -> Iterator[str]:
        for name in names:
            path = f"{self.path}/{name}"
            if name.startswith(self._mark) and stat.S_ISFIFO(os.lstat(path).st_mode):
                yield path

    def publish(self, packets: Sequence[Packet]) -> None:
        """Write to the pipes that were found, as far as they have room."""
        for path in self._pipes:
            try:
                fd = os.open(path, _TO_WRITE)
            except OSError as error:
                self._refused(path, error)
                continue
            try:
                self._write(fd, packets, self._uncounted.setdefault(path, []), path)
            finally:
                os.close(fd)

    def _refused(self, path: str, error: OSError) -> None:
        if error.errno == errno.ENXIO:  # its reader is dead
            _remove(path)
            with contextlib.suppress(OSError):
                Path(self.path).rmdir()
        self._pipes = tuple(pipe for pipe in self._pipes if pipe != path)
        self._uncounted.pop(path, None)

    @staticmethod
    def _write(fd: int, packets: Sequence[Packet], uncounted: list[int], path: str) -> None:
        try:
            for packet in packets:
                try:
                    for frame in frames_of(packet.data):
                        os.write(fd, frame)
                except BlockingIOError:  # there is no room
                    uncounted.append(packet.events)
            if uncounted:
                _count(path, uncounted)
                # It may have read all that filled the pipe before this was counted.
                os.write(fd, news_frame())
        except OSError:  # there still is no room, so something wakes it; or the reader has ended just now
            return

    # The folder, for those who listen

    def subscribe(self) -> PipeSubscription:
        """Make a pipe, and the folder if there is none.

        Raises:
            StorageError: if it can't be done, or the folder is not to be trusted.
        """
        for _ in range(_TRIES):
            try:
                self._make()
                return PipeSubscription(self.path, self._mark, Path(self.like).stat())
            except FileNotFoundError:
                continue  # the last one who listened has just removed the folder
            except OSError as error:
                raise StorageError(f"{self.path}: nobody can listen there: {error.strerror}") from error
        raise StorageError(f"{self.path}: the folder is removed again and again")

    def _make(self) -> None:
        like = Path(self.like).stat()
        folder = Path(self.path)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
            _belong(self.path, like)
        if folder.lstat().st_uid == os.geteuid() and stat.S_ISDIR(folder.lstat().st_mode):
            folder.chmod(_folder_mode(like))
        if (why := self._why_not()) is not None:
            raise StorageError(f"{self.path} {why}; remove it")
        for name in os.listdir(self.path):  # noqa: PTH208 -- as above
            _remove_if_dead(f"{self.path}/{name}")

    def _why_not(self) -> str | None:
        """Why the folder is not to be used; None if it is."""
        folder, like = os.lstat(self.path), os.stat(self.like)  # noqa: PTH116 -- it is called while tasks run
        if not stat.S_ISDIR(folder.st_mode):
            return "is no folder"
        if folder.st_uid not in {0, os.geteuid(), like.st_uid}:
            return "belongs to another user"
        if stat.S_IMODE(folder.st_mode) & 0o777 & ~_folder_mode(like):
            return "is open to more users than the queue"
        return None


class PipeVerbs:
    """The verbs of live events, of a backend that has a place in the file system."""

    look_again_after = 0.05
    _listeners: PipeFolder

    def has_subscribers(self) -> bool:
        """See the contract."""
        return self._listeners.look()

    def publish(self, packets: Sequence[Packet]) -> None:
        """See the contract."""
        self._listeners.publish(packets)

    def subscribe(self) -> Subscription:
        """See the contract."""
        return self._listeners.subscribe()


class PipeSubscription:
    """One listener: the end of a pipe from which it reads."""

    def __init__(self, folder: str, mark: str, like: os.stat_result) -> None:
        name = f"{mark}{os.getpid()}-{os.urandom(8).hex()}"
        hidden, path = f"{folder}/.{name}", f"{folder}/{name}"
        os.mkfifo(hidden, 0o600)
        # For writing as well, so that it does not end whenever nobody has it open to write.
        self._fd = os.open(hidden, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        fds = [self._fd]
        self._finalizer = weakref.finalize(self, _end, fds, path, os.getpid())
        with contextlib.suppress(OSError):  # not so large, then
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        _belong(hidden, like)
        os.chmod(hidden, _pipe_mode(like))  # noqa: PTH101 -- beside the others
        os.rename(hidden, path)  # noqa: PTH104 -- only now: one without a reader is taken for a dead one's
        self._path = path
        self._count = drops.create(path)  # after the pipe, without which nobody would remove it
        fds.append(self._count)
        self._dropped = 0
        self._assembler = Assembler()
        _subscriptions.add(self)

    @property
    def dropped(self) -> int:
        """See the contract."""
        return self._dropped

    def receive(self, timeout: float | None) -> list[bytes]:
        """See the contract.

        Raises:
            StorageError: if somebody has removed the pipe.
        """
        if not self._finalizer.alive:
            return []
        is_readable(self._fd, _LOOKS if timeout is None else min(timeout, _LOOKS))
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            if not os.path.lexists(self._path):
                raise StorageError(f"{self._path}: somebody has removed it; listen anew") from None
            return []
        self._dropped = drops.read(self._count)
        return list(self._assembler.feed(data))

    def close(self) -> None:
        """See the contract."""
        self._finalizer()


_subscriptions: weakref.WeakSet[PipeSubscription] = weakref.WeakSet()


def _close_in_child() -> None:
    """A child that keeps it open would make a dead listener look alive."""
    for subscription in _subscriptions:
        subscription.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


def _end(fds: list[int], path: str, pid: int) -> None:
    for fd in fds:
        os.close(fd)
    if os.getpid() == pid:
        _remove(path)
        with contextlib.suppress(OSError):
            Path(path).parent.rmdir()


def _count(path: str, uncounted: list[int]) -> None:
    """Add to what the listener has missed; what can't be added now is left for the next time."""
    events = 0
    while uncounted:  # a list, because threads share it: what each of them adds is taken out once
        events += uncounted.pop()
    if events and not drops.add(path, events):
        uncounted.append(events)


def _remove(path: str) -> None:
    """Remove a pipe; last, because who finds it removes what belongs to it, too."""
    for name in (drops.path_of(path), path):
        with contextlib.suppress(OSError):
            Path(name).unlink()


def _remove_if_dead(path: str) -> None:
    """Remove the pipe of one that ended without doing so."""
    try:
        os.close(os.open(path, _TO_WRITE))
    except OSError as error:
        if error.errno == errno.ENXIO:
            _remove(path)


def _folder_mode(like: os.stat_result) -> int:
    return sum(0o7 << shift for shift in (6, 3, 0) if like.st_mode >> shift & 0o6 == 0o6)


def _pipe_mode(like: os.stat_result) -> int:
    """Others who may write to the queue may publish; what one listens to is for it alone to read."""
    return 0o600 | (_folder_mode(like) & 0o022)


def _belong(path: str, like: os.stat_result) -> None:
    """Give it to the owner of the queue's file, by root; else to its group, as far as this user may."""
    owner = like.st_uid if os.geteuid() == 0 else -1
    with contextlib.suppress(OSError):
        os.chown(path, owner, like.st_gid, follow_symlinks=False)
