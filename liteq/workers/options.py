"""What a consumer can be told, and what is refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from liteq.exceptions import ConfigurationError
from liteq.workers.memory import MEGABYTE

WORKER_TYPES = ("process", "thread", "greenlet")


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """The options of a consumer; durations are seconds. The names are those of the command line.

    Raises:
        ConfigurationError: for a value that can't work, or that this version can't do.
    """

    workers: int = 1
    worker_type: str = "process"
    """"process", "thread" or "greenlet"; threads and greenlets are all in one process."""
    periodic: bool = True
    max_tasks: int | None = None
    """Replace a worker after so many tasks."""
    max_memory: int | None = None
    """Bytes that a worker may have for itself: one that has more is replaced after its running task. A task
    with which its worker has more than twice as many is stopped, and that counts as a crash."""
    max_age: float | None = None
    """Replace a worker after so long, once its running task has ended."""
    warn_after: float = 600
    """Log a warning when a task without a timeout has run for so long; 0 is never."""
    start_timeout: float = 60
    """How long a worker, with its hooks of `on_startup`, may take to be ready before it is killed."""
    shutdown_timeout: float | None = None
    """How long a stop waits for running tasks before it interrupts them; None waits for ever."""
    graceful_signal: str | None = None
    """"INT" or "TERM": only that one drains, the other interrupts. None: both drain, a second interrupts."""
    restart_workers: bool = True
    health_check_interval: float = 10
    """Accepted: a dead worker is noticed at once, without looking at intervals."""
    delay: float | None = None
    max_delay: float | None = None
    backoff: float = 1.15
    """The first, the longest and the growth of the interval at which storage is looked at where the system
    can't wake the consumer; elsewhere they have no effect."""
    scheduler_interval: float = 1
    """Accepted: what is due is run when it is due, not at intervals."""
    flush_locks: bool = False
    """Before the first task: free all locks, whoever holds them."""
    extra_locks: tuple[str, ...] = ()
    """Before the first task: free these."""
    max_crashes: int = 3
    """How often the death of its worker may end a task before it is dead."""
    kill_after: float = 5
    """How long an interrupted worker may take before it is killed."""
    timeout_grace: float = 2
    """How long a task may take to end by itself after its timeout, before its worker is stopped."""
    lease: float = 60
    """How long a consumer that stands still keeps its claims."""

    def __post_init__(self) -> None:
        _check_type(self.worker_type)
        for name in ("workers", "max_tasks", "max_crashes"):
            _check(name, getattr(self, name), int, lambda value: value >= 1, "a whole number, 1 or more")
        _check(
            "shutdown_timeout", self.shutdown_timeout, float, lambda value: value >= 0, "0 or more seconds"
        )
        _check("warn_after", self.warn_after, float, lambda value: value >= 0, "0 or more seconds")
        _check(
            "max_memory",
            self.max_memory,
            int,
            lambda value: value >= MEGABYTE,
            "1 MB or more, in bytes; write 512M",
        )
        _check("backoff", self.backoff, float, lambda value: value >= 1, "a number, 1 or more")
        for name in _PERIODS:
            _check(name, getattr(self, name), float, lambda value: value > 0, "seconds, more than 0")
        _check("extra_locks", self.extra_locks, tuple, all, "a tuple of names")
        if self.graceful_signal not in {None, "INT", "TERM"}:
            raise ConfigurationError(f"graceful-signal must be INT or TERM, not {self.graceful_signal!r}")
        if not (sys.platform.startswith("linux") and hasattr(os, "fork")):
            raise ConfigurationError("consumers run on Linux only in this version")

    @property
    def processes(self) -> int:
        """How many worker processes there are."""
        return self.workers if self.worker_type == "process" else 1

    @property
    def per_process(self) -> int:
        """How many workers share a process."""
        return self.workers // self.processes


def _check_type(worker_type: Any) -> None:
    if worker_type not in WORKER_TYPES:
        raise ConfigurationError(f"worker type must be process, thread or greenlet, not {worker_type!r}")
    if worker_type == "greenlet" and find_spec("gevent") is None:
        raise ConfigurationError("worker type 'greenlet' needs gevent: pip install 'liteq[gevent]'")


def check_open_files(workers: int) -> None:
    """Refuse more workers than the supervisor may have lines to.

    Raises:
        ConfigurationError: if they would not all be started.
    """
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = FILES_OF_WORKER * workers + FILES_BESIDES
    if resource.RLIM_INFINITY != allowed < needed:
        raise ConfigurationError(
            f"{workers} workers need {needed} open files, and this process may have {allowed}: "
            f"raise it, by `ulimit -n {needed}`, or use fewer workers"
        )


FILES_OF_WORKER = 3
FILES_BESIDES = 32
"""What the supervisor has open besides its lines to the workers, with some to spare."""

_PERIODS = (
    "max_age",
    "start_timeout",
    "health_check_interval",
    "delay",
    "max_delay",
    "scheduler_interval",
    "kill_after",
    "timeout_grace",
    "lease",
)
_OPTIONAL = {"max_tasks", "max_memory", "max_age", "shutdown_timeout", "delay", "max_delay"}


def _check(name: str, value: Any, kind: type, holds: Callable[[Any], bool], wanted: str) -> None:
    if value is None and name in _OPTIONAL:
        return
    kinds = (int, float) if kind is float else kind
    # A condition that nan fails as well.
    if isinstance(value, bool) or not isinstance(value, kinds) or not holds(value):
        raise ConfigurationError(f"{name.replace('_', '-')} must be {wanted}, not {value!r}")
