"""The limit: each measurement without a queue around it, only with what it can't do without.

And the parts of liteq that are nearest to it, alone: they tell what its storage costs and what the rest does.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import apsw

from liteq import clock
from liteq.identity import identify
from liteq.messages import Attempted, Claim, Disposition, Message, Outcome, Settlement, new_id
from liteq.storage.sqlite.connection import Durability
from liteq.storage.sqlite.engine import SqliteStorage

_BATCH = 64
_CHECKPOINT = 2_000  # pages, as the dispatcher does it
_MESSAGE = b"x" * 80

_TABLES = (
    "CREATE TABLE message (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, data BLOB NOT NULL) STRICT",
    "CREATE TABLE claim (seq INTEGER PRIMARY KEY, owner INTEGER NOT NULL, attempt INTEGER NOT NULL) STRICT",
    "CREATE TABLE result (id TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
)


def _connect(folder: Path, durability: str) -> apsw.Connection:
    db = apsw.Connection(str(folder / "bare.db"))
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", durability)
    db.pragma("wal_autocheckpoint", _CHECKPOINT)
    for table in _TABLES:
        db.execute(table)
    return db


class Loop(NamedTuple):
    """What the bare loop makes."""

    rate: float
    """Tasks a second."""
    cpu: float
    """µs of CPU a task."""


def loop(folder: Path, durability: str, tasks: int, *, ordered: bool = False) -> Loop:
    """The bare SQL loop.

    Each transaction settles the 64 tasks that the one before it has claimed, and claims the next 64. For each
    task that is four rows: its claim is inserted, and later deleted together with the message, and the result
    is inserted under the task's id. That is a random one of 36 characters, as huey's are; `ordered` ids go
    to the end of the table, as liteq's do, and cost less. A message is found by its number,
    in the order of arrival. One process, no worker, nothing is decoded: no priorities, no ids to look
    messages up by, no history, no fence. Nothing that delivers a task at least once and stores its result can
    do with less; the queue is what comes on top.
    """
    folder.mkdir()
    db = _connect(folder, durability)
    ids = _ids(tasks) if ordered else [str(uuid4()) for _ in range(tasks)]
    with db:
        db.executemany("INSERT INTO message (id, data) VALUES (?, ?)", [(id, _MESSAGE) for id in ids])
    began, cpu = time.perf_counter(), time.process_time()
    held: list[tuple[Any, ...]] = []
    last = 0
    while True:
        db.execute("BEGIN IMMEDIATE")
        seqs = [(seq,) for seq, _, _ in held]
        db.executemany("DELETE FROM claim WHERE seq = ?", seqs)
        db.executemany("DELETE FROM message WHERE seq = ?", seqs)
        db.executemany("INSERT INTO result VALUES (?, ?)", [(id, b"1") for _, id, _ in held])
        claimed = "SELECT seq, id, data FROM message WHERE seq > ? ORDER BY seq LIMIT ?"
        held = list(db.execute(claimed, (last, _BATCH)))
        db.executemany("INSERT INTO claim VALUES (?, 1, 1)", [(seq,) for seq, _, _ in held])
        db.execute("COMMIT")
        if not held:
            break
        last = held[-1][0]
    result = Loop(tasks / (time.perf_counter() - began), (time.process_time() - cpu) / tasks * 1e6)
    db.close()
    return result


def storage(folder: Path, durability: Durability, tasks: int) -> Loop:
    """The bare loop with liteq's own storage: no workers, no lines to them, nothing is decoded."""
    folder.mkdir()
    queue = SqliteStorage(filename=folder / "queue.db", durability=durability)
    now, never = clock.now(), 10**15
    queue.put([Message(new_id(), "app.noop", _MESSAGE) for _ in range(tasks)], now)
    owner = queue.register(identify())
    began, cpu = time.perf_counter(), time.process_time()
    claims: list[Claim] = []
    attempted = Attempted(now, 10, os.getpid())
    while True:
        ended = [
            Settlement(claim.key, Outcome(Disposition.DONE, "complete", ((claim.id, b"1"),)), attempted)
            for claim in claims
        ]
        with queue.batch():
            queue.settle(ended, clock.now())
            claims = queue.claim(owner, _BATCH, now=clock.now(), lease=never)
        if not claims:
            break
        queue.maintain()
    result = Loop(tasks / (time.perf_counter() - began), (time.process_time() - cpu) / tasks * 1e6)
    queue.close()
    return result


def statements(folder: Path, durability: Durability, count: int) -> float:
    """Calls a second of liteq's storage alone: one message each, one commit each, the bell rung."""
    folder.mkdir()
    queue = SqliteStorage(filename=folder / "queue.db", durability=durability)
    messages = [Message(new_id(), "app.noop", _MESSAGE) for _ in range(count + 20)]
    now = clock.now()
    for message in messages[:20]:
        queue.put([message], now)
    began = time.perf_counter()
    for message in messages[20:]:
        queue.put([message], now)
    rate = count / (time.perf_counter() - began)
    queue.close()
    return rate


def inserts(folder: Path, durability: str, count: int) -> float:
    """Messages a second, each inserted and committed by itself: one statement, one row in one table."""
    folder.mkdir()
    db = _connect(folder, durability)
    ids = _ids(count + 20)
    for id in ids[:20]:
        db.execute("INSERT INTO message (id, data) VALUES (?, ?)", (id, _MESSAGE))
    began = time.perf_counter()
    for id in ids[20:]:
        db.execute("INSERT INTO message (id, data) VALUES (?, ?)", (id, _MESSAGE))
    rate = count / (time.perf_counter() - began)
    db.close()
    return rate


def bulk(folder: Path, durability: str, count: int) -> float:
    """Messages a second that are there already, inserted in one transaction."""
    folder.mkdir()
    db = _connect(folder, durability)
    rows = [(id, _MESSAGE) for id in _ids(count)]
    began = time.perf_counter()
    with db:
        db.executemany("INSERT INTO message (id, data) VALUES (?, ?)", rows)
    rate = count / (time.perf_counter() - began)
    db.close()
    return rate


def _ids(count: int) -> list[str]:
    """Ids of 36 characters in the order of time: random ones would scatter the writes."""
    tail = os.urandom(10).hex()
    return [f"{n >> 16:08x}-{n & 0xFFFF:04x}-{tail[:4]}-{tail[4:8]}-{tail[8:]}" for n in range(count)]


def copy(folder: Path, count: int, size: int) -> float:
    """Bytes a second of copying a file, with an fsync after each piece as after a commit of that size."""
    folder.mkdir()
    source = folder / "source"
    source.write_bytes(os.urandom(size) * count)
    began = time.perf_counter()
    with source.open("rb") as reading, (folder / "copy").open("wb") as writing:
        while piece := reading.read(size):
            writing.write(piece)
            writing.flush()
            os.fsync(writing.fileno())
    return count * size / (time.perf_counter() - began)


def pool(work: Any, workers: int, count: int, argument: int) -> float:
    """Calls a second in a bare `multiprocessing.Pool`, each handed out by itself, without its start."""
    with multiprocessing.get_context("fork").Pool(workers) as made:
        made.map(work, [argument] * max(10, count // 10), chunksize=1)
        began = time.perf_counter()
        made.map(work, [argument] * count, chunksize=1)
        return count / (time.perf_counter() - began)
