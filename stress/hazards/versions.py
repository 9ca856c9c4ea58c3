"""The last version of liteq and this one on one file: consumers and producers of both, at the same time.

A file that the last one made, with work in it, is opened by this one. Then the schema's number is raised in a
copy of this one: what that makes is refused by this one, and left as it is.

    python stress/run.py versions --last liteq-1.0-py3-none-any.whl
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from liteq.storage.sqlite.schema import VERSION
from stress import history as h
from stress.consumer import ROOT, Consumer
from stress.report import Report
from stress.settings import LAST
from stress.trial import Trial

_PAUSE = 0.3
EXIT_CODES = {"consume": 3, "verify": 1, "backup": 1}
"""Of the commands that refuse a newer file."""
_TOUCH = "import sys, time, liteq; liteq.SqliteHuey(filename=sys.argv[1]).put('key', time.time_ns())"


def run(seed: int, seconds: float, workers: int) -> Report:
    """Mix the versions, then refuse one that does not exist yet."""
    with tempfile.TemporaryDirectory(prefix="liteq-last-") as folder:
        last = unpacked(os.environ.get(LAST, ""), Path(folder))
        report = _mix(seed, seconds, workers, last)
        report.broken += refusals(Path(folder))
    return report


def _mix(seed: int, seconds: float, workers: int, last: Path) -> Report:
    with Trial("versions", seed, workers, backlog=100, home=last) as trial:  # the last one makes the file
        older = trial.consumer
        newer = Consumer(trial.settings, workers, name="log.newer")
        trial.produce(seed * 1000 + 500)
        try:
            trial.break_things(seconds, lambda: _kill_a_worker(trial, older, newer), _PAUSE)
        finally:
            older.kill_everything()  # what it leaves is for the other one
            trial.consumers[:] = [newer]
            trial.consumer = newer
        report = trial.finish()
        born = {event.detail["liteq"] for event in h.read(trial.settings.folder) if event.kind == h.BORN}
    if last == ROOT or born != {str(last), str(ROOT)}:
        report.broken.append(f"workers were of {sorted(born)}, not of both versions")
    report.note = f"schema {VERSION} with {_schema_of(last)}"
    return report


def _kill_a_worker(trial: Trial, *consumers: Consumer) -> bool:
    consumer = trial.chance.choice(consumers)
    dispatcher = consumer.dispatcher(trial.huey)
    template, *others = sorted(consumer.children(), key=lambda child: child.create_time())
    del template
    victims = [child.pid for child in others if child.pid != dispatcher]
    if dispatcher is not None and victims:
        consumer.kill(trial.chance.choice(victims))
        return True
    return False


def unpacked(version: str, folder: Path) -> Path:
    """A folder from which a version of liteq can be imported.

    Args:
        version: a wheel, a folder, a git revision; empty for what is committed, or else what is there.
        folder: where to put it.

    Raises:
        FileNotFoundError: if there is no such version.
    """
    target = folder / "last"
    if version.endswith(".whl"):
        with zipfile.ZipFile(version) as wheel:
            wheel.extractall(target)
    elif Path(version, "liteq").is_dir() and version:
        _copy(Path(version), target)
    elif not _extract(version or "HEAD", target):
        if version:
            raise FileNotFoundError(f"{version} is no wheel, no folder with liteq in it, and no git revision")
        _copy(ROOT, target)
    return target


def _extract(revision: str, target: Path) -> bool:
    command = ["git", "-C", str(ROOT), "archive", revision, "liteq"]
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except FileNotFoundError:  # no git
        return False
    if done.returncode == 0:
        target.mkdir()
        subprocess.run(["tar", "--extract", "--directory", target], input=done.stdout, check=True)
    return done.returncode == 0


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source / "liteq", target / "liteq", ignore=shutil.ignore_patterns("__pycache__"))


def _schema_of(home: Path) -> int:
    found = re.search(
        r"^VERSION.*= (\d+)$", (home / "liteq/storage/sqlite/schema.py").read_text(), re.MULTILINE
    )
    return int(found[1]) if found else 0


# A version that does not exist yet


def raised(folder: Path) -> Path:
    """A copy of this version, of which the schema has a higher number."""
    target = folder / "next"
    _copy(ROOT, target)
    schema = target / "liteq/storage/sqlite/schema.py"
    text = schema.read_text()
    schema.write_text(text.replace(f"VERSION: Final = {VERSION}\n", f"VERSION: Final = {VERSION + 1}\n"))
    if _schema_of(target) != VERSION + 1:
        raise ValueError(f"{schema}: the number of the schema can't be raised")
    return target


def refusals(folder: Path, older: Path = ROOT) -> list[str]:
    """What does not refuse a file of a version to come, or changes it."""
    path = folder / "newer.db"
    made = _run(raised(folder), "-c", _TOUCH, path)
    before = _contents(path)
    broken = [] if made.returncode == 0 else [f"the newer version can't be run: {made.stderr}"]
    (folder / "app.py").write_text(f"import liteq\nhuey = liteq.SqliteHuey(filename={str(path)!r})\n")
    arguments: dict[str, list[object]] = {
        "consume": ["app.huey"], "verify": [path], "backup": [path, folder / "copy.db"],
    }  # fmt: skip
    for command, code in EXIT_CODES.items():
        done = _run(older, "-m", "liteq", command, *arguments[command], more=folder)
        if done.returncode != code or "newer" not in done.stdout + done.stderr:
            broken.append(f"{command} of a newer file: code {done.returncode}, {done.stdout}{done.stderr}")
    called = _run(older, "-c", _TOUCH, path)
    if "ForeignFile" not in called.stderr:
        broken.append(f"a call to a newer file: {called.stderr or 'no error'}")
    if _contents(path) != before:
        broken.append("a newer file was changed")
    return broken


def _contents(path: Path) -> tuple[bytes, bytes]:
    wal = Path(f"{path}-wal")
    return path.read_bytes(), wal.read_bytes() if wal.exists() else b""


def _run(home: Path, *arguments: object, more: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        check=False, cwd=home, timeout=60, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{more or home}"},
    )  # fmt: skip
