"""Applications that break at import, at the start of a worker, or in the dispatcher, and are mended.

A consumer that can't start ends with the exit code that its reference names, says why, and takes little of
the processor meanwhile. One that runs goes on with the old code. Nothing is lost, and all runs in the end.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import psutil

from liteq.storage.sqlite.verify import verify
from stress import history as h
from stress.checker import Run, check
from stress.consumer import ROOT, Consumer
from stress.moods import GOOD, MOOD
from stress.report import Report
from stress.settings import FOLDER, Settings
from stress.waiting import Progress, wait_until

MOST_PROCESSOR_TIME: Final = 6.0
"""Seconds that a consumer may use until it gives up; a loop without a pause uses far more, or does not."""
_ROUNDS = 4
"""Reloads of broken code, and of mended code, in the life of a consumer."""
_STOPPED_WITHIN = 15.0
_SERVED_WITHIN = 30.0
_OPTIONS = ("-w", "2", "-t", "10", "--kill-after", "0.5")


class Loop(NamedTuple):
    """How an application is broken from the start, and what comes of the consumer."""

    mood: str
    code: int
    says: str
    """A pattern of its last words."""


LOOPS: Final = (
    Loop("import raises", 1, "RuntimeError: broken as it has to be"),
    Loop("import exits", 1, "SystemExit: 3"),
    Loop("import leaves", 4, "imports the application can't be kept running: it exited with code 3"),
    Loop("import crashes", 4, "imports the application can't be kept running: it was killed by SIGSEGV"),
    Loop("start exits", 4, "worker . can't be kept running: it exited with code 1"),
    Loop("start leaves", 4, "worker . can't be kept running: it exited with code 3"),
    Loop("start crashes", 4, "worker . can't be kept running: it was killed by SIGSEGV"),
    Loop("dispatcher", 4, "dispatcher can't be kept running: it was killed by SIGKILL"),
)
HANGS: Final = ("import hangs", "start hangs")
"""It waits, without using the processor, until it is stopped."""
RELOADS: Final = (*(loop.mood for loop in LOOPS if loop.mood != "dispatcher"), *HANGS)


def run(seed: int, seconds: float, workers: int) -> Report:
    """Break and mend for so long, but at least once."""
    del workers  # two are enough for what is looked at
    with tempfile.TemporaryDirectory(prefix="liteq-crash-loop-") as folder:
        trial = _Trial(folder, seed)
        progress = Progress("crash_loop", seconds)
        end = time.monotonic() + seconds
        while not trial.report.faults or time.monotonic() < end:
            trial.begin_broken()
            trial.hang()
            trial.reload(end)
            progress.tell(trial.report.faults, trial.number)
        progress.end()
        return trial.finish(seconds)


class _Trial:
    """An application, the tasks that were called, and consumers of it."""

    def __init__(self, folder: str, seed: int) -> None:
        self._folder = folder
        self._settings = Settings(folder)
        self._chance = random.Random(f"crash loop {seed}")
        self.set_mood(GOOD)
        self._app = _application(folder)
        self._recorder = h.Recorder(folder)
        self._reloads: list[str] = []
        self._logs = 0
        self.number = 0
        self.most_time = 0.0
        self.report = Report("crash_loop")

    def set_mood(self, mood: str) -> None:
        new = Path(self._folder, "mood.new")
        new.write_text(mood, encoding="utf-8")
        new.replace(Path(self._folder, "mood"))

    def call(self, times: int = 20) -> None:
        """Call tasks, which have to run some time."""
        for _ in range(times):
            self.number += 1
            handle = self._app.again(self.number, 1)
            detail = {"kind": "plain", "expected": self.number, "once": False, "priority": 0, "wait": 0}
            self._recorder.note(h.ACKNOWLEDGED, handle.id, **detail)

    def begin_broken(self) -> None:
        """Start consumers of broken applications, one for each way: they have to give up."""
        self.call()
        started = [(loop, *self._start(loop.mood)) for loop in LOOPS]
        for loop, process, log in started:
            self.report.faults += 1
            try:
                code, used = _wait(process)
            except TimeoutError:
                _kill(process)
                self.report.broken.append(f"{loop.mood}: it does not give up")
                continue
            self.most_time = max(self.most_time, used)
            self.report.broken += judge(loop, code, used, log.read_text(encoding="utf-8"))

    def hang(self) -> None:
        """Start consumers that wait for the application for ever: they can be stopped, as a whole."""
        started = [(mood, self._start(mood)[0]) for mood in HANGS]
        for mood, process in started:
            self.report.faults += 1
            self._expect(f"children of {mood}", psutil.Process(process.pid).children)
        time.sleep(self._chance.uniform(0.5, 1))
        for mood, process in started:
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            try:
                _, used = _wait(process, _STOPPED_WITHIN)
            except TimeoutError:
                _kill(process)
                self.report.broken.append(f"{mood}: it can't be stopped")
                continue
            self.most_time = max(self.most_time, used)
            if psutil.wait_procs(family, timeout=5)[1]:
                self.report.broken.append(f"{mood}: processes of it are left")

    def _start(self, mood: str) -> tuple[subprocess.Popen[bytes], Path]:
        self._logs += 1
        log = Path(self._folder, f"log-{self._logs}")
        command = [sys.executable, "-m", "liteq", "consume", "stress.fragile.huey", *_OPTIONS]
        environment = {**self._settings.environment(), "PYTHONPATH": str(ROOT), MOOD: mood}
        with log.open("wb") as file:
            return subprocess.Popen(command, cwd=ROOT, stderr=file, env=environment), log

    def reload(self, end: float) -> None:
        """Start a good one, and have it load broken code and good code by turns."""
        self.set_mood(GOOD)
        self._logs += 1
        consumer = Consumer(
            self._settings, 2, *_OPTIONS, application="stress.fragile.huey", name=f"log-{self._logs}"
        )
        self._expect("the tasks to run", self._all_ran)
        for number in range(_ROUNDS):
            if number and time.monotonic() > end:
                break
            self._break_and_mend(consumer, number)
        code = consumer.stop()
        if code:
            self.report.broken.append(f"after reloads it ended with code {code}")

    def _break_and_mend(self, consumer: Consumer, number: int) -> None:
        self._reloads = self._reloads or self._chance.sample(RELOADS, len(RELOADS))
        mood = self._reloads.pop()
        self.report.faults += 1
        self.set_mood(mood)
        consumer.process.send_signal(signal.SIGHUP)
        self.call()
        self._expect(f"tasks to run after {mood}", self._all_ran)
        time.sleep(self._chance.uniform(0, 0.5))
        self.call()
        self._expect(f"tasks to run on after {mood}", self._all_ran)
        if consumer.process.poll() is not None:
            self.report.broken.append(f"{mood}: the consumer ended with code {consumer.process.returncode}")
            return
        self.set_mood(f"{GOOD} {number}")
        consumer.process.send_signal(signal.SIGHUP)
        self._expect(f"the mended code to run after {mood}", lambda: self._version() == f"{GOOD} {number}")

    def _version(self) -> str:
        """The version of any worker."""
        handle = self._app.version()
        detail = {"kind": "version", "once": False, "priority": 0, "wait": 0}
        found: str = handle.get(blocking=True, timeout=_SERVED_WITHIN, preserve=True)
        self._recorder.note(h.ACKNOWLEDGED, handle.id, expected=found, **detail)
        return found

    def _all_ran(self) -> bool:
        return not any(self._app.huey.counts()._replace(dead=0))

    def _expect(self, what: str, condition: Callable[[], object], timeout: float = _SERVED_WITHIN) -> None:
        try:
            wait_until(condition, timeout)
        except TimeoutError:
            self.report.broken.append(f"waited {timeout:.0f} s in vain for {what}")

    def finish(self, seconds: float) -> Report:
        """What has become of all tasks."""
        report, huey = self.report, self._app.huey
        run = Run(h.read(self._folder), {})
        acknowledged = [event.id for event in run.of(h.ACKNOWLEDGED)]
        run.ends = {id: end for id in acknowledged if (end := huey.result(id)) is not None}
        report.load = len(acknowledged) / seconds
        report.acknowledged = len(acknowledged)
        report.started = sum(1 for _ in run.of(h.STARTED))
        report.settled = len(run.ends)
        report.lost = len(set(acknowledged) - set(run.ends))
        report.broken += check(run) + verify(f"{self._folder}/queue.db").problems
        report.figures["most_processor_time"] = self.most_time
        report.note = f"{self.most_time:.1f} s of the processor at the most until it gave up"
        huey.storage.close()
        return report


def judge(loop: Loop, code: int, used: float, log: str) -> list[str]:
    """What is wrong with the end of a consumer that could not start."""
    broken = []
    words = "\n".join(log.splitlines()[-3:])
    if code != loop.code:
        broken.append(f"{loop.mood}: exit code {code}, not {loop.code}")
    if not re.search(loop.says, words):
        broken.append(f"{loop.mood}: its last words are {words!r}")
    if used > MOST_PROCESSOR_TIME:
        broken.append(f"{loop.mood}: it used {used:.1f} s of the processor")
    return broken


def _wait(process: subprocess.Popen[bytes], timeout: float = 60) -> tuple[int, float]:
    """The exit code of a process, and the processor time of it and all its children.

    Raises:
        TimeoutError: if it does not end.
    """
    found: tuple[int, float] | None = None

    def has_ended() -> bool:
        nonlocal found
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            found = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
            process.returncode = found[0]
        return found is not None

    wait_until(has_ended, timeout)
    assert found is not None
    return found


def _kill(process: subprocess.Popen[bytes]) -> None:
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()


def _application(folder: str) -> ModuleType:
    os.environ[FOLDER] = folder
    for name in ("stress.app", "stress.fragile"):
        sys.modules.pop(name, None)
    return import_module("stress.fragile")
