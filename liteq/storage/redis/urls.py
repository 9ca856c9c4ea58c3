"""What is wrong with a url, told part by part and without any of it: there may be a password in it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from liteq.exceptions import ConfigurationError

_SCHEMES = ("redis://", "rediss://", "unix://")
_EXAMPLE = "as in redis://user:password@host:6379/0"


def options_in(url: Any) -> set[str]:
    """The names of the options that a url says.

    Raises:
        ConfigurationError: if it is none of a server; the message says which part is wrong.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"url must be a text, {_EXAMPLE}, not a value of type {type(url).__name__}")
    if not url.startswith(_SCHEMES):
        raise ConfigurationError(f"the url of a Redis server begins with {' or '.join(_SCHEMES)}, {_EXAMPLE}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"the host in the url is none, {_EXAMPLE}") from error
    if parts.fragment or "@" in parts.path + parts.query:
        raise ConfigurationError(
            "percent-encode / ? # and @ in the user and the password of the url, as in %2F %3F %23 %40"
        )
    said = {name for name in ("username", "password") if getattr(parts, name)}
    said |= set(parse_qs(parts.query))
    return said | (_of_socket(parts) if parts.scheme == "unix" else _of_address(parts))


def _of_socket(parts: SplitResult) -> set[str]:
    if not parts.path:
        raise ConfigurationError("the url lacks the path of the socket, as in unix:///path/to/socket?db=0")
    return {"unix_socket_path"}


def _of_address(parts: SplitResult) -> set[str]:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigurationError(f"the port in the url is no number from 1 to 65535, {_EXAMPLE}")
    if not re.fullmatch("(/[0-9]*)?", parts.path):
        raise ConfigurationError(f"what follows the host in the url is no number of a database, {_EXAMPLE}")
    said = {"host", "port", "ssl"}  # by its scheme, and the defaults
    return said | {"db"} if parts.path.strip("/") else said
