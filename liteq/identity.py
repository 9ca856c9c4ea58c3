"""Who a process is, so that a dead one is recognised at once and a reused pid deceives nobody."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Identity(NamedTuple):
    """A process: its pid, when it started, and the world in which that pid has a meaning."""

    host: str
    """The machine's boot and the pid namespace."""
    pid: int
    started: str
    """The process's start time, as exact as the system tells it."""


@cache
def _host() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        # psutil only where it is needed: it costs a fifth of the time that `import liteq` may take.
        import psutil

        return f"boot@{psutil.boot_time():.0f}"


def _started(pid: int) -> str | None:
    """When the process started, or None if there is none; a zombie counts as gone."""
    stat = _stat(pid)
    if stat is not None:
        state, ticks = stat
        return None if state in {"Z", "X"} else ticks
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return ""


def _stat(pid: int) -> tuple[str, str] | None:
    """Fields 3 and 22 of /proc/PID/stat (proc(5)): the state, and the start in clock ticks since boot.

    Unlike a time of the wall clock, which shifts when the clock is set.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command name, in parentheses, may itself contain spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[19]


def identify(pid: int | None = None) -> Identity:
    """The identity of a living process, by default this one.

    Raises:
        ProcessLookupError: if there is no such process.
    """
    pid = os.getpid() if pid is None else pid
    started = _started(pid)
    if started is None:
        raise ProcessLookupError(f"no process {pid}")
    return Identity(_host(), pid, started)


@cache
def own_identity() -> Identity:
    """The identity of this process, looked up once."""
    return identify()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=own_identity.cache_clear)


def standstill(pid: int) -> str:
    """How a process stands still: stopped, traced (by a debugger), zombie; empty if it does not."""
    import psutil

    names = {
        psutil.STATUS_STOPPED: "stopped",
        psutil.STATUS_TRACING_STOP: "traced",
        psutil.STATUS_ZOMBIE: "zombie",
    }
    try:
        return names.get(psutil.Process(pid).status(), "")
    except psutil.NoSuchProcess:
        return ""


def is_of_this_boot(identity: Identity) -> bool:
    """Whether the process belongs to this machine since it was booted last."""
    return identity.host.partition("/")[0] == _host().partition("/")[0]


def is_gone(identity: Identity) -> bool | None:
    """Whether a process of this machine has ended; None if it can't be told (another pid namespace)."""
    if not is_of_this_boot(identity):
        return True  # the machine was booted since: nothing of that time lives
    if identity.host.partition("/")[2] != _host().partition("/")[2]:
        return None
    return _started(identity.pid) != identity.started
