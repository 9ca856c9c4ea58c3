"""What a server's settings mean for the tasks on it: is it new enough, and may it lose any?"""

from __future__ import annotations

import logging

from liteq.exceptions import StorageError
from liteq.storage.redis.server import Server

logger = logging.getLogger("huey.consumer")

_OLDEST = (6, 2)
_warned: set[str] = set()


def check(server: Server) -> None:
    """Look at the settings once per process, and warn of those that lose tasks.

    Raises:
        StorageError: if the server is too old, or can't be reached.
    """
    if server.where in _warned:
        return
    version = server.info("server").get("redis_version", "")
    if _numbers(version) < _OLDEST:
        raise StorageError(f"{server.where} is Redis {version}; liteq needs 6.2 or newer, or Valkey")
    _warned.add(server.where)
    for warning in _warnings(server):
        logger.warning("%s: %s", server.where, warning)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split(".")[:2])


def _warnings(server: Server) -> list[str]:
    try:
        persistence, memory = server.info("persistence"), server.info("memory")
    except StorageError as error:
        return [f"its settings can't be looked at, so they may lose tasks: {error}"]
    found = []
    if persistence.get("aof_enabled") == "0":
        found.append(
            "it has no append-only file, so when it ends unexpectedly it loses the tasks of the last minutes;"
            " set `appendonly yes`, and `appendfsync always` to lose none"
        )
    policy, limit = memory.get("maxmemory_policy", "noeviction"), memory.get("maxmemory", "0")
    if limit != "0" and policy != "noeviction":
        found.append(
            f"its maxmemory-policy is {policy}, so it deletes whole queues when its memory is used up;"
            " set `maxmemory-policy noeviction`"
        )
    return found
