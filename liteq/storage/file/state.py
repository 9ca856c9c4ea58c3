"""What of a queue is in `state.json`: all that is small."""
# ruff: noqa: SLF001 -- the tables belong to the storage, for which it reads and writes them

from __future__ import annotations

import json
from collections import deque
from typing import Any

from liteq.identity import Identity
from liteq.messages import ClaimKey, Revocation
from liteq.storage.base import Holder, Instant
from liteq.storage.contract.records import Progress
from liteq.storage.memory.tables import Hit, Tables

FORMAT = 2
"""Of all files of the folder; it is looked at before any of them is read."""

_PLAIN = (
    "_slots",
    "_timetable",
    "_timetable_version",
    "_counters",
    "_last_seq",
    "_last_owner",
    "_last_entry",
)
"""The tables that JSON holds as they are."""


def encode_state(tables: Tables) -> bytes:
    """The small tables, as the contents of the file."""
    plain = {name.removeprefix("_"): getattr(tables, name) for name in _PLAIN}
    structured = {
        "pauses": sorted(tables._pauses, key=lambda name: name or ""),
        "consumers": list(tables._consumers.items()),
        "revocations": tables._revocations,
        "locks": list(tables._locks.values()),
        "hits": {name: list(hits) for name, hits in tables._hits.items()},
        "progress": list(tables._progress.items()),
        "starts": list(tables._starts.items()),
    }
    return json.dumps({"format": FORMAT, **plain, **structured}, indent=1).encode()


def decode_state(contents: bytes, tables: Tables) -> None:
    """Make the small tables what the file says.

    Raises:
        ValueError, TypeError, KeyError, IndexError: if it is no such file.
    """
    state = json.loads(contents)
    if state["format"] != FORMAT:
        raise ValueError(f"its format is {state['format']}, and this liteq reads {FORMAT}")
    decoded = {name: state[name.removeprefix("_")] for name in _PLAIN} | {
        "_pauses": set(state["pauses"]),
        "_consumers": {owner: _consumer(*both) for owner, both in state["consumers"]},
        "_revocations": {key: Revocation(*row) for key, row in state["revocations"].items()},
        "_locks": {(row[0], row[1]): _holder(*row) for row in state["locks"]},
        "_hits": {
            name: deque(Hit(Instant(*at), per) for at, per in rows) for name, rows in state["hits"].items()
        },
        "_progress": {seq: Progress(*row) for seq, row in state["progress"]},
        "_starts": {seq: tuple(row) for seq, row in state["starts"]},
    }
    tables.set_contents(decoded)


def _consumer(registered: Any, attending: Any) -> tuple[Identity, Identity | None]:
    return Identity(*registered), None if attending is None else Identity(*attending)


def _holder(name: str, token: str, process: Any, claim: Any, expires: int | None) -> Holder:
    return Holder(name, token, Identity(*process), None if claim is None else ClaimKey(*claim), expires)
