"""Every exception that liteq raises. The names of the first part are those that huey applications catch."""

from __future__ import annotations

from typing import Any


class HueyException(Exception):  # noqa: N818 -- the name that applications catch
    """Base of the queue's own errors."""


class ConfigurationError(HueyException):
    """An option, a path or an application that cannot work; the message says what to change."""


class TaskLockedException(HueyException):
    """The lock that a task asked for is held by another."""


class ResultTimeout(HueyException):
    """A result did not arrive within the `timeout` of a blocking `get`."""


DataStoreTimeout = ResultTimeout
"""Its name in huey 0.3 to 1.x."""


class TaskTimeout(HueyException):
    """A task ran longer than its `timeout` allows."""


class TaskTerminated(HueyException):
    """A task was revoked with `terminate=True` while it ran."""


class RateLimitExceeded(HueyException):
    """A rate limit is used up; `delay` is the number of seconds until it has room again."""

    def __init__(self, key: str, delay: float, retry: bool = True) -> None:
        self.key, self.delay, self.retry = key, delay, retry
        super().__init__(key, delay, retry)

    def __str__(self) -> str:
        again = f", retry in {self.delay:.1f}s" if self.retry else ""
        return f'Rate limit exceeded on "{self.key}"{again}'


class CancelExecution(Exception):  # noqa: N818 -- the name that applications raise
    """Raised in a task or a pre-execute hook to cancel the execution.

    `retry=None` follows the retries left, True forces one, False ends the task.
    """

    def __init__(self, msg: str | None = None, retry: bool | None = None) -> None:
        self.retry = retry
        super().__init__(*(() if msg is None else (msg,)))


class RetryTask(Exception):  # noqa: N818 -- the name that applications raise
    """Raised in a task to run it again, at `eta` or after `delay` seconds; uses up no retry."""

    def __init__(self, msg: str | None = None, eta: Any = None, delay: Any = None, *args: Any) -> None:
        self.eta, self.delay = eta, delay
        super().__init__(msg, *args)


class TaskException(Exception):  # noqa: N818 -- the name that applications catch
    """Raised by `Result.get` for a task that failed; `metadata` has error, traceback, retries, task_id."""

    def __init__(self, metadata: dict[str, Any] | None = None, *args: Any) -> None:
        self.metadata = metadata or {}
        super().__init__(self.metadata, *args)

    def __str__(self) -> str:
        return self.metadata.get("error") or "unknown error"


class SerializationError(HueyException, TypeError):
    """A value does not serialize; the message names the task, which of its values, and why."""


class PayloadTooLarge(HueyException, ValueError):  # noqa: N818 -- an error by its bases
    """A serialized value has more bytes than the queue allows; the message names both numbers."""


class BadSignature(HueyException, ValueError):  # noqa: N818 -- the same
    """Bytes are not signed with a secret of the `SignedSerializer` that reads them."""


class UnknownTask(HueyException):
    """A message names a task that this application has not declared."""


QueueException = UnknownTask
"""The name of huey 0.3 to 1."""


class StorageError(HueyException):
    """The storage could not do what was asked; the message names the file or the server, and what to do."""


class StorageBusy(StorageError):  # noqa: N818 -- an error by its base
    """The file stayed locked for longer than the storage's `timeout`, or the server is busy; try again."""


class StorageUnreachable(StorageBusy):
    """The server can't be reached, is not ready, or did not answer in time; a call may have had effect."""


class StorageFull(StorageError):  # noqa: N818 -- the same
    """There is no room left; nothing of the call was stored."""


class StorageDamaged(StorageError):  # noqa: N818 -- the same
    """The file is damaged, or gone, or another one by now: trying again does not help."""


class ForeignFile(StorageError, ConfigurationError):  # noqa: N818 -- the same
    """The file is not a liteq database, or one of a newer liteq; it was left untouched."""


class TaskStopped(BaseException):
    """Raised inside a running task that has to end: its `timeout` is over, or it was revoked to terminate.

    It is not an Exception, so that `except Exception` in a task does not defeat the limit; `finally` runs.
    Everything outside of the task sees `reason` in its place: a TaskTimeout or a TaskTerminated. A task that
    catches it and returns in time has succeeded.
    """

    def __init__(self, reason: HueyException) -> None:
        self.reason = reason
        super().__init__(str(reason))


class TaskInterrupted(BaseException):
    """Raised inside a running task when its worker is told to stop now; the task is given back."""
