"""liteq: a task queue that needs no server. One SQLite file, a supervised pool of workers, huey's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liteq.api import (
    BlackHoleHuey,
    FileHuey,
    Huey,
    MemoryHuey,
    PriorityRedisExpireHuey,
    PriorityRedisHuey,
    RedisExpireHuey,
    RedisHuey,
    SqliteHuey,
)
from liteq.canvas import chord, group
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
from liteq.result_groups import ChordResult, ResultGroup
from liteq.results import EmptyData, Result
from liteq.schedules import Schedule, crontab, every
from liteq.status import TaskStatus
from liteq.tasks import PeriodicTask, Task
from liteq.wrapper import TaskWrapper

if TYPE_CHECKING:
    from liteq.executor import Executor

__version__ = "0.1.0.dev0"

__all__ = [
    "SKIPPED",
    "BlackHoleHuey",
    "CancelExecution",
    "ChordResult",
    "ConfigurationError",
    "EmptyData",
    "Error",
    "Executor",
    "FileHuey",
    "Huey",
    "HueyException",
    "MemoryHuey",
    "PeriodicTask",
    "PriorityRedisExpireHuey",
    "PriorityRedisHuey",
    "RateLimitExceeded",
    "RedisExpireHuey",
    "RedisHuey",
    "Result",
    "ResultGroup",
    "ResultTimeout",
    "RetryTask",
    "Schedule",
    "SqliteHuey",
    "StorageError",
    "Task",
    "TaskException",
    "TaskLockedException",
    "TaskStatus",
    "TaskTimeout",
    "TaskWrapper",
    "chord",
    "crontab",
    "every",
    "group",
]


def __getattr__(name: str) -> Any:
    if name == "Executor":
        from liteq.executor import Executor  # concurrent.futures is loaded only where it is used

        return Executor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
