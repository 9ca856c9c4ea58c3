"""The errors of the server and of its client as liteq's: which server, what is wrong, and what to do."""

from __future__ import annotations

from typing import Final

from redis import exceptions as theirs

from liteq.exceptions import StorageBusy, StorageError, StorageFull, StorageUnreachable

_NO_MEMORY: Final = "the server has used up its maxmemory; nothing was stored: allow it more"

_REPLICA: Final = "the server is a replica; name the primary one in the url"
_FORBIDDEN: Final = "this user may not do that; allow it scripts, the queue's keys and channels"
_ELSEWHERE: Final = "the queue's keys are on another node of the cluster; name that one in the url"
_NO_PRIMARY: Final = "the primary server is down at the moment"
_INCOMPLETE: Final = "the cluster is not complete at the moment"
_NOT_CONNECTED: Final = (
    "no connection came about in time, and nothing was asked; check that the server runs, the url,"
    " and that both want TLS (rediss://) or neither does"
)

_ADVICE: Final[tuple[tuple[type[Exception] | str, type[StorageError], str], ...]] = (
    (
        theirs.AuthenticationError,
        StorageError,
        "the server refuses the user or the password, or wants one; correct the url or the arguments",
    ),
    (theirs.BusyLoadingError, StorageUnreachable, "the server is loading its data; wait until it is ready"),
    (theirs.MaxConnectionsError, StorageBusy, "all connections are in use; allow the pool more"),
    (
        theirs.TimeoutError,
        StorageUnreachable,
        "the server did not answer in time; whether the call had an effect is not known",
    ),
    (
        theirs.ConnectionError,
        StorageUnreachable,
        "the server can't be reached; check that it runs, and the url",
    ),
    (OSError, StorageUnreachable, "the server can't be reached; check that it runs, and the url"),
    (theirs.OutOfMemoryError, StorageFull, _NO_MEMORY),
    ("OOM command not allowed", StorageFull, _NO_MEMORY),
    ("MISCONF", StorageFull, "the server can't save its data, so it stores no more; look into its log"),
    *((kind, StorageError, _REPLICA) for kind in (theirs.ReadOnlyError, "READONLY You")),
    *((kind, StorageError, _FORBIDDEN) for kind in (theirs.NoPermissionError, "NOPERM ")),
    *((kind, StorageError, _ELSEWHERE) for kind in (theirs.MovedError, "MOVED ")),
    *((kind, StorageUnreachable, _NO_PRIMARY) for kind in (theirs.MasterDownError, "MASTERDOWN")),
    *((kind, StorageUnreachable, _INCOMPLETE) for kind in (theirs.ClusterDownError, "CLUSTERDOWN")),
    ("BUSY Redis is busy", StorageBusy, "the server is busy with a script of somebody"),
    (
        "DB index is out of range",
        StorageError,
        "the server has no database of that number; correct the url or db",
    ),
    (
        "is not allowed in cluster mode",
        StorageError,
        "a cluster has the database 0 only; correct the url or db",
    ),
    (
        "DENIED Redis is running",
        StorageError,
        "the server is in protected mode; give it a password",
    ),
)
"""What it is (a type, or words in its text: before Redis 7 scripts wrap errors of their
commands, and redis-py does not know all kinds of errors everywhere), what it
becomes, and what to do. The first that fits counts."""


def translate(error: Exception, where: str, *, connecting: bool = False) -> StorageError:
    """The error to raise to a caller in place of the client's or the server's own."""
    text = str(error)
    if connecting and isinstance(error, theirs.TimeoutError):
        return StorageUnreachable(f"{where}: {_NOT_CONNECTED} ({text})")
    for kind, ours, advice in _ADVICE:
        if kind in text if isinstance(kind, str) else isinstance(error, kind):
            return ours(f"{where}: {advice} ({text})")
    return StorageError(f"{where}: {text}")
