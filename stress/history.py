"""The history of a run, written outside the queue: acknowledged, started, settled; and its check."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


def note(folder: str, event: str, number: int) -> None:
    """Append a line to the history of an event; a line is written whole, whoever is killed meanwhile."""
    fd = os.open(f"{folder}/{event}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, f"{number}\n".encode())
    finally:
        os.close(fd)


def read(folder: str, event: str) -> Counter[int]:
    """How often an event happened to each task."""
    path = Path(folder, event)
    return Counter(int(line) for line in path.read_text().split()) if path.exists() else Counter()


@dataclass
class Report:
    """What a hazard did, and what came of it."""

    hazard: str
    faults: int = 0
    acknowledged: int = 0
    started: int = 0
    results: int = 0
    dead: int = 0
    broken: list[str] = field(default_factory=list)
    """The promises that were broken, in words; empty if none was."""
    note: str = ""
    """What a hazard of another kind has to tell."""

    def line(self) -> str:
        """The report as one line."""
        verdict = "ok" if not self.broken else "BROKEN: " + "; ".join(self.broken)
        return (
            f"{self.hazard:<12} {self.faults:>5} faults {self.acknowledged:>7} acknowledged "
            f"{self.started:>7} starts {self.results:>7} results {self.dead:>5} dead   {verdict}"
            f"{self.note and f' ({self.note})'}"
        )


def check(folder: str, hazard: str, results: dict[int, int], dead: set[int]) -> Report:
    """Hold a history against the promises.

    Args:
        folder: where the history is.
        hazard: the name for the report.
        results: of each task that has a result, how many reads of it succeeded.
        dead: the tasks that were kept as dead.
    """
    acknowledged, started = read(folder, "acknowledged"), read(folder, "started")
    report = Report(hazard, 0, len(acknowledged), started.total(), len(results), len(dead))
    lost = [n for n in acknowledged if n not in results and n not in dead]
    if lost:
        report.broken.append(f"{len(lost)} acknowledged tasks without an end, such as {lost[:3]}")
    twice = [n for n, times in results.items() if times > 1]
    if twice:
        report.broken.append(f"{len(twice)} results were read twice, such as {twice[:3]}")
    again = [n for n, times in started.items() if times > 1 and n < 0]
    if again:
        report.broken.append(f"{len(again)} at-most-once tasks started twice, such as {again[:3]}")
    wrongly_dead = [n for n in dead if n > 0]
    if wrongly_dead:
        report.broken.append(f"{len(wrongly_dead)} tasks died of crashes not their own: {wrongly_dead[:3]}")
    unstarted = [n for n in results if not started[n]]
    if unstarted:
        report.broken.append(f"{len(unstarted)} results of tasks that never started, such as {unstarted[:3]}")
    return report
