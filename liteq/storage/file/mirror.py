"""The queue in memory and what of it is in files: from one to the other."""
# ruff: noqa: SLF001 -- the tables belong to the storage, for which it reads and writes them

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from liteq.messages import MemberEnd, Message
from liteq.storage.base import DeadTask
from liteq.storage.file import layout
from liteq.storage.file.disk import Disk
from liteq.storage.file.layout import MESSAGES, OTHERS, Held, Items, Reason, Value
from liteq.storage.file.state import decode_state, encode_state
from liteq.storage.memory.tables import Tables

STATE = "state.json"


_UNKNOWN = Reason(0, "unknown: the file with the reason is gone", None, None)


class Stored(NamedTuple):
    """What is in the folder."""

    items: Items
    state: bytes
    watched: object
    """The part of the state whose changes concern consumers."""


def nothing() -> Stored:
    """What is in a folder that is empty."""
    return Stored(layout.no_items(), b"", None)


def stored_form(tables: Tables) -> Stored:
    """What should be in the folder."""
    t = tables
    first = t._last_entry - len(t._history) + 1
    items: Items = {
        "ready": {seq: message for _, seq, message in chain(t._ready, *t._parked.values())},
        "scheduled": {seq: message for _, seq, message in t._scheduled},
        "waiting": dict(t._waiting.values()),
        "claimed": {seq: Held(*both, t._leases[seq]) for seq, both in t._claims.items()},
        "dead": {seq: message for seq, (_, message) in t._dead.items()},
        "reasons": {
            (seq, dead.attempts): Reason(dead.died, dead.reason, dead.exit_code, dead.peak_memory)
            for seq, (dead, _) in t._dead.items()
        },
        "ends": {(seq, place): end for seq, ends in t._ends.items() for place, end in ends.items()},
        "results": {key: Value(*value) for key, value in t._results.items()},
        "history": dict(enumerate(t._history, first)),
    }
    return Stored(items, encode_state(t), _watched(t))


class DamagedFilesError(Exception):
    """Files that are damaged, or none that liteq wrote; they have to be set aside."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(paths)
        self.paths = paths


def load(disk: Disk, tables: Tables, last: Stored) -> Stored:
    """Make the tables what the folder holds; files that have not changed since `last` are not read again.

    Raises:
        StorageError: if the folder can't be read.
        StorageDamaged: if the file of the state is damaged.
        DamagedFilesError: if others are.
    """
    state = b""
    tables.set_contents(Tables().contents())
    if disk.has(STATE):
        with disk.decoding(STATE):
            state = disk.read(STATE)
            decode_state(state, tables)
    items = _read_items(disk, last.items)
    _fill(tables, items)
    return Stored(items, state, _watched(tables))


def _watched(t: Tables) -> object:
    return sorted(map(str, t._pauses)), t._timetable_version, dict(t._revocations)


def _read_items(disk: Disk, last: Items) -> Items:
    known = {
        layout.path_of(folder, key, item): (key, item)
        for folder in last
        for key, item in last[folder].items()
    }
    messages: dict[int, Message] = {}
    for folder in MESSAGES:
        messages |= _messages(last, folder)
    items = layout.no_items()
    damaged = []
    for path in [f"{folder}/{name}" for folder in (*MESSAGES, *OTHERS) for name in disk.names(folder)]:
        try:
            key, item = known.get(path) or _read(disk, path, messages.get)
        except layout.UNDECODABLE:
            damaged.append(path)
        else:
            items[path.partition("/")[0]][key] = item
    if damaged:
        raise DamagedFilesError(damaged)
    return items


def _read(disk: Disk, path: str, known: Callable[[int], Message | None]) -> tuple[Any, Any]:
    key, item = layout.decode(path, partial(disk.read, path), known)
    if layout.path_of(path.partition("/")[0], key, item) != path:
        raise ValueError("its name is not the one that belongs to its contents")
    return key, item


def is_damaged(disk: Disk, path: str) -> bool:
    """Whether a file that is there can't be read as what its folder says."""
    try:
        _read(disk, path, lambda _: None)
    except layout.UNDECODABLE:
        return True
    return False


def _fill(tables: Tables, items: Items) -> None:
    t = tables
    t._ready = [(-message.priority, seq, message) for seq, message in items["ready"].items()]
    t._scheduled = [(message.due, seq, message) for seq, message in items["scheduled"].items()]
    heapq.heapify(t._ready)
    heapq.heapify(t._scheduled)
    t._waiting = {message.id: (seq, message) for seq, message in items["waiting"].items()}
    held: dict[int, Held] = items["claimed"]
    t._claims = {seq: (claim, message) for seq, (claim, message, _) in held.items()}
    t._leases = {seq: lease for seq, (*_, lease) in held.items()}
    t._dead = {
        seq: (_dead_task(m, items["reasons"].get((seq, m.attempt), _UNKNOWN)), m)
        for seq, m in items["dead"].items()
    }
    t._results = dict(items["results"])
    t._history = deque(entry for _, entry in sorted(items["history"].items()))
    t._ends = _ends(items)
    living = (it for folder in MESSAGES if folder != "dead" for it in _messages(items, folder).values())
    _raise_numbers(t, items)
    t._live = Counter(id for message in living for id in (message.id, *message.chain))
    t._parked = {}


def _raise_numbers(t: Tables, items: Items) -> None:
    """No number is given twice, even if somebody has removed the file that says which was the last."""
    t._last_seq = max(t._last_seq, *(max(items[folder], default=0) for folder in MESSAGES))
    t._last_owner = max(t._last_owner, *(held.claim.owner for held in items["claimed"].values()), 0)
    t._last_entry = max(t._last_entry, max(items["history"], default=0))


def _messages(items: Items, folder: str) -> dict[int, Message]:
    if folder == "claimed":
        return {seq: held.message for seq, held in items[folder].items()}
    return items[folder]


def _dead_task(m: Message, reason: Reason) -> DeadTask:
    return DeadTask(m.id, m.name, m.data, m.attempt, m.crashes, *reason)


def _ends(items: Items) -> dict[int, dict[int, MemberEnd]]:
    """The ends of each callback, which may still have none."""
    callbacks = (
        seq
        for folder in MESSAGES
        for seq, message in _messages(items, folder).items()
        if message.gathers is not None
    )
    ends: dict[int, dict[int, MemberEnd]] = {seq: {} for seq in callbacks}
    for (seq, position), end in items["ends"].items():
        if seq in ends:
            ends[seq][position] = end
    return ends
