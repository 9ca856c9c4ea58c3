"""The queue on a Redis or Valkey server, which consumers on several machines may share."""

from __future__ import annotations

from liteq.storage.redis.client import check_client

check_client()  # before the rest, which an older one does not have the names for

from liteq.storage.redis.engine import RedisStorage  # noqa: E402

__all__ = ["RedisStorage"]
