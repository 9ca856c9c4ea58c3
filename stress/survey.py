"""What was promised when the power fails, and whether a state that it leaves keeps it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from liteq import SqliteHuey, clock
from liteq.exceptions import StorageError
from liteq.identity import Identity
from liteq.storage.sqlite.connection import Durability
from liteq.storage.sqlite.errors import FROM_FILE
from liteq.storage.sqlite.verify import verify
from liteq.workers.recovery import recover


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
        """Note what an event promises of the messages of these ids."""
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
                case "popped":
                    self.popped.add(id)
                case _:
                    self._take_end(what, id)

    def _take_end(self, what: str, id: str) -> None:
        following = f"again-next-{id}"
        match what:
            case "done" | "dead":
                self.ending.add(id)
            case "followed":
                self.ending.add(id)
                self._ask(following, (following,))
            case "done for sure" | "dead for sure":
                self.ended.add(id)
            case "followed for sure":
                self.ended.add(id)
                self.acknowledged[following] = self.now
            case "back for sure":
                pass  # it may be there, and may run again
            case _:
                raise ValueError(f"no event is {what!r}")

    def _ask(self, id: str, ids: tuple[str, ...]) -> None:
        self.put[id] = ids
        self.asked[id] = self.now


class Survey:
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
        except (StorageError, *FROM_FILE) as error:
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
