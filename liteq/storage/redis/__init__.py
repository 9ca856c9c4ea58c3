"""The queue on a Redis or Valkey server, which consumers on several machines may share."""

from __future__ import annotations

from liteq.storage.redis.engine import RedisStorage

__all__ = ["RedisStorage"]
