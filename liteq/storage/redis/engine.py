"""The Redis backend: a queue on a server, shared by any number of processes on any number of machines."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

import weakref
from contextlib import AbstractContextManager
from typing import Any, cast

from liteq.exceptions import ConfigurationError
from liteq.identity import Identity
from liteq.storage.base import Capabilities, Storage
from liteq.storage.contract.misspelt import refuse_unknown
from liteq.storage.contract.records import KEPT_BY_DEFAULT, checked_duration, retention
from liteq.storage.redis.batches import Batches
from liteq.storage.redis.consumers import ConsumerVerbs
from liteq.storage.redis.events import EventVerbs
from liteq.storage.redis.health import check
from liteq.storage.redis.locks import LockVerbs
from liteq.storage.redis.records import RecordVerbs
from liteq.storage.redis.results import ResultVerbs
from liteq.storage.redis.server import Server
from liteq.storage.redis.settings import pool_of, prefix_of, unknown_to_client, where
from liteq.storage.redis.turns import TurnVerbs
from liteq.storage.redis.waking import Subscription, SubscriptionWakeup

# A text of Redis has 512 MiB at the most; this leaves a million for what stands around it.
_MAX_PAYLOAD = 535_000_000
# A sorted set orders by numbers of 64 bits with a point, which are whole numbers up to here.
_HIGHEST_PRIORITY = 2**53
_CAPABILITIES = Capabilities(
    durable=True, shared=True, max_payload=_MAX_PAYLOAD, events=True, highest_priority=_HIGHEST_PRIORITY
)
_OF_HUEY = ("notify_result", "notify_result_ttl", "clean_name")


class RedisStorage(TurnVerbs, ResultVerbs, RecordVerbs, LockVerbs, ConsumerVerbs, EventVerbs, Storage):
    """A named queue on a Redis or Valkey server; several queues may share one. Making one opens nothing.

    Args:
        name: the queue.
        blocking: consumers are woken; with False, they look at intervals.
        read_timeout: accepted; nobody waits for the server in a read.
        connection_pool: a pool of redis-py to use, which has all options.
        url: the server, as `redis://`, `rediss://` or `unix://`; see redis-py for more.
        client_name: what the server calls the connections.
        priorities: tasks may have priorities; else they run in the order in which they came.
        expire_time: seconds after which the results of tasks expire; None: they stay until they are read.
        keep_results: reading a result leaves it where it is, until it expires.
        history: how many ended attempts are remembered; 0 is none.
        history_age: seconds for which they are remembered; None is no bound.
        **options: those of a connection of redis-py: host, port, db, username, password, ssl …

    Raises:
        ConfigurationError: for an option that is unknown or has no such value.
    """

    def __init__(
        self,
        name: str = "huey",
        *,
        blocking: bool = True,
        read_timeout: float | None = 1,
        connection_pool: Any = None,
        url: str | None = None,
        client_name: str | None = None,
        priorities: bool = True,
        expire_time: float | None = None,
        keep_results: bool = False,
        history: int = KEPT_BY_DEFAULT,
        history_age: float | None = None,
        **options: Any,
    ) -> None:
        if not isinstance(read_timeout, int | float | None):
            raise ConfigurationError(f"read_timeout must be a number of seconds, not {read_timeout!r}")
        for accepted in _OF_HUEY:
            options.pop(accepted, None)
        unknown, known = unknown_to_client(options)
        refuse_unknown(RedisStorage, unknown, known)
        self.name = name
        self.blocking = bool(blocking)
        self.priorities = bool(priorities)
        self.keep_results = bool(keep_results)
        self.capabilities = _CAPABILITIES._replace(priorities=self.priorities)
        self.expire_time = checked_duration("expire_time", expire_time)
        self.retention = retention(history, history_age)
        self.meter = self.retention.meter()
        pool = pool_of(
            connection_pool, url, {**options, "client_name": client_name} if client_name else options
        )
        self.server = Server(pool, prefix_of(name), where(pool), keeps=connection_pool is None)
        self.batches = Batches(self.server)
        self._wakeup = SubscriptionWakeup(self.server, "ended")
        self._registered = {}
        self._sources: weakref.WeakSet[Subscription] = weakref.WeakSet()
        super().__init__()

    def describe(self) -> str:
        return self.server.where

    def close(self) -> None:
        self._wakeup.close()
        self.server.close()

    # The contract's own returns the narrower type of a generator.
    def batch(self, *, durable: bool = True) -> AbstractContextManager[None]:  # type: ignore[override]
        del durable  # that is the server's affair
        return cast("AbstractContextManager[None]", self.batches.batch())

    def register(self, consumer: Identity) -> int:
        check(self.server)
        return super().register(consumer)
