"""Power failures: every state that one may leave on the disk is opened, and held against what was promised.

Producers, a dispatcher's ledger and readers of results work on one queue while all that reaches the disk is
recorded. Then the power fails after operations picked by chance, in all the ways of `stress.recording`.

    python stress/run.py power_loss
"""

from __future__ import annotations

import logging
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from unittest import mock

from liteq import SqliteHuey, clock
from liteq.identity import Identity
from liteq.messages import Claim, Disposition, Message, Outcome, Settlement, new_id
from liteq.storage.sqlite import SqliteStorage, engine
from liteq.storage.sqlite.connection import Durability
from liteq.workers.beat import Beat
from liteq.workers.ledger import Ledger
from liteq.workers.pool import Pool
from liteq.workers.rings import Rings
from stress.recording import Disk, Operation, Recorder, write_state
from stress.report import Report
from stress.survey import Promised, Survey

_TORN = 3
"""Torn states that are tried for each cut."""
_CUTS = 60
"""About so many cuts are made in one pass through a recording."""
_IN_HAND = 12


@dataclass
class Tally:
    """What was tried, and what was found."""

    report: Report = field(default_factory=lambda: Report("power_loss"))
    states: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    most_lost: int = 0
    """Acknowledged tasks, at the most in one state, that a level below full may lose."""


def run(seed: int, seconds: float, _workers: int) -> Report:
    """Fail in all ways for so long, at the levels full and normal."""
    tally = Tally()
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        share = min(end, time.monotonic() + max(3.0, seconds / 8))
        level: Durability = "full" if number % 4 < 3 else "normal"
        try_one(f"{seed} {number}", level, share, tally)
        number += 1
    tally.report.faults = tally.states
    tally.report.note = f"{tally.kinds}; lost at the most with durability normal: {tally.most_lost}"
    return tally.report


def try_one(
    seed: str, level: Durability, until: float, tally: Tally, *, deaf: bool = False, sizes: int = 30
) -> None:
    """Record one run of the queue, and try the states that it may leave until the time is over."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="liteq-power-", dir=_memory()) as folder:
        recorder = Recorder(deaf=deaf)
        with recorder.recording(), _checkpoints_after(sizes):
            _work(Path(folder, "recorded"), level, chance, recorder)
        chances = random.Random(f"{seed} cuts")
        with _quiet():
            while time.monotonic() < until:
                _cut(recorder.operations, Path(folder, "state"), level, chances, until, tally)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _checkpoints_after(pages: int) -> AbstractContextManager[object]:
    """Checkpoints after so few pages that a short run has many."""
    return mock.patch.multiple(engine, _PAGES_BEFORE_CHECKPOINT=pages, _PAGES_BEFORE_RESTART=2 * pages)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a line in the log for each recovery."""
    logger = logging.getLogger("huey.consumer")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


# The work


def _work(folder: Path, level: Durability, chance: random.Random, recorder: Recorder) -> None:
    folder.mkdir()
    path = folder / "queue.db"
    producing = threading.Event()
    producing.set()
    threads = [
        threading.Thread(target=_produce, args=(path, level, chance.random(), recorder)) for _ in range(2)
    ]
    reader = threading.Thread(target=_read, args=(path, level, recorder, producing))
    for thread in [*threads, reader]:
        thread.start()
    consumer = _Consumer(path, level, chance, recorder)
    while any(thread.is_alive() for thread in threads):
        consumer.turn()
    for _ in range(10):
        consumer.turn()
    producing.clear()
    reader.join()
    consumer.huey.storage.close()


def _produce(path: Path, level: Durability, seed: float, recorder: Recorder) -> None:
    """Store messages, alone and several at a time; an id says what they are."""
    chance = random.Random(seed)
    storage = SqliteStorage("huey", path, durability=level)
    for _ in range(40):
        messages = [_message(chance) for _ in range(chance.choice([1, 1, 1, 5]))]
        ids = tuple(message.id for message in messages)
        recorder.event("put", ids)
        storage.put(messages, clock.now())
        recorder.event("acknowledged", ids)
        time.sleep(chance.choice([0, 0, 0.001]))
    storage.close()


def _message(chance: random.Random) -> Message:
    kind = chance.choice(["again", "again", "once"])
    due = clock.now() + chance.choice([5_000, 3_600_000_000]) if chance.random() < 0.2 else None
    return Message(
        f"{kind}-{new_id()}", kind, chance.randbytes(chance.choice([50, 500, 9_000])), chance.randint(0, 2),
        due, kind == "once",
    )  # fmt: skip


def _read(path: Path, level: Durability, recorder: Recorder, producing: threading.Event) -> None:
    """Take results out of the store."""
    storage = SqliteStorage("huey", path, durability=level)
    while producing.is_set():
        for key in list(storage.results())[::2]:
            recorder.event("popped", (key,))
            storage.pop_result(key)
        time.sleep(0.003)
    storage.close()


class _Consumer:
    """The dispatcher's ledger, with workers that do nothing and take their time over it."""

    def __init__(self, path: Path, level: Durability, chance: random.Random, recorder: Recorder) -> None:
        self.huey = SqliteHuey(filename=path, durability=level)
        self._chance = chance
        self._recorder = recorder
        self._hands: dict[int, Claim] = {}
        # A boot that is over: whoever opens the file after the failure knows that this consumer is gone.
        owner = self.huey.storage.register(Identity("an earlier boot/pid:[1]", 1, "1"))
        beat = Beat(self.huey, enabled=False)
        self._ledger = Ledger(self.huey, owner, 60 * clock.SECOND, beat, Rings(1))
        self._unsettled: list[tuple[str, str]] = []

    # What the ledger asks of a pool

    def room(self) -> int:
        return _IN_HAND - len(self._hands)

    def idle(self) -> int:
        return self.room()

    def hand_out(self, claims: list[Claim], _now: int) -> list[Claim]:
        for claim in claims:
            self._recorder.event("started", (claim.id,))
            self._hands[claim.seq] = claim
        return []

    # What becomes of what it handed out

    def turn(self) -> None:
        for seq in list(self._hands):
            if self._chance.random() < 0.4:
                self._end(self._hands.pop(seq))
        self._ledger.look = True
        self._ledger.turn(clock.now(), clock.monotonic(), cast("Pool", self), claiming=True)
        if self._ledger.is_clear:
            for how, id in self._unsettled:
                self._recorder.event(f"{how} for sure", (id,))
            self._unsettled.clear()
        self.huey.storage.maintain()
        time.sleep(0.0002)

    def _end(self, claim: Claim) -> None:
        how = self._chance.choice(["done", "done", "done", "followed", "back", "dead"])
        outcome = Outcome(Disposition.DONE, "complete", ((claim.id, claim.id.encode()),))
        if how == "back":
            outcome = Outcome(Disposition.BACK, "released")
        elif how == "dead":
            outcome = outcome._replace(disposition=Disposition.DEAD, reason="by chance")
        elif how == "followed":
            next_stage = Message(f"again-next-{claim.id}", "again", b"x")
            outcome = outcome._replace(messages=(next_stage,))
        self._recorder.event(how, (claim.id,))
        self._unsettled.append((how, claim.id))
        self._ledger.settle(Settlement(claim.key, outcome))


# The failure


def _cut(
    operations: list[Operation], folder: Path, level: Durability, chance: random.Random, until: float,
    tally: Tally,
) -> None:  # fmt: skip
    """Go through the recording, and let the power fail after some of its operations."""
    disk, promised, wal = Disk(), Promised(), 0
    share = _CUTS / len(operations)
    for operation in operations:
        if operation.kind == "event":
            promised.take(operation.data)
        elif operation.kind == "link" and operation.data.endswith("-wal"):
            wal = operation.file
        elif operation.kind == "sync" and operation.file == wal:
            promised.synced = promised.now
        disk.take(operation)
        if chance.random() > share and (operation.kind != "folder" or chance.random() < 0.5):
            continue
        for kind, state in disk.states(chance, _TORN):
            write_state(folder, state, chance)
            broken, lost = Survey(folder / "queue.db", level, promised).check()
            tally.states += 1
            tally.kinds[kind] = tally.kinds.get(kind, 0) + 1
            tally.most_lost = max(tally.most_lost, lost)
            tally.report.acknowledged += len(promised.acknowledged)
            tally.report.started += len(promised.started)
            tally.report.broken += [f"{level}, {kind}: {one}" for one in broken if _is_new(one, tally)]
            if time.monotonic() > until:
                return


def _is_new(what: str, tally: Tally) -> bool:
    return len(tally.report.broken) < 10 and not any(what in known for known in tally.report.broken)
