"""The verbs about what the queue holds, and what became of tasks."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from liteq import clock
from liteq.messages import ClaimKey
from liteq.storage.base import DeadTask
from liteq.storage.contract.records import Counts, Entry, Progress, Retention, Running, Standing, Start
from liteq.storage.redis import packing
from liteq.storage.redis.calls import Calls, limit_of
from liteq.storage.redis.server import Arg


class RecordVerbs(Calls):
    """Records of one queue on the server."""

    retention: Retention

    # What the queue holds

    def pending(self, limit: int | None = None) -> list[bytes]:
        return list(self._call("pending", limit_of(limit)))

    def pending_count(self) -> int:
        return self.counts().ready

    def scheduled(self, limit: int | None = None) -> list[bytes]:
        return list(self._call("scheduled", limit_of(limit)))

    def scheduled_count(self) -> int:
        return self.counts().scheduled

    def running_count(self) -> int:
        return self.counts().claimed

    def dead(self, limit: int | None = None) -> list[DeadTask]:
        return [_dead(*row) for row in self._call("dead", limit_of(limit))]

    def delete_dead(self, ids: Sequence[str]) -> int:
        return int(self._call("delete_dead", len(ids), *ids))

    def delete_dead_before(self, died: int, limit: int) -> int:
        return int(self._call("delete_dead_before", died, limit))

    def flush(self) -> None:
        self._call("flush", wanted=False)

    # What became of tasks

    def standing(self, id: str) -> Standing:
        state, entry, result = self._call("standing", id, clock.now())
        last = _entry(entry).status if entry else ""
        return Standing(state.decode(), "" if state == b"chained" else last, result)

    def counts(self) -> Counts:
        return Counts(*self._call("counts"))

    def history(
        self, limit: int | None = None, *, id: str | None = None, name: str | None = None
    ) -> list[Entry]:
        asked = limit if id is None and name is None else None
        entries = (_entry(packed) for packed in self._call("history", packing.optional(asked)))
        return [it for it in entries if id in {None, it.id} and name in {None, it.name}][:limit]

    def prune_history(self, now: int, limit: int) -> int:
        before = None if self.retention.age is None else now - self.retention.age
        return int(self._call("prune_history", self.retention.entries, packing.optional(before), limit))

    def running(self, limit: int | None = None) -> list[Running]:
        rows = sorted((_running(*row) for row in self._call("running")), key=lambda row: row[0])
        return [row for _, row in rows[:limit]]

    def note_starts(self, starts: Sequence[Start]) -> None:
        args: list[Arg] = [len(starts)]
        for key, started, worker in starts:
            args += [*packing.key_args(key), packing.encode_json([started, worker])]
        self._call("note_starts", *args, wanted=False)

    def set_progress(self, key: ClaimKey, progress: Progress) -> bool:
        return bool(self._call("set_progress", *packing.key_args(key), packing.encode_json(progress)))

    def progress(self, id: str) -> Progress | None:
        return _progress(self._call("progress", id))


def _dead(record: bytes, data: bytes, death: bytes) -> DeadTask:
    attempts, crashes, _, _, packed = record.split(b" ", 4)
    id, name, *_ = json.loads(packed)
    died, exit_code, peak, reason = death.split(b" ", 3)
    return DeadTask(
        id,
        name,
        data,
        int(attempts),
        int(crashes),
        int(died),
        reason.decode(),
        packing.from_dash(exit_code),
        packing.from_dash(peak),
    )


def _entry(packed: bytes) -> Entry:
    return Entry(*json.loads(packed))


def _progress(packed: bytes | None) -> Progress | None:
    return None if packed is None else Progress(*json.loads(packed))


def _running(
    seq: bytes, claim: bytes, record: bytes, start: bytes | None, progress: bytes | None
) -> tuple[Any, Running]:
    """A claim with what it is sorted by: when it began, and then its place."""
    attempt, owner, *_ = claim.split(b" ", 3)
    id, name, *_ = json.loads(record.split(b" ", 4)[4])
    started, worker = (None, None) if start is None else json.loads(start)
    order = (started is None, started or 0, int(seq))
    return order, Running(id, name, int(attempt), int(owner), started, worker, _progress(progress))
