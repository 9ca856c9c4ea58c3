"""How a server is found: the options of a queue as a pool of connections of redis-py. Nothing is opened."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from liteq.exceptions import ConfigurationError

_ANSWER_WITHIN = 30.0
_CONNECT_WITHIN = 5.0


def prefix_of(name: str) -> str:
    """What the keys of a queue begin with; the part in braces puts them all into one slot of a cluster."""
    return f"liteq:{{{quote(name, safe=' !$&()*+,/:;=?@[]^|~<>#')}}}"


def pool_of(connection_pool: Any, url: str | None, client_name: str | None, options: dict[str, Any]) -> Any:
    """The pool that the options mean.

    Raises:
        ConfigurationError: if they contradict each other, or there is none such.
    """
    if sum((connection_pool is not None, url is not None, bool(options))) > 1 and (
        connection_pool is not None or "host" in options or "port" in options
    ):
        raise ConfigurationError("name the server once: by connection_pool, by url, or by host and port")
    if connection_pool is not None:
        pool = _checked_pool(connection_pool)
    else:
        pool = _new_pool(url, {**options, "client_name": client_name} if client_name else options)
    if pool.connection_kwargs.get("decode_responses"):
        raise ConfigurationError("decode_responses must be False: tasks and results are bytes")
    return pool


def _checked_pool(pool: Any) -> Any:
    if not isinstance(pool, redis.ConnectionPool):
        raise ConfigurationError(f"connection_pool must be a ConnectionPool of redis-py, not {pool!r}")
    return pool


def _new_pool(url: str | None, options: dict[str, Any]) -> Any:
    options = {
        "protocol": 2,
        "socket_timeout": _ANSWER_WITHIN,
        "socket_connect_timeout": _CONNECT_WITHIN,
        "retry": Retry(NoBackoff(), 0),  # a call that may have had its effect is not made twice
        **options,
    }
    try:
        pool = redis.ConnectionPool(**_with_class(options)) if url is None else _pool_at(url, options)
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, redis.exceptions.RedisError) as error:
        raise ConfigurationError(f"redis-py refuses the options of the queue: {error}") from error
    return pool


def _pool_at(url: str, options: dict[str, Any]) -> Any:
    try:
        return redis.ConnectionPool.from_url(url, **options)
    except (ValueError, TypeError, AttributeError):
        # Neither the url nor the client's error, which quotes it: there may be a password in it.
        raise ConfigurationError(
            "the url of a Redis server begins with redis://, rediss:// or unix://; the rest is"
            " user:password@host:port/0, or a path; percent-encode what has another meaning there"
        ) from None


def _with_class(options: dict[str, Any]) -> dict[str, Any]:
    """The options as those of a pool, which has no short ways to say what kind its connections are of."""
    options = dict(options)
    path, encrypted = options.pop("unix_socket_path", None), options.pop("ssl", False)
    if path is not None:
        return {**options, "path": path, "connection_class": redis.UnixDomainSocketConnection}
    return {**options, "connection_class": redis.SSLConnection} if encrypted else options


def where(pool: Any) -> str:
    """The server, for people; without its password."""
    kwargs = pool.connection_kwargs
    if "path" in kwargs:
        place = str(kwargs["path"])
    else:
        place = f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}"
    return f"Redis at {place}, database {kwargs.get('db') or 0}"
