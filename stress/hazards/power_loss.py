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
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest import mock

import apsw

from liteq import SqliteHuey, clock
from liteq.exceptions import StorageError
from liteq.identity import Identity
from liteq.messages import Claim, Disposition, Message, Outcome, Settlement, new_id
from liteq.storage.sqlite import SqliteStorage, engine
from liteq.storage.sqlite.connection import Durability
from liteq.storage.sqlite.verify import verify
from liteq.workers.beat import Beat
from liteq.workers.ledger import Ledger
from liteq.workers.pool import Pool
from liteq.workers.recovery import recover
from liteq.workers.shared import Journal
from stress.recording import Disk, Operation, Recorder, write_state
from stress.report import Report

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
        self._ledger = Ledger(self.huey, owner, 60 * clock.SECOND, beat, Journal())
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


@dataclass
class Promised:
    """What is known of each task when the power fails."""

    put: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """With which others it was stored in one call."""
    asked: dict[str, int] = field(default_factory=dict)
    """When that call began."""
    acknowledged: dict[str, int] = field(default_factory=dict)
    """When it returned."""
    ending: set[str] = field(default_factory=set)
    """May have ended."""
    ended: set[str] = field(default_factory=set)
    popped: set[str] = field(default_factory=set)
    synced: int = 0
    """When the WAL was last synchronised."""
    started: dict[str, bool] = field(default_factory=dict)
    """Started at least once, and whether it may have been given back since."""

    now: int = 0

    def take(self, event: tuple[str, tuple[str, ...]]) -> None:
        what, ids = event
        self.now += 1
        for id in ids:
            match what:
                case "put":
                    self._ask(id, ids)
                case "acknowledged":
                    self.acknowledged[id] = self.now
                case "started":
                    self.started[id] = False
                case "back":
                    self.started[id] = True
                case "done" | "dead" | "followed":
                    self.ending.add(id)
                    if what == "followed":
                        self._ask(f"again-next-{id}", (f"again-next-{id}",))
                case "done for sure" | "dead for sure" | "followed for sure":
                    self.ended.add(id)
                    if what == "followed for sure":
                        self.acknowledged[f"again-next-{id}"] = self.now
                case "popped":
                    self.popped.add(id)

    def _ask(self, id: str, ids: tuple[str, ...]) -> None:
        self.put[id] = ids
        self.asked[id] = self.now


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
            broken, lost = _Survey(folder / "queue.db", level, promised).check()
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


class _Survey:
    """One state after a failure, and the promises."""

    def __init__(self, path: Path, level: Durability, promised: Promised) -> None:
        self._path = path
        self._level = level
        self._promised = promised
        self._broken: list[str] = []

    def check(self) -> tuple[list[str], int]:
        """The promises that are broken, and how many acknowledged tasks are lost that may be."""
        huey = SqliteHuey(filename=self._path, durability="off")
        try:
            huey.storage.pending_count()  # liteq opens it, as a consumer would
            self._broken += verify(str(self._path)).problems
            states = self._read()
            lost = self._check_tasks(states)
            self._check_batches(states)
            self._check_recovery(huey, states)
        except (StorageError, apsw.Error) as error:
            return [*self._broken, f"it can't be used: {error}".replace(str(self._path), "the file")], 0
        finally:
            with suppress(StorageError):
                huey.storage.close()
        return self._broken, lost

    def _read(self) -> dict[str, str]:
        """Where each task is: in a table of messages, or in the result store only."""
        connection = apsw.Connection(str(self._path))
        states = {key: "result" for (key,) in connection.execute("SELECT key FROM result")}
        for table in ("priority", "schedule", "claim", "dead"):
            rows = connection.execute(f"SELECT id FROM {table} AS s JOIN queue AS q ON q.seq = s.seq")
            states.update({id: table for (id,) in rows})
        connection.close()
        return states

    def _say(self, what: str, ids: list[str]) -> None:
        if ids:
            self._broken.append(f"{what} ({len(ids)} such as {str(ids[0])[:12]})")

    def _check_tasks(self, states: dict[str, str]) -> int:
        p = self._promised
        gone = [id for id in p.acknowledged if id not in states and id not in p.popped]
        self._say("tasks that nobody stored", [id for id in states if id not in p.put])
        self._say("results of tasks that had not ended", [
            id for id, state in states.items() if state in {"result", "dead"} and id not in p.ending
        ])  # fmt: skip
        if self._level != "full":
            early = [id for id in gone if p.acknowledged[id] <= p.synced]
            self._say("tasks from before the last checkpoint are lost", early)
            self._say("a task is lost, and one that was acknowledged later is not", self._holes(gone, states))
            return len(gone)
        self._say("acknowledged tasks are lost", gone)
        alive = {"priority", "schedule", "claim"}
        self._say("tasks whose end was stored are to run again", [
            id for id in p.ended if states.get(id) in alive
        ])  # fmt: skip
        return 0

    def _holes(self, gone: list[str], states: dict[str, str]) -> list[str]:
        """A call that began when another had returned is lost if that is."""
        asked = self._promised.asked
        last = max((asked[id] for id in states if id in asked), default=-1)
        return [id for id in gone if self._promised.acknowledged[id] < last]

    def _check_batches(self, states: dict[str, str]) -> None:
        partly = [
            ids[0] for ids in set(self._promised.put.values())
            if len({id in states or id in self._promised.popped for id in ids}) > 1
        ]  # fmt: skip
        self._say("calls of which a part was stored", partly)

    def _check_recovery(self, huey: Any, states: dict[str, str]) -> None:
        """The next consumer recovers what the failed one held, and claims all that can run."""
        owner = huey.storage.register(Identity("this boot", 2, "2"))
        recover(huey, owner)
        claims = huey.storage.claim(owner, 10_000, now=clock.now() + clock.MINUTE, lease=0)
        runs = {claim.id for claim in claims}
        if self._level == "full":
            started = self._promised.started.items()
            again = [id for id, may in started if not may and id.startswith("once") and id in runs]
            self._say("at-most-once tasks that had started run again", again)
        expected = {id for id, state in states.items() if state == "priority"}
        expected |= {id for id, state in states.items() if state == "claim" and id.startswith("again")}
        self._say("tasks that do not run", sorted(expected - runs))
