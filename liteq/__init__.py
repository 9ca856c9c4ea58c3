"""liteq: a task queue that needs no server. One SQLite file, a supervised pool of workers, huey's API."""

from __future__ import annotations

from liteq.api import Huey, MemoryHuey, SqliteHuey
from liteq.exceptions import (
    CancelExecution,
    ConfigurationError,
    HueyException,
    RateLimitExceeded,
    ResultTimeout,
    RetryTask,
    StorageError,
    TaskException,
    TaskLockedException,
    TaskTimeout,
)
from liteq.messages import SKIPPED, Error
from liteq.results import EmptyData, Result, ResultGroup
from liteq.schedules import crontab
from liteq.status import TaskStatus
from liteq.tasks import PeriodicTask, Task
from liteq.wrapper import TaskWrapper

__version__ = "0.1.0.dev0"

__all__ = [
    "SKIPPED",
    "CancelExecution",
    "ConfigurationError",
    "EmptyData",
    "Error",
    "Huey",
    "HueyException",
    "MemoryHuey",
    "PeriodicTask",
    "RateLimitExceeded",
    "Result",
    "ResultGroup",
    "ResultTimeout",
    "RetryTask",
    "SqliteHuey",
    "StorageError",
    "Task",
    "TaskException",
    "TaskLockedException",
    "TaskStatus",
    "TaskTimeout",
    "TaskWrapper",
    "crontab",
]
