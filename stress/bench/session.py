"""One system at work: a queue in a folder of its own, programs that use it, a consumer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from stress.bench.system import System

HERE = Path(__file__).resolve().parent
PATIENCE = 600


class Session:
    """A queue of a system.

    Args:
        system: which one.
        folder: where its file is; made, if need be.
    """

    def __init__(self, system: System, folder: Path) -> None:
        self._system = system
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def call(self, function: str, *arguments: Any, **environment: str) -> Any:
        """What a function of `driver.py` returns, run in a process of its own.

        Raises:
            subprocess.CalledProcessError: if it fails.
        """
        process = self.start(function, *arguments, **environment)
        return self.finish(process)

    def start(self, function: str, *arguments: Any, **environment: str) -> subprocess.Popen[bytes]:
        """Start a function of `driver.py`."""
        command = [self._system.python, str(HERE / "driver.py"), function, *map(json.dumps, arguments)]
        return subprocess.Popen(
            command, cwd=HERE, env=self._environment() | environment, stdout=subprocess.PIPE
        )

    def finish(self, process: subprocess.Popen[bytes]) -> Any:
        """What a started function returns."""
        with process:
            try:
                printed, _ = process.communicate(timeout=PATIENCE)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        return json.loads(printed)

    @contextmanager
    def consumer(self, workers: int, kind: str = "process") -> Iterator[Consumer]:
        """A consumer of the queue, with so many workers."""
        log = self.folder / "log"
        command = [*self._system.consume, "app.huey", "-w", str(workers), "-k", kind]
        environment = self._environment() | {"BENCH_KIND": kind}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), environment.get("PYTHONPATH")]))
        with log.open("wb") as file:
            started = time.monotonic()
            process = subprocess.Popen(
                command, cwd=HERE, env=environment, stderr=file, stdout=file, start_new_session=True
            )
        try:
            yield Consumer(process, log, started)
        finally:
            _stop(process)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "BENCH_FOLDER": str(self.folder), "PYTHONHASHSEED": "0"} | (
            self._system.environment
        )


class Consumer:
    """A running consumer.

    Args:
        process: the one that was started.
        log: where it writes.
        started: when, by the monotonic clock.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path, started: float) -> None:
        self._process = process
        self._log = log
        self._started = started

    def wait_until_ready(self) -> float:
        """Wait until liteq's consumer says so; seconds from its command to that."""
        while b"Ready in" not in self._log.read_bytes():
            if self._process.poll() is not None:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.001)
        return time.monotonic() - self._started

    def cpu(self) -> dict[int, float]:
        """Seconds on a CPU of each of its processes so far, those that have ended left out."""
        return {process.pid: cpu_of(process.pid) for process in self.tree()}

    def tree(self) -> list[psutil.Process]:
        """All its processes, the one that was started first."""
        root = psutil.Process(self._process.pid)
        return [root, *root.children(recursive=True)]


def cpu_of(pid: int) -> float:
    """Seconds that all threads of a process were on a CPU; in ns in the kernel, unlike what psutil tells."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # huey leaves its workers behind, at times: they are in the session of the process that was started.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


@contextmanager
def session(system: System, folder: Path) -> Iterator[Session]:
    """A session that leaves nothing behind."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="s", ignore_cleanup_errors=True) as made:
        it = Session(system, Path(made))
        yield it
        if "BENCH_REDIS" in system.environment:
            it.call("flush")
