"""How a server is found: the options of a queue as a pool of connections of redis-py. Nothing is opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from liteq.exceptions import ConfigurationError
from liteq.storage.contract.misspelt import named_by
from liteq.storage.redis.urls import options_in

_ANSWER_WITHIN = 30.0
_CONNECT_WITHIN = 5.0
_PLACES = {"host", "port", "unix_socket_path"}
_OF_POOLS = {"max_connections", "connection_class", "unix_socket_path", "ssl", "client_name"}


def prefix_of(name: str) -> str:
    """What the keys of a queue begin with; the part in braces puts them all into one slot of a cluster."""
    return f"liteq:{{{quote(name, safe=' !$&()*+,/:;=?@[]^|~<>#')}}}"


def pool_of(connection_pool: Any, url: str | None, options: dict[str, Any]) -> Any:
    """The pool that the options mean.

    Raises:
        ConfigurationError: if they contradict each other, or there is none such.
    """
    _check_places(connection_pool, url, options)
    if connection_pool is not None:
        pool = _checked_pool(connection_pool)
    else:
        _check_values(options)
        pool = _new_pool(url, options)
    if pool.connection_kwargs.get("decode_responses"):
        raise ConfigurationError("decode_responses must be False: tasks and results are bytes")
    return pool


def unknown_to_client(options: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The names of those options that redis-py does not have, and of all that it has."""
    known = named_by(redis.SSLConnection) | named_by(redis.UnixDomainSocketConnection) | _OF_POOLS
    return (set() if "connection_class" in options else set(options) - known), known


def _check_places(connection_pool: Any, url: str | None, options: dict[str, Any]) -> None:
    """Refuse what is said twice, or could be."""
    if connection_pool is not None:
        given = {**options, **({} if url is None else {"url": url})}
        name = getattr(connection_pool, "connection_kwargs", {}).get("client_name")
        if name is None or name == given.get("client_name"):
            # huey accepts it, too; the pool knows what its connections are called
            given.pop("client_name", None)
        if given:
            names = ", ".join(sorted(given))
            raise ConfigurationError(
                f"name the server once: a connection_pool has all options, {names} among them"
            )
    if url is not None:
        said = options_in(url)
        if "ssl" in options:
            raise ConfigurationError("ssl is said by the url: rediss:// is with TLS, redis:// without")
        if twice := sorted(said.union(_PLACES).intersection(options)):
            raise ConfigurationError(f"name the server once: the url says {', '.join(twice)}, or should")
    elif "unix_socket_path" in options and (others := sorted({"host", "port", "ssl"}.intersection(options))):
        raise ConfigurationError(f"name the server once: a unix_socket_path has no {' and no '.join(others)}")


def _check_values(options: dict[str, Any]) -> None:
    """Refuse what redis-py takes, and then fails with or does something else for in each call."""
    for name, (fits, what) in _VALUES.items():
        if name in options and not fits(options[name]):
            raise ConfigurationError(f"{name} must be {what}, not {options[name]!r}")


def _whole(value: Any) -> int:
    """A whole number, also as a text; less than any for everything else."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _is_timeout(value: Any) -> bool:
    return value is None or (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**9
    )


_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "host": (lambda it: isinstance(it, str) and bool(it), "the name of a host"),
    "port": (lambda it: 1 <= _whole(it) <= 65535, "a number from 1 to 65535"),
    "db": (lambda it: _whole(it) >= 0, "the number of a database, 0 or more"),
    "socket_timeout": (_is_timeout, "a number of seconds above 0, or None"),
    "socket_connect_timeout": (_is_timeout, "a number of seconds above 0, or None"),
    "client_name": (lambda it: bool(re.fullmatch("[!-~]*", str(it))), "a text without spaces"),
    "retry": (lambda it: it is None or isinstance(it, Retry), "a Retry of redis-py, or None"),
}


def _checked_pool(pool: Any) -> Any:
    if not isinstance(pool, redis.ConnectionPool):
        raise ConfigurationError(
            "connection_pool must be a ConnectionPool of redis-py, no client and none of redis.asyncio, not a"
            f" {type(pool).__module__}.{type(pool).__qualname__}"
        )
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
        # Neither the url nor the client's error, which may quote it.
        names = ", ".join(sorted(parse_qs(urlsplit(url).query)))
        raise ConfigurationError(f"redis-py refuses what the url says of {names or 'the server'}") from None


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
