"""The verbs about what became of tasks: their state, the history of their attempts, their progress."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from liteq import clock
from liteq.messages import Attempted, ClaimKey, Message, Settlement
from liteq.storage.contract.records import (
    NOT_ATTEMPTS,
    Counts,
    Entry,
    Progress,
    Running,
    Standing,
    Start,
)
from liteq.storage.memory.pauses import PauseVerbs


class RecordVerbs(PauseVerbs):
    """Records of one queue in memory."""

    def standing(self, id: str) -> Standing:
        states = {
            "ready": {seq: message for _, seq, message in self._all_ready()},
            "scheduled": {seq: message for _, seq, message in self._scheduled},
            "waiting": dict(self._waiting.values()),
            "claimed": {seq: message for seq, (_, message) in self._claims.items()},
            "dead": {seq: message for seq, (_, message) in self._dead.items()},
        }
        seqs = [(seq, state) for state, them in states.items() for seq, it in them.items() if it.id == id]
        last = next((entry.status for entry in reversed(self._history) if entry.id == id), "")
        if seqs:
            return Standing(max(seqs)[1], last)
        if id in self._live:
            return Standing("chained")
        return Standing("", last, None if last else self._fresh(id, clock.now()))

    def counts(self) -> Counts:
        ready = len(self._ready) + sum(map(len, self._parked.values()))
        return Counts(ready, len(self._scheduled), len(self._claims), len(self._dead), len(self._waiting))

    def history(
        self, limit: int | None = None, *, id: str | None = None, name: str | None = None
    ) -> list[Entry]:
        wanted = (
            entry
            for entry in reversed(self._history)
            if id in {None, entry.id} and name in {None, entry.name}
        )
        return list(islice(wanted, limit))

    def _record(self, settlement: Settlement, message: Message, now: int) -> None:
        """Enter an attempt that ends in the history, and forget its progress."""
        key, outcome, attempted = settlement
        self._progress.pop(key.seq, None)
        self._starts.pop(key.seq, None)
        if self.retention.entries and outcome.status not in NOT_ATTEMPTS:
            started, duration, worker, exit_code, peak_memory = attempted or Attempted()
            ended = now if started is None or duration is None else started + duration
            self._last_entry += 1
            self._history.append(
                Entry(
                    message.id,
                    message.name,
                    key.attempt,
                    key.owner,
                    outcome.status,
                    ended,
                    duration,
                    worker,
                    exit_code,
                    peak_memory,
                    outcome.reason,
                )
            )
            self.prune_history(now, 2)  # there is no dispatcher that would

    def prune_history(self, now: int, limit: int) -> int:
        pruned = 0
        while pruned < limit and self._history and self._exceeds_retention(self._history[0], now):
            self._history.popleft()
            pruned += 1
        return pruned

    def _exceeds_retention(self, oldest: Entry, now: int) -> bool:
        entries, age = self.retention
        return len(self._history) > entries or (age is not None and oldest.ended <= now - age)

    def running(self, limit: int | None = None) -> list[Running]:
        rows = []
        for seq, (claim, _) in self._claims.items():
            started, worker = self._starts.get(seq, (None, None))
            order = (started is None, started or 0, seq)
            progress = self._progress.get(seq)
            rows.append(
                (order, Running(claim.id, claim.name, claim.attempt, claim.owner, started, worker, progress))
            )
        return [row for _, row in sorted(rows)[:limit]]

    def note_starts(self, starts: Sequence[Start]) -> None:
        for key, started, worker in starts:
            if self._holds(key):
                self._starts[key.seq] = (started, worker)

    def set_progress(self, key: ClaimKey, progress: Progress) -> bool:
        holds = self._holds(key)
        if holds:
            self._progress[key.seq] = progress
        return holds

    def progress(self, id: str) -> Progress | None:
        claimed = [seq for seq, (claim, _) in self._claims.items() if claim.id == id]
        return self._progress.get(max(claimed)) if claimed else None
