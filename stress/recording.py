"""Record what a process writes to its files, and rebuild what a power failure may leave of it.

A recording is a list of operations in the order in which they happened. What a file held at its last sync
before the cut is on the disk. Of what came after it, any part may be: none, all, or some of its sectors, with
the old length or a new one. Names reach the disk in order, and with a sync of the folder for sure.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest import mock

import apsw

from liteq.storage.sqlite import wal

Kind = Literal["write", "truncate", "sync", "link", "unlink", "folder", "event"]


_BASE = "unix"
"""SQLite's own way to the disk, below the recorded one."""


class Operation(NamedTuple):
    """One thing that happened."""

    kind: Kind
    file: int = 0
    offset: int = 0
    """Where it was written; the new size for a truncate."""
    data: Any = b""
    """What was written; the name for a link; anything for an event."""


class Recorder:
    """The operations on the files of one folder.

    Args:
        deaf: do not record syncs, as a disk that answers before it has written.
    """

    def __init__(self, *, deaf: bool = False) -> None:
        self.operations: list[Operation] = []
        self._deaf = deaf
        self._files: dict[str, int] = {}
        self._number = 0
        self._unsynced_names: set[int] = set()

    def event(self, *what: Any) -> None:
        """Note something that the storage knows nothing of."""
        self.operations.append(Operation("event", data=what))

    def opened(self, path: str) -> int:
        """The number of a file, which is new if the name is."""
        name = Path(path).name
        if name not in self._files:
            self._number += 1
            self._files[name] = self._number
            self.operations.append(Operation("link", self._number, data=name))
            if name.endswith(("-wal", "-journal")):
                self._unsynced_names.add(self._number)
        return self._files[name]

    def deleted(self, path: str, *, synced: bool) -> None:
        """A name was removed."""
        name = Path(path).name
        if name in self._files:
            self.operations.append(Operation("unlink", self._files.pop(name), data=name))
            if synced and not self._deaf:
                self.operations.append(Operation("folder"))

    def synced(self, file: int, *, by_sqlite: bool = True) -> None:
        """A file was synchronised; the first time, SQLite does so with the folder of a journal it made."""
        if self._deaf:
            return
        self.operations.append(Operation("sync", file))
        if by_sqlite and file in self._unsynced_names:
            self._unsynced_names.discard(file)
            self.operations.append(Operation("folder"))

    def synced_path(self, path: str) -> None:
        """A file was synchronised by other means."""
        name = Path(path).name
        if name in self._files:
            self.synced(self._files[name], by_sqlite=False)

    def wrote_path(self, path: str, data: bytes, offset: int) -> None:
        """A file was written by other means."""
        name = Path(path).name
        if name in self._files:
            self.operations.append(Operation("write", self._files[name], offset, data))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Be the way to the disk of all connections that are opened meanwhile, and of the log beside them."""
        vfs = _Vfs(self)
        write = os.pwrite

        def path_of(fd: int) -> str:
            return str(Path(f"/proc/self/fd/{fd}").readlink())

        def sync(fd: int) -> None:
            self.synced_path(path_of(fd))

        def pwrite(fd: int, data: bytes, offset: int) -> int:
            written = write(fd, data, offset)
            self.wrote_path(path_of(fd), data[:written], offset)
            return written

        try:
            with mock.patch.object(wal, "_sync", sync), mock.patch.object(os, "pwrite", pwrite):
                yield
        finally:
            vfs.unregister()
            apsw.set_default_vfs(_BASE)


class _Vfs(apsw.VFS):
    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        super().__init__(f"recording-{id(recorder)}", _BASE, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 -- SQLite's name
        if name is None:  # of the process alone: no power failure leaves anything of it
            return super().xOpen(name, flags)
        return _File(self.recorder, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.recorder.deleted(filename, synced=syncdir)


class _File(apsw.VFSFile):
    """A file whose writes are recorded once they are done; syncs take no time."""

    def __init__(self, recorder: Recorder, name: Any, flags: list[int]) -> None:
        super().__init__(_BASE, name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._recorder = recorder
        self._number = recorder.opened(path)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._recorder.operations.append(Operation("write", self._number, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        super().xTruncate(size)
        self._recorder.operations.append(Operation("truncate", self._number, size))

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802 -- SQLite's
        self._recorder.synced(self._number)


@dataclass
class _Content:
    """One file: what is certain, and what has been written since."""

    certain: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)

    def sync(self) -> None:
        for operation in self.pending:
            _apply(self.certain, operation)
        self.pending.clear()

    def kept(self) -> bytes:
        content = bytearray(self.certain)
        for operation in self.pending:
            _apply(content, operation)
        return bytes(content)

    def torn(self, chance: random.Random, sector: int) -> bytes:
        """Some of the sectors as they were, others as they are or were in between; any of the lengths."""
        sizes = [len(self.certain)]
        for operation in self.pending:
            sizes.append(_size_after(sizes[-1], operation))
        content = bytearray(self.certain).ljust(max(sizes), b"\0")
        if chance.random() < 0.3:  # blocks that belonged to another file
            content[len(self.certain) :] = chance.randbytes(len(content) - len(self.certain))
        share, count = chance.choice([0.05, 0.5, 0.95]), len(self.pending)
        until: dict[int, int] = {}
        for index, operation in enumerate(self.pending):
            start, data = operation.offset, operation.data
            if operation.kind == "truncate":
                data = bytes(max(0, len(content) - start))
            for number in range(start // sector, (start + len(data) + sector - 1) // sector):
                if number not in until:
                    until[number] = count if chance.random() < share else chance.choice([0, 0, index + 1])
                if index < until[number]:
                    first, last = max(start, number * sector), min(start + len(data), (number + 1) * sector)
                    content[first:last] = data[first - start : last - start]
        return bytes(content[: chance.choice([*sizes, sizes[-1], sizes[-1]])])


def _size_after(size: int, operation: Operation) -> int:
    if operation.kind == "truncate":
        return operation.offset
    return max(size, operation.offset + len(operation.data))


def _apply(content: bytearray, operation: Operation) -> None:
    end = _size_after(len(content), operation)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if operation.kind == "truncate":
        del content[end:]
    else:
        content[operation.offset : operation.offset + len(operation.data)] = operation.data


class Disk:
    """What is on the disk while a recording is gone through, operation by operation."""

    def __init__(self) -> None:
        self._contents: dict[int, _Content] = {}
        self._names: dict[str, int] = {}
        self._pending_names: list[Operation] = []

    def take(self, operation: Operation) -> None:
        """The operation has happened."""
        match operation.kind:
            case "write" | "truncate":
                self._contents[operation.file].pending.append(operation)
            case "sync":
                self._contents[operation.file].sync()
            case "link" | "unlink":
                self._contents.setdefault(operation.file, _Content())
                self._pending_names.append(operation)
            case "folder":
                self._names = self._names_after(len(self._pending_names))
                self._pending_names.clear()

    @property
    def is_certain(self) -> bool:
        """Whether a power failure can leave one state only."""
        return not self._pending_names and not any(c.pending for c in self._contents.values())

    def _names_after(self, number: int) -> dict[str, int]:
        names = dict(self._names)
        for operation in self._pending_names[:number]:
            if operation.kind == "link":
                names[operation.data] = operation.file
            else:
                names.pop(operation.data, None)
        return names

    def states(self, chance: random.Random, torn: int) -> Iterator[tuple[str, dict[str, bytes]]]:
        """What a power failure may leave at this moment: contents by name, and what kind of state it is."""
        names = self._pending_names
        yield "dropped", self._state(0, lambda content: bytes(content.certain))
        if self.is_certain:
            return
        yield "kept", self._state(len(names), _Content.kept)
        for _ in range(torn):
            sector = chance.choice([512, 4096])
            kept = chance.randint(0, len(names))
            yield f"torn {sector}", self._state(kept, partial(_Content.torn, chance=chance, sector=sector))

    def _state(self, names: int, content: Callable[[_Content], bytes]) -> dict[str, bytes]:
        return {name: content(self._contents[file]) for name, file in self._names_after(names).items()}


def write_state(folder: Path, state: dict[str, bytes], chance: random.Random) -> None:
    """Make a folder hold a state. The index of the WAL is no part of it: after a crash it may be rubbish."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in state.items():
        (folder / name).write_bytes(content)
        if name.endswith("-wal") and chance.random() < 0.3:
            (folder / name.replace("-wal", "-shm")).write_bytes(chance.randbytes(32768))
