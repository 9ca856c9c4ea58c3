"""A consumer under measurement."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import psutil

HERE = Path(__file__).resolve().parent


def wait_until(condition: Callable[[], Any], timeout: float = 60, interval: float = 0.002) -> Any:
    """Wait for a condition and return what it says.

    Raises:
        TimeoutError: if it does not come true.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s in vain")
        time.sleep(interval)
    return value


@contextmanager
def consumer(
    workers: int, durability: str = "full", history: int = 10_000
) -> Iterator[tuple[Any, subprocess.Popen[bytes], float]]:
    """Run a consumer on a new file: the application module, the process, seconds until it was ready."""
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "wb") as log:
        os.environ["LITEQ_BENCH_FILE"] = f"{folder}/queue.db"
        os.environ["LITEQ_BENCH_DURABILITY"] = durability
        os.environ["LITEQ_BENCH_HISTORY"] = str(history)
        sys.modules.pop("app", None)
        began = time.monotonic()
        process = _start(workers, log)
        try:
            wait_until(lambda: b"Ready in" in Path(f"{folder}/log").read_bytes())
            ready = time.monotonic() - began
            sys.path.insert(0, str(HERE))
            yield import_module("app"), process, ready
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            sys.modules["app"].huey.storage.close()


def _start(workers: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "liteq", "consume", "app.huey", "-w", str(workers), "-k", "process"]
    path = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, cwd=HERE, stderr=log, env={**os.environ, "PYTHONPATH": path})


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """CPU time of a consumer's processes so far."""
    root = psutil.Process(process.pid)
    times = [p.cpu_times() for p in (root, *root.children(recursive=True))]
    return sum(t.user + t.system for t in times)
