"""The demo, on a sample of its files: it ends well, reports what is so, and leaves nothing running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import liteq

FOLDER = Path(__file__).parents[2] / "examples/indexer"
PATIENCE = 120
"""Seconds; a run takes one or two."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command of the demo's folder, in a session of its own; its data are the test's."""

    def run_(*command: str) -> subprocess.CompletedProcess[str]:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=FOLDER,
            env={
                **os.environ,
                "INDEXER_DIR": str(tmp_path),
                "PYTHONPATH": str(Path(liteq.__file__).parents[1]),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=PATIENCE)
            wait_until_alone(process.pid)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return subprocess.CompletedProcess(command, process.returncode, output)

    return run_


def wait_until_alone(group: int) -> None:
    """Wait until nothing of a process group runs any more; those that are dead but not buried do not."""
    deadline = time.monotonic() + PATIENCE
    while living := list(living_members(group)):
        assert time.monotonic() < deadline, f"left running: {living}"
        time.sleep(0.01)


def living_members(group: int):
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def numbers(pattern: str, report: str) -> list[int]:
    found = re.search(pattern, report, re.MULTILINE)
    assert found, f"no {pattern!r} in:\n{report}"
    return [int(number) for number in found.groups()]


def test_it_reports_what_it_did_and_can_be_run_again(run: Run, tmp_path: Path):
    reports = []
    for _ in range(2):
        done = run("main.py", "--limit", "60", "--workers", "2")
        log = (tmp_path / "consumer.log").read_text()
        assert done.returncode == 0, f"{done.stdout}\n{log}"
        assert "Stopped" in log
        reports.append(done.stdout)
    indexed = [numbers(r"^Indexed (\d+) files, (\d+) lines$", report) for report in reports]
    assert indexed[0] == indexed[1]
    for report, (files, lines) in zip(reports, indexed, strict=True):
        assert files >= 60
        assert numbers(r"^Ran (\d+) tasks", report) == [3 * files]
        assert numbers(r"^Retries: (\d+), one of them provoked$", report) >= [1]
        assert numbers(r"^Checked: the same (\d+) files and (\d+) lines", report) == [files, lines]
        assert (
            len(re.findall(r"\w+ \d+", re.search(r"^Most frequent names: (.*)$", report, re.MULTILINE)[1]))
            == 10
        )
        assert numbers(r"^Search for .*: (\d+) files, the best being\n  \S+\.py: .*\[", report) >= [1]


def test_more_important_modules_are_written_first(run: Run):
    report = run("main.py", "--limit", "60", "--workers", "1").stdout
    top, last = numbers(r"^Priority: the (\d+) modules .* were among the first (\d+) written$", report)
    assert 0 < top <= last <= top + 5


def test_it_fails_if_the_index_differs_from_its_own_count(run: Run):
    wrong = "import sys, main; main.count_lines = lambda path: 1; sys.exit(main.main())"
    done = run("-c", wrong, "--limit", "10")
    assert done.returncode == 1
    assert "WRONG" in done.stdout
