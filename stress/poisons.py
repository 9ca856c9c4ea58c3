"""Poison: what a task can do to its worker, and how each such task has to end.

The functions run in a worker. What kills whom they reach is sent to their own process group, which has to be
their own process's.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

DEAD, ERROR, VALUE = "dead", "error", "poisoned"
"""How a poison ends: dead, with an error, or with this value, as if nothing had been."""

TIMEOUT = 0.2
"""Seconds, of those who never end."""
GROUP: Final = "LITEQ_STRESS_GROUP"
"""In the environment: a control group with a limit of memory; without it, the kill is the task's own."""
LIMIT: Final = 1 << 26
"""Bytes that those who take all memory may take."""


class Poison(NamedTuple):
    """A task that harms its process."""

    do: Callable[[], Any]
    end: str
    says: str = ""
    """A pattern of the error, or of the reason why it is dead."""
    timeout: float | None = None
    costly: bool = False
    """What it does itself takes long, whoever is beside it."""


class _ShownError(Exception):
    """An exception whose representation raises, never ends, or ends the process."""

    def __init__(self, does: Callable[[], str]) -> None:
        super().__init__()
        self._does = does

    def __repr__(self) -> str:
        return self._does()

    __str__ = __repr__


class _Pickled:
    """A value that does something when it is pickled."""

    def __init__(self, does: Callable[[], Any]) -> None:
        self._does = does

    def __reduce__(self) -> Any:
        return self._does()


class Unpickled:
    """An argument that does something when it is unpickled; what that is, is a name of `UNPICKLED`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> Any:
        return (_unpickle, (self._name,))


def _unpickle(name: str) -> Any:
    return UNPICKLED[name].do()


def _raise(kind: type[BaseException], *arguments: Any) -> Any:
    raise kind(*arguments)


def _segfault() -> None:
    ctypes.string_at(0)


def _loop() -> Any:
    while True:
        pass


def _loop_in_c() -> None:
    sum(range(10**13))


def _backtrack() -> None:
    re.match("(a+)+b", "a" * 64)


def _sleep_on() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM, signal.SIGINT})
    while True:
        with suppress(BaseException):
            time.sleep(3600)


def _limit_memory() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + LIMIT, resource.RLIM_INFINITY))


def _take_memory() -> None:
    """Until Python says that there is no more."""
    _limit_memory()
    try:
        hoard: list[bytearray] = []
        while True:
            hoard.append(bytearray(1 << 20))
    finally:
        del hoard
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _take_memory_and_be_killed() -> None:
    """By the kernel, where a control group could be made."""
    group = os.environ.get(GROUP)
    if group is not None:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    hoard: list[bytes] = []
    while len(hoard) < 2 * LIMIT >> 20:
        hoard.append(b"x" * (1 << 20))
    os.kill(os.getpid(), signal.SIGKILL)


def _recurse(depth: int = 0) -> int:
    return _recurse(depth + 1) + 1


def _recurse_in_c() -> None:
    sys.setrecursionlimit(10**7)
    libc = ctypes.CDLL(None)
    comparison = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    array = (ctypes.c_int * 2)(2, 1)

    def compare(_one: int, _other: int) -> int:
        libc.qsort(array, 2, 4, callback)
        return 0

    callback = comparison(compare)
    libc.qsort(array, 2, 4, callback)


def _write_rubbish() -> str:
    """Into everything that is open and no file: the line to the dispatcher, among others."""
    for fd in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                for rubbish in (b"rubbish", b"\x80\x05K\x01.", b"\x80\x05(K\x01K\x02K\x03t.", b"\0" * 70_000):
                    os.write(fd, rubbish)
    return VALUE


def _fork() -> str:
    """The child comes back out of the task as well."""
    if not os.fork():
        time.sleep(0.05)
    return VALUE


def _fork_and_leave() -> str:
    """The child goes on for a while, as a process that somebody has forgotten."""
    if not os.fork():
        time.sleep(1)
        os._exit(0)
    return VALUE


def _fork_and_raise() -> str:
    if not os.fork():
        raise SystemExit(3)
    return VALUE


def _use_multiprocessing() -> str:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert sum(pool.map(abs, range(-10, 1))) == 55
    return VALUE


def _handle_signals(handler: Any, *, blocked: bool = False) -> str:
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT):
        signal.signal(number, handler)
    if blocked:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGALRM, signal.SIGINT})
    return VALUE


def _forget_alarm(*, handled: bool) -> str:
    if handled:
        signal.signal(signal.SIGALRM, lambda *_: _raise(RuntimeError, "an alarm of another task"))
    signal.setitimer(signal.ITIMER_REAL, 0.1)  # long after its own end
    return VALUE


def _change_process() -> str:
    """All that tasks of the same worker share, and that liteq must not rely on."""
    os.chdir("/")
    os.umask(0o777)
    os.environ.clear()
    socket.setdefaulttimeout(1e-6)
    sys.setrecursionlimit(200)
    gc.disable()
    return VALUE


def _close_streams() -> str:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
    return VALUE


def _leave_threads() -> str:
    def raise_later() -> None:
        time.sleep(0.01)
        threading.excepthook = lambda _: None  # or the log would be full of it
        raise RuntimeError

    threading.Thread(target=time.sleep, args=(3600,)).start()
    threading.Thread(target=raise_later).start()
    return VALUE


def _write_much() -> str:
    for _ in range(100):
        os.write(2, b"x" * 9_999 + b"\n")
    return VALUE


def _start_process() -> str:
    subprocess.Popen(["sleep", "1"])
    return VALUE


def _kill_group() -> None:
    os.killpg(0, signal.SIGKILL)


def _close_all() -> str:
    """Its line to the dispatcher among them: the worker ends, once it has reported what came of the task."""
    os.closerange(0, 1000)
    return VALUE


class _Own(BaseException):
    """Of the application's own."""


POISONS: Final[dict[str, Poison]] = {
    "segfault": Poison(_segfault, DEAD, "SIGSEGV"),
    "abort": Poison(os.abort, DEAD, "SIGABRT"),
    "exit of the process": Poison(lambda: os._exit(3), DEAD, "exited with code 3"),
    "exit without an error": Poison(lambda: os._exit(0), DEAD, "exited with code 0"),
    "kill": Poison(lambda: os.kill(os.getpid(), signal.SIGKILL), DEAD, r"SIGKILL, peak memory \d+ MB"),
    "kill of its group": Poison(_kill_group, DEAD, "SIGKILL"),
    "all memory": Poison(_take_memory, ERROR, "MemoryError", costly=True),
    "all memory, killed": Poison(
        _take_memory_and_be_killed, DEAD, r"SIGKILL, peak memory ([6-9]\d|\d{3}) MB", costly=True
    ),
    "recursion": Poison(_recurse, ERROR, "RecursionError", costly=True),
    "recursion in C": Poison(_recurse_in_c, DEAD, "SIGSEGV", costly=True),
    "loop": Poison(_loop, ERROR, "TaskTimeout", TIMEOUT),
    "loop in C": Poison(_loop_in_c, ERROR, "TaskTimeout", TIMEOUT),
    "regular expression": Poison(_backtrack, ERROR, "TaskTimeout", TIMEOUT),
    "deaf": Poison(_sleep_on, ERROR, "TaskTimeout.*had to be killed", TIMEOUT),
    "stopped": Poison(lambda: os.kill(os.getpid(), signal.SIGSTOP), ERROR, "TaskTimeout", TIMEOUT),
    "all files closed": Poison(_close_all, VALUE),
    "rubbish": Poison(_write_rubbish, VALUE),
    "streams closed": Poison(_close_streams, VALUE),
    "fork": Poison(_fork, VALUE),
    "fork left behind": Poison(_fork_and_leave, VALUE),
    "fork that exits": Poison(_fork_and_raise, VALUE),
    "multiprocessing": Poison(_use_multiprocessing, VALUE, costly=True),
    "process left behind": Poison(_start_process, VALUE),
    "exit": Poison(lambda: sys.exit(3), ERROR, "SystemExit"),
    "interrupt": Poison(lambda: _raise(KeyboardInterrupt), ERROR, "KeyboardInterrupt"),
    "generator's exit": Poison(lambda: _raise(GeneratorExit), ERROR, "GeneratorExit"),
    "own exception": Poison(lambda: _raise(_Own), ERROR, "_Own"),
    "signals ignored": Poison(lambda: _handle_signals(signal.SIG_IGN), VALUE),
    "signals deadly": Poison(lambda: _handle_signals(signal.SIG_DFL), VALUE),
    "signals blocked": Poison(lambda: _handle_signals(signal.SIG_IGN, blocked=True), VALUE),
    "alarm": Poison(lambda: _forget_alarm(handled=False), VALUE),
    "alarm that raises": Poison(lambda: _forget_alarm(handled=True), VALUE),
    "process changed": Poison(_change_process, VALUE),
    "threads": Poison(_leave_threads, VALUE),
    "much output": Poison(_write_much, VALUE),
    "result that can't be pickled": Poison(threading.Lock, ERROR, "SerializationError"),
    "result that raises": Poison(lambda: _Pickled(lambda: _raise(_Own)), ERROR, "_Own"),
    "result that kills": Poison(lambda: _Pickled(_segfault), DEAD, "SIGSEGV"),
    "result without end": Poison(lambda: _Pickled(_loop), ERROR, "TaskTimeout", TIMEOUT),
    "exception that can't be shown": Poison(
        lambda: _raise(_ShownError, lambda: _raise(_Own)), ERROR, "_ShownError"
    ),
    "exception that kills": Poison(lambda: _raise(_ShownError, _segfault), DEAD, "SIGSEGV"),
    "exception without end": Poison(lambda: _raise(_ShownError, _loop), ERROR, "", TIMEOUT),
    "exception of locks": Poison(lambda: _raise(RuntimeError, threading.Lock()), ERROR, "RuntimeError"),
}
"""What a task does."""

UNPICKLED: Final[dict[str, Poison]] = {
    "argument that raises": Poison(lambda: _raise(ValueError, "no"), DEAD, "can't be decoded"),
    "argument that exits": Poison(lambda: sys.exit(3), DEAD, "can't be decoded"),
    "argument that interrupts": Poison(lambda: _raise(KeyboardInterrupt), DEAD, "can't be decoded"),
    "argument that kills": Poison(_segfault, DEAD, "SIGSEGV"),
    "argument that ends the process": Poison(lambda: os._exit(3), DEAD, "exited with code 3"),
}
"""What the arguments of a task do when they are read."""

ALL: Final = {**POISONS, **UNPICKLED}


def take(name: str, argument: Any = None) -> Any:
    """Take a poison, in a task."""
    del argument
    return POISONS[name].do()
