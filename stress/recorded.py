"""The storage of the application under stress: as it is, but what it claims and settles is written down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast

from liteq.messages import Claim, Disposition, Settlement
from liteq.storage.base import ClaimOrder, Storage, Turn
from liteq.storage.sqlite import SqliteStorage
from stress import history as h

_ENDS = (Disposition.DONE, Disposition.DEAD)


class Recorded(Storage):
    """Notes claims before they are committed, and settles after that.

    So a claim may be noted that never was, and a settle not be noted that was; no claim is missing, and no
    settle is noted that did not happen.
    """

    recorder: ClassVar[h.Recorder]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._to_note: list[tuple[Settlement, bool]] = []
        self._depth = 0

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:
        """See the contract."""
        self._depth += 1
        try:
            with super().batch(durable=durable):
                yield
        except BaseException:
            self._to_note.clear()
            raise
        finally:
            self._depth -= 1
        self._write_down()

    def claim(self, *arguments: Any, **options: Any) -> list[Claim]:
        """See the contract."""
        claims = super().claim(*arguments, **options)  # type: ignore[safe-super]
        for claim in claims:
            self.recorder.note(h.CLAIMED, claim.id, claim.seq, claim.attempt, owner=claim.owner)
        return claims

    def expired(self, now_monotonic: int) -> list[Claim]:
        """See the contract."""
        claims = super().expired(now_monotonic)  # type: ignore[safe-super]
        for claim in claims:
            self.recorder.note(h.EXPIRED, claim.id, claim.seq, claim.attempt, owner=claim.owner)
        return claims

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        """See the contract."""
        held = super().settle(settlements, now)  # type: ignore[safe-super]
        self._to_note.extend(zip(settlements, held, strict=True))
        if not self._depth:
            self._write_down()
        return held

    def _write_down(self) -> None:
        for settlement, held in self._to_note:
            key, outcome = settlement.key, settlement.outcome
            self.recorder.note(
                h.SETTLED, "", key.seq, key.attempt,
                held=held, ends=outcome.disposition in _ENDS, status=outcome.status, owner=key.owner,
            )  # fmt: skip
        self._to_note.clear()


class RecordedStorage(Recorded, SqliteStorage):
    """The same of a queue in a file."""


class _RecordedTurns(Recorded):
    """The same where a turn is a verb of its own, not made of the others."""

    def turn(
        self,
        owner: int,
        settlements: Sequence[Settlement],
        order: ClaimOrder | None,
        now: int,
        *,
        durable: bool = True,
    ) -> Turn:
        """See the contract."""
        turn = super().turn(owner, settlements, order, now, durable=durable)
        for claim in turn.claims:
            self.recorder.note(h.CLAIMED, claim.id, claim.seq, claim.attempt, owner=claim.owner)
        self._to_note.extend(zip(settlements, turn.held, strict=True))
        if not self._depth:
            self._write_down()
        return turn


def recorded(storage: type[Storage]) -> type[Recorded]:
    """The same for a kind of storage."""
    base = Recorded if issubclass(storage, SqliteStorage) else _RecordedTurns
    return cast("type[Recorded]", type(f"Recorded{storage.__name__}", (base, storage), {}))
