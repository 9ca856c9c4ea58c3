"""The errors of the server and of its client as liteq's: which server, what is wrong, and what to do."""

from __future__ import annotations

from typing import Final

import redis

from liteq.exceptions import StorageBusy, StorageError, StorageFull, StorageUnreachable

_LOADING: Final = "the server is loading its data; wait until it is ready"

_BY_TYPE: Final[tuple[tuple[type[Exception], type[StorageError], str], ...]] = (
    (
        redis.exceptions.AuthenticationError,
        StorageError,
        "the server refuses the user or the password; correct them in the url or the arguments",
    ),
    (
        redis.exceptions.BusyLoadingError,
        StorageBusy,
        _LOADING,
    ),
    (
        redis.exceptions.MaxConnectionsError,
        StorageBusy,
        "all connections are in use; allow the pool more",
    ),
    (
        redis.exceptions.TimeoutError,
        StorageUnreachable,
        "the server did not answer in time; whether the call had an effect is not known",
    ),
    (
        redis.exceptions.ConnectionError,
        StorageUnreachable,
        "the server can't be reached; check that it runs, and the url",
    ),
)
_BY_WORD: Final[tuple[tuple[str, type[StorageError], str], ...]] = (
    ("OOM", StorageFull, "the server has used up its `maxmemory`; nothing was stored: allow it more"),
    ("MISCONF", StorageFull, "the server can't save its data, so it stores no more; look into its log"),
    ("READONLY", StorageError, "the server is a replica; name the primary one in the url"),
    ("MOVED", StorageError, "the queue's keys are on another node of the cluster; name that in the url"),
    ("CLUSTERDOWN", StorageBusy, "the cluster is not complete at the moment"),
    ("MASTERDOWN", StorageBusy, "the primary server is down at the moment"),
    ("BUSY", StorageBusy, "the server is busy with another script"),
    ("LOADING", StorageBusy, _LOADING),
    ("NOAUTH", StorageError, "the server wants a password; name it in the url or the arguments"),
    ("WRONGPASS", StorageError, "the server refuses the user or the password; correct them"),
    (
        "NOPERM",
        StorageError,
        "this user may not do that; allow it scripts, the queue's keys and channels",
    ),
    ("DENIED", StorageError, "the server is in protected mode; set a password on it, or bind it"),
)


def translate(error: Exception, where: str) -> StorageError:
    """The error to raise to a caller in place of the client's or the server's own."""
    text = str(error)
    for word, ours, advice in _BY_WORD:
        if text.startswith(word):
            return ours(f"{where}: {advice} ({text})")
    for kind, ours, advice in _BY_TYPE:
        if isinstance(error, kind):
            return ours(f"{where}: {advice} ({text})")
    return StorageError(f"{where}: {text}")
