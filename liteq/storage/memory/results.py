"""The verbs about results and revocations."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

from collections.abc import Sequence

from liteq import clock
from liteq.messages import ClaimKey, Message, Revocation
from liteq.storage.contract.results import WakeSource, Wakeup
from liteq.storage.memory.tables import Tables


class ResultVerbs(Tables):
    """The result store and the revocations of one queue in memory."""

    def put_result(self, key: str, value: bytes, *, expires: int | None = None) -> None:
        self._results[key] = (value, expires)
        self._changes.add()

    def put_if_empty(self, key: str, value: bytes, *, now: int, expires: int | None = None) -> bool:
        if self._fresh(key, now) is not None:
            return False
        self._results[key] = (value, expires)
        self._changes.add()
        return True

    def peek_result(self, key: str) -> bytes | None:
        return self._fresh(key, clock.now())

    def pop_result(self, key: str) -> bytes | None:
        value = self.peek_result(key)
        self._remove(self._results, key)
        return value

    def delete_result(self, key: str) -> bool:
        return self.pop_result(key) is not None

    def results(self) -> dict[str, bytes]:
        now = clock.now()
        return {key: value for key, (value, end) in self._results.items() if end is None or end > now}

    def result_count(self) -> int:
        return len(self.results())

    def is_live(self, id: str) -> bool:
        return id in self._live

    def ended(self, ids: Sequence[str]) -> set[str]:
        now = clock.now()
        return {id for id in ids if id not in self._live or self._fresh(id, now) is not None}

    def results_wakeup(self) -> Wakeup:
        return self._changes

    def work_source(self) -> WakeSource | None:
        return None  # no other process can bring work

    def version(self) -> int:
        return self._changes.ticket()

    def revoke(self, key: str, revocation: Revocation) -> None:
        self._revocations[key] = revocation
        self._changes.add()

    def restore(self, key: str) -> bool:
        return self._remove(self._revocations, key)

    def revocations(self, keys: Sequence[str]) -> dict[str, Revocation]:
        return {key: self._revocations[key] for key in keys if key in self._revocations}

    def revoked_claims(self, owner: int, now: int) -> dict[ClaimKey, bool]:
        revoked = {}
        for claim, _ in self._claims.values():
            if claim.owner == owner and not claim.revoked:
                found = self.revocations([f"r:{claim.id}", f"rt:{claim.name}"]).values()
                if holding := [revocation for revocation in found if revocation.holds(now)]:
                    revoked[claim.key] = any(revocation.terminate for revocation in holding)
        return revoked

    def _use_revocation(self, message: Message, now: int) -> bool:
        """Whether the message is revoked. The once of a whole task becomes the message's own."""
        own, task = f"r:{message.id}", f"rt:{message.name}"
        revoked_by = [key for key, it in self.revocations([own, task]).items() if it.holds(now)]
        if revoked_by == [task] and self._revocations[task].once:
            del self._revocations[task]
            self._revocations[own] = Revocation(None, once=True)
        return bool(revoked_by)
