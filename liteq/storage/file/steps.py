"""The steps by which a folder becomes what the queue in memory is: put, rename and remove files."""

from __future__ import annotations

from typing import Any, NamedTuple

from liteq.storage.file import layout
from liteq.storage.file.layout import MESSAGES, Items


class Put(NamedTuple):
    """A new file."""

    path: str
    contents: bytes


class Move(NamedTuple):
    """A file that gets another name."""

    old: str
    path: str


class Remove(NamedTuple):
    """A file that goes."""

    path: str


Step = Put | Move | Remove


def steps(before: Items, after: Items) -> list[Step]:
    """What has to happen to the files of `before`, so that they are those of `after`."""
    taken: list[Step] = []
    gone: dict[int, str] = {}
    come: dict[int, tuple[str, object]] = {}
    for folder in MESSAGES:
        left, arrived = _difference(before[folder], after[folder])
        gone |= {seq: layout.path_of(folder, seq, before[folder][seq]) for seq in left}
        come |= {seq: (folder, after[folder][seq]) for seq in arrived}
    for seq, (folder, value) in come.items():
        path = layout.path_of(folder, seq, value)
        old = gone.pop(seq, None)
        taken.append(Put(path, layout.encode(folder, seq, value)) if old is None else Move(old, path))
    taken += map(Remove, gone.values())
    for folder in layout.OTHERS:
        left, arrived = _difference(before[folder], after[folder])
        taken += [Remove(layout.path_of(folder, key, before[folder][key])) for key in left]
        for key in arrived:
            value = after[folder][key]
            taken.append(Put(layout.path_of(folder, key, value), layout.encode(folder, key, value)))
    return taken


def _difference(before: dict[Any, Any], after: dict[Any, Any]) -> tuple[list[Any], list[Any]]:
    """The keys of which the old value goes, and those of which a new one comes; what changes is in both."""
    if before == after:  # quick, where most values are the same objects
        return [], []
    missing = object()
    gone = [key for key, value in before.items() if after.get(key, missing) != value]
    come = [key for key, value in after.items() if before.get(key, missing) != value]
    return gone, come


def brings_work(step: Step) -> bool:
    """Whether consumers may have more to do after it."""
    return not isinstance(step, Remove) and step.path.startswith(("ready/", "scheduled/"))


def ends_tasks(step: Step) -> bool:
    """Whether somebody may have waited for it."""
    if isinstance(step, Remove):
        return step.path.startswith(tuple(f"{folder}/" for folder in MESSAGES))
    return step.path.startswith(("results/", "dead/"))
