"""The verbs about results and revocations."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

import weakref
from collections.abc import Sequence

from liteq import clock
from liteq.messages import ClaimKey, Revocation
from liteq.storage.base import WakeSource, Wakeup
from liteq.storage.redis import packing
from liteq.storage.redis.calls import Calls
from liteq.storage.redis.waking import Subscription, SubscriptionWakeup


class ResultVerbs(Calls):
    """The result store and the revocations of one queue on the server."""

    keep_results: bool
    blocking: bool
    _wakeup: SubscriptionWakeup
    _sources: weakref.WeakSet[Subscription]

    def put_result(self, key: str, value: bytes, *, expires: int | None = None) -> None:
        self._call("put_result", key, value, packing.optional(expires), wanted=False)

    def put_if_empty(self, key: str, value: bytes, *, now: int, expires: int | None = None) -> bool:
        return bool(self._call("put_if_empty", key, value, packing.optional(expires), now))

    def peek_result(self, key: str) -> bytes | None:
        value: bytes | None = self._call("peek_result", key, clock.now())
        return value

    def pop_result(self, key: str) -> bytes | None:
        if self.keep_results:
            return self.peek_result(key)
        return self._pop(key)

    def delete_result(self, key: str) -> bool:
        return self._pop(key) is not None

    def _pop(self, key: str) -> bytes | None:
        value: bytes | None = self._call("pop_result", key, clock.now())
        return value

    def results(self) -> dict[str, bytes]:
        reply = self._call("results", clock.now())
        return {key.decode(): value for key, value in zip(reply[::2], reply[1::2], strict=True)}

    def result_count(self) -> int:
        return int(self._call("result_count", clock.now()))

    def is_live(self, id: str) -> bool:
        return bool(self._call("is_live", id))

    def ended(self, ids: Sequence[str]) -> set[str]:
        return {id.decode() for id in self._call("ended", clock.now(), len(ids), *ids)}

    def results_wakeup(self) -> Wakeup:
        return self._wakeup

    def work_source(self) -> WakeSource | None:
        source = Subscription.opened(self.server, "work") if self.blocking else None
        if source is not None:
            self._sources.add(source)
        return source

    def version(self) -> int:
        version = int(self._call("version"))
        for source in self._sources:
            if not source.is_connected:
                source.drain()  # the server is back
        return version

    def revoke(self, key: str, revocation: Revocation) -> None:
        self._call("revoke", key, packing.packed_revocation(revocation), wanted=False)

    def restore(self, key: str) -> bool:
        return bool(self._call("restore", key))

    def revocations(self, keys: Sequence[str]) -> dict[str, Revocation]:
        reply = self._call("revocations", len(keys), *keys)
        found = zip(keys, reply, strict=True)
        return {key: packing.revocation(packed) for key, packed in found if packed is not None}

    def revoked_claims(self, owner: int, now: int) -> dict[ClaimKey, bool]:
        return {
            ClaimKey(int(seq), int(attempt), owner): bool(terminate)
            for seq, attempt, terminate in self._call("revoked_claims", owner, now)
        }
