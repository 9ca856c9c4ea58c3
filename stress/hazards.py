"""What is killed, and when."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


class Consumer:
    """A consumer that is restarted whenever it was killed."""

    def __init__(self, folder: str, workers: int) -> None:
        self._folder = folder
        self._workers = workers
        self._log = open(f"{folder}/log", "ab")  # noqa: SIM115 -- open as long as the consumer
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        seen = Path(self._folder, "log").read_bytes().count(b"Ready in")
        command = [
            sys.executable,
            "-m",
            "liteq",
            "consume",
            "stress.app.huey",
            "-w",
            str(self._workers),
            "-t",
            "10",
        ]
        # Given up after a hundred crashes: here the workers' deaths are never the tasks' fault.
        command += ["--max-crashes", "100"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stderr=self._log, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        wait_until(lambda: Path(self._folder, "log").read_bytes().count(b"Ready in") > seen)

    def children(self) -> list[psutil.Process]:
        """Its processes, without the supervisor."""
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def dispatcher(self) -> int | None:
        """The process that claims and settles at the moment."""
        from stress.app import huey

        attending = [dispatcher.pid for _, dispatcher in huey.storage.consumers().values() if dispatcher]
        return next((child.pid for child in self.children() if child.pid in attending), None)

    def stop(self) -> int:
        """Stop it; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._log.close()
        return code


def wait_until(condition: Callable[[], object], timeout: float = 60) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: if it does not come true.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s in vain")
        time.sleep(0.01)


def kill(pid: int) -> bool:
    """Kill a process; whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_worker(consumer: Consumer, chance: random.Random) -> bool:
    """Kill one of the processes that have run tasks lately."""
    pids = Path(os.environ["LITEQ_STRESS"], "pids")
    lately = {int(pid) for pid in pids.read_text().split()[-200:]} if pids.exists() else set()
    victims = [child.pid for child in consumer.children() if child.pid in lately]
    return bool(victims) and kill(chance.choice(victims))


def kill_dispatcher(consumer: Consumer, _chance: random.Random) -> bool:
    """Kill the dispatcher."""
    pid = consumer.dispatcher()
    return pid is not None and kill(pid)


def kill_supervisor(consumer: Consumer, _chance: random.Random) -> bool:
    """Kill the supervisor, wait for the end of its orphans, and start another consumer."""
    orphans = consumer.children()
    kill(consumer.process.pid)
    consumer.process.wait()
    _, left = psutil.wait_procs(orphans, timeout=30)
    if left:
        raise TimeoutError(f"orphans work on: {[process.pid for process in left]}")
    consumer.start()
    return True


def kill_everything(consumer: Consumer, _chance: random.Random) -> bool:
    """Kill all processes of the consumer, and start another."""
    victims = consumer.children()
    kill(consumer.process.pid)
    for victim in victims:
        kill(victim.pid)
    consumer.process.wait()
    psutil.wait_procs(victims, timeout=30)
    consumer.start()
    return True


Fault = Callable[[Consumer, random.Random], bool]

HAZARDS: dict[str, tuple[Fault, float]] = {
    "workers": (kill_worker, 0.05),
    "dispatcher": (kill_dispatcher, 0.3),
    "supervisor": (kill_supervisor, 0.5),
    "everything": (kill_everything, 0.5),
}
"""What happens, and the mean pause between two times, in seconds."""
