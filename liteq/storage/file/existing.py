"""Folders of queues that are there already, to look at them: none is made. And a check that one is whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from liteq.exceptions import StorageDamaged, StorageError
from liteq.storage.file import mirror
from liteq.storage.file.disk import DAMAGED, Disk
from liteq.storage.file.engine import FileStorage
from liteq.storage.file.layout import MESSAGES, Items
from liteq.storage.memory import MemoryStorage

_TIMEOUT = 60


@dataclass
class Verification:
    """What a queue's folder holds, and what is wrong with it."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    """In words, for people; empty if it is whole."""
    states: dict[str, int] = field(default_factory=dict)
    """How many messages are in each state."""
    results: int = 0

    def named_states(self) -> dict[str, int]:
        """The same, by the names that people know."""
        return {"running" if state == "claimed" else state: number for state, number in self.states.items()}


def folders_in(path: str) -> list[Path]:
    """The folders of the queues in a folder, which may be one of these itself.

    Raises:
        StorageError: if there is none.
    """
    top = Path(path)
    try:
        found = [top] if _is_queue(top) else sorted(filter(_is_queue, top.iterdir()))
    except OSError as error:
        raise StorageError(f"{path}: it can't be read: {error.strerror}") from error
    if not found:
        raise StorageError(f"{path}: there is no queue in this folder")
    return found


def storages_in(path: str) -> list[FileStorage]:
    """Handles on these queues.

    Raises:
        StorageError: if there is none, or the name of one can't be told from its folder's.
    """
    folders = [Path(path).resolve() / folder.relative_to(path) for folder in folders_in(path)]
    for folder in folders:
        if folder.name.startswith("="):
            raise StorageError(
                f"{folder}: the name of the queue is longer than a folder's; give module.attribute"
            )
    return [FileStorage(unquote(folder.name), folder.parent) for folder in folders]


def queue_in(path: str, name: str) -> tuple[str, Path]:
    """The name of a queue and the folder in which its folder is.

    Raises:
        StorageError: if there is no such queue.
    """
    found = [storage for storage in storages_in(path) if storage.name == name or _is_queue(Path(path))]
    if not found:
        raise StorageError(f"{path}: there is no queue {name!r} in this folder")
    return found[0].name, found[0].folder.parent


def verify(folder: Path) -> Verification:
    """Read every file of a queue's folder, which may be in use meanwhile; none is changed.

    Raises:
        StorageError: if it can't be read.
    """
    found = Verification(folder)
    disk = Disk(folder, synchronous=True, timeout=_TIMEOUT)
    try:
        with disk.steady():
            items = mirror.load(disk, MemoryStorage(), mirror.nothing()).items
    except StorageDamaged as error:
        found.problems.append(str(error))
    except mirror.DamagedFilesError as error:
        found.problems += [f"{path} is damaged, or none that liteq wrote" for path in error.paths]
    else:
        found.states = {state: len(items[state]) for state in MESSAGES}
        found.results = len(items["results"])
        found.problems += _contradictions(items)
    finally:
        disk.close()
    if disk.has(DAMAGED):
        found.problems += [f"{DAMAGED}/{name} was set aside" for name in sorted(disk.names(DAMAGED))]
    return found


def _contradictions(items: Items) -> list[str]:
    times = Counter(seq for state in MESSAGES for seq in items[state])
    twice = [f"message {seq} is in {number} states" for seq, number in times.items() if number > 1]
    members = {seq for seq, _ in items["ends"]} - set(times)
    return twice + [f"there are ends of members of {seq}, which is no message" for seq in sorted(members)]


def _is_queue(folder: Path) -> bool:
    return (folder / "gate").is_file() and all((folder / state).is_dir() for state in MESSAGES)
