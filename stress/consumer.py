"""The consumer under stress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from liteq import Huey
from stress import history as h
from stress.settings import KIND, Settings
from stress.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]


class Consumer:
    """A consumer of `stress.app`, or of another application, in a process of its own.

    Args:
        settings: of the run.
        workers: how many.
        *options: more of the command line.
        application: the path of its queue.
        name: of its log.
        home: the folder that the `liteq` in use is imported from.
        lease: of its claims, in seconds; the usual one by default.
    """

    def __init__(
        self,
        settings: Settings,
        workers: int,
        *options: str,
        application: str = "stress.app.huey",
        name: str = "log",
        home: Path = ROOT,
        lease: float | None = None,
    ) -> None:
        self._settings = settings
        self.home = home
        self.log = Path(settings.folder, name)
        # Given up after a hundred crashes: here the workers' deaths are seldom the tasks' fault.
        kind = os.environ.get(KIND, "process")
        common = ["-w", str(workers), "-k", kind, "-t", "10", "--max-crashes", "100"]
        program = ["liteq", "consume"] if lease is None else ["stress.launch", str(lease)]
        self._command = [sys.executable, "-m", *program, application, *common, *options]
        self._recorder = h.Recorder(settings.folder)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            TimeoutError: if it is not.
        """
        seen = self.said("Ready in")
        self.launch()
        wait_until(lambda: self.said("Ready in") > seen or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise TimeoutError(f"the consumer ended with code {self.process.returncode}: see {self.log}")

    def launch(self) -> None:
        """Start it, and do not wait."""
        environment = {**self._settings.environment(), "PYTHONPATH": str(ROOT)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self.home, stdout=log, stderr=log, env=environment, process_group=0
            )

    def said(self, text: str) -> int:
        """How often its log says this."""
        return self.log.read_bytes().count(text.encode()) if self.log.exists() else 0

    def children(self) -> list[psutil.Process]:
        """Its processes, without the supervisor."""
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def dispatcher(self, huey: Huey) -> int | None:
        """The process that claims and settles at the moment."""
        attending = [dispatcher.pid for _, dispatcher in huey.storage.consumers().values() if dispatcher]
        return next((child.pid for child in self.children() if child.pid in attending), None)

    def workers(self, huey: Huey) -> list[psutil.Process]:
        """Its workers; those that have just died may be among them."""
        dispatcher = self.dispatcher(huey)
        # The eldest is the template: all others are forked from it.
        others = sorted(self.children(), key=lambda child: child.create_time())[1:]
        return [child for child in others if child.pid != dispatcher]

    def owner(self, huey: Huey) -> int | None:
        """The number by which storage knows it."""
        consumers = huey.storage.consumers().items()
        return next((owner for owner, (it, _) in consumers if it.pid == self.process.pid), None)

    def kill(self, *pids: int) -> None:
        """Kill processes of it; those that are gone already do not matter."""
        victims = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                victims.append(psutil.Process(pid))
        for victim in victims:
            self._recorder.note(h.KILLING, victim=victim.pid)
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        for victim in victims:
            wait_until(lambda: _is_dead(victim))  # noqa: B023 -- called here and now
            self._recorder.note(h.KILLED, victim=victim.pid)

    def kill_supervisor(self) -> None:
        """Kill the supervisor, and wait for the end of its orphans.

        Raises:
            TimeoutError: if they work on for longer than their grace.
        """
        orphans = self.children()
        self.kill(self.process.pid)
        self.process.wait()
        _, left = psutil.wait_procs(orphans, timeout=30)
        if left:
            raise TimeoutError(f"orphans work on: {[process.pid for process in left]}")

    def kill_everything(self) -> None:
        """Kill all its processes."""
        victims = self.children()
        self.kill(self.process.pid, *(victim.pid for victim in victims))
        self.process.wait()
        psutil.wait_procs(victims, timeout=30)

    def stop(self, timeout: float = 60) -> int:
        """Stop it; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)


def _is_dead(process: psutil.Process) -> bool:
    """Whether it has ended; it may not have been reaped yet, and its pid may be another's."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
