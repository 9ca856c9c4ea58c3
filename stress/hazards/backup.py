"""Backups under load, while workers, the dispatcher and backups are killed; and what they are worth.

Each finished backup is whole and holds every task that was acknowledged before it began, or its result. Some
are restored beside the queue and worked off. While a consumer runs, nothing is restored over its queue.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from liteq import SqliteHuey, StorageError
from liteq.storage.sqlite.copies import opened
from liteq.storage.sqlite.verify import verify
from stress import history as h
from stress.consumer import ROOT, Consumer
from stress.hazards.workers import kill_one
from stress.report import Report
from stress.settings import Settings
from stress.trial import Trial
from stress.waiting import wait_until

_PAUSE = 0.05
_KILLED = 0.3
"""The share of backups that are killed."""
_RESTORED = 0.2
"""The share of those finished that are restored and worked off."""
_LONGEST = 60
_KNOWN = "SELECT id FROM queue WHERE queue <> '' UNION SELECT id FROM stage UNION SELECT key FROM result"


def run(seed: int, seconds: float, workers: int) -> Report:
    """Make one backup after the other."""
    with Trial("backup", seed, workers, backlog=100) as trial, tempfile.TemporaryDirectory() as folder:
        backups = Backups(trial, Path(folder))
        wait_until(lambda: trial.huey.result_count() > 0)
        trial.break_things(seconds, backups.make, _PAUSE)
        backups.refuse_restore()
        if not backups.restored:
            backups.make_for_sure()
        report = trial.finish()
        backups.restore_in_place(workers)
    report.broken += backups.broken
    report.figures |= {
        "finished": backups.finished, "killed": backups.killed, "restored": backups.restored,
        "tasks_in_the_largest": backups.largest,
    }  # fmt: skip
    report.note = (
        f"{backups.finished} backups, {backups.killed} killed, {backups.restored} restored and worked off"
    )
    return report


class Backups:
    """Makes, kills, checks and restores backups of a trial's queue.

    Args:
        trial: whose consumer is at work.
        folder: where the backups are.
    """

    def __init__(self, trial: Trial, folder: Path) -> None:
        self._trial = trial
        self._queue = Path(trial.settings.folder, "queue.db")
        self._folder = folder
        self._number = self.finished = self.killed = self.restored = self.largest = 0
        self._last: Path | None = None
        self._held: set[str] = set()
        self.broken: list[str] = []

    def make(self) -> bool:
        """Make a backup while something is killed: a worker, the dispatcher, or the backup itself."""
        chance = self._trial.chance
        self._disturb()
        if chance.random() < _KILLED:
            self._make(kill_after=chance.uniform(0, 0.5))
        else:
            self._make(kill_after=None)
        return True

    def make_for_sure(self) -> None:
        """Make one, and work it off."""
        self._make(kill_after=None, restore=True)

    def _disturb(self) -> None:
        if self._trial.chance.random() < 0.7:
            kill_one(self._trial)
        elif pid := self._trial.consumer.dispatcher(self._trial.huey):
            self._trial.consumer.kill(pid)

    def _make(self, kill_after: float | None, *, restore: bool = False) -> None:
        self._number += 1
        copy = self._folder / f"copy{self._number}.db"
        before = {e.id for e in h.read(self._trial.settings.folder) if e.kind == h.ACKNOWLEDGED}
        code, text = ended(liteq("backup", self._queue, copy), kill_after)
        if code == 0:
            self.finished += 1
        elif kill_after is None:
            self.broken.append(f"a backup ended with code {code}: {text}")
        else:
            self.killed += 1
        if copy.exists():  # one that was killed may have got its name before
            self.broken += faults_of(copy, before)
            self.largest = max(self.largest, len(before))
            if code == 0 and (restore or self._trial.chance.random() < _RESTORED):
                self._work_off(copy, before)
            self._keep(copy, before)
        elif code == 0:
            self.broken.append(f"{copy.name} is not there")
        for left in self._folder.glob(".*"):  # what a kill leaves
            if kill_after is None:
                self.broken.append(f"a backup leaves {left.name}")
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _keep(self, copy: Path, held: set[str]) -> None:
        if self._last is not None:
            self._last.unlink()
        self._last, self._held = copy, held

    # What a backup is worth

    def _work_off(self, copy: Path, before: set[str]) -> None:
        with tempfile.TemporaryDirectory(prefix="liteq-restored-") as folder:
            if text := failed("restore", Path(folder, "queue.db"), copy):
                self.broken.append(f"a backup can't be restored: {text}")
                return
            self.broken += worked_off(folder, 2, before)
        self.restored += 1

    def refuse_restore(self) -> None:
        """A consumer is at work on the queue: it is left alone."""
        if self._last is None:
            self._make(kill_after=None)
        if self._last is not None and "a consumer works on it" not in failed(
            "restore", self._queue, self._last
        ):
            self.broken.append("a backup was restored under a consumer at work")

    def restore_in_place(self, workers: int) -> None:
        """Nobody is at work any more: the last backup takes the queue's place, and is worked off."""
        self._trial.huey.storage.close()
        if self._last is None:
            return
        if text := failed("restore", self._queue, self._last):
            self.broken.append(f"a backup can't be restored in the queue's place: {text}")
            return
        folder = self._trial.settings.folder
        shutil.move(f"{folder}/history", f"{folder}/history.before")
        self.broken += worked_off(folder, workers, self._held)
        self.restored += 1


def liteq(*arguments: object) -> subprocess.Popen[bytes]:
    """A command of liteq."""
    return subprocess.Popen(
        [sys.executable, "-m", "liteq", *map(str, arguments)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def ended(process: subprocess.Popen[bytes], kill_after: float | None = None) -> tuple[int, str]:
    """Wait for the end of a command, or kill it; its exit code, and all that it has said."""
    try:
        said, _ = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    return process.returncode, said.decode().strip()


def failed(*arguments: object) -> str:
    """What a command says if it fails; empty if it does not."""
    code, text = ended(liteq(*arguments))
    return (text or f"code {code}") if code else ""


def faults_of(copy: Path, before: set[str]) -> list[str]:
    """What is wrong with a backup that began when the calls of these tasks had returned."""
    try:
        broken = verify(str(copy)).problems
        missing = before - known(copy)
    except StorageError as error:
        return [f"{copy.name} can't be used: {error}"]
    if missing:
        broken.append(f"{copy.name} lacks {len(missing)} acknowledged tasks: {sorted(missing)[:3]}")
    return broken


def known(path: Path) -> set[str]:
    """The tasks in a file: those that have not ended, stages to come, and those with a result."""
    with opened(str(path)) as connection:
        return {id for (id,) in connection.execute(_KNOWN)}


def worked_off(folder: str, workers: int, ids: set[str]) -> list[str]:
    """Have a consumer work off a queue; what is broken if not all of these tasks have ended then."""
    consumer = Consumer(Settings(folder), workers, name="log.restored")
    huey = SqliteHuey(filename=f"{folder}/queue.db")
    try:
        wait_until(lambda: not any(huey.counts()._replace(dead=0)), _LONGEST)
        code = consumer.stop()
        results = set(huey.all_results())
    except TimeoutError:
        return [f"a restored backup is not worked off: {huey.counts()}"]
    finally:
        if consumer.process.poll() is None:
            consumer.kill_everything()
        huey.storage.close()
    broken = [f"the consumer of a restored backup ended with code {code}"] if code else []
    if missing := ids - results:
        broken.append(f"{len(missing)} tasks of a restored backup have no end: {sorted(missing)[:3]}")
    return broken + verify(f"{folder}/queue.db").problems
