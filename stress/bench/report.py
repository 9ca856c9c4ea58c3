"""The table: for people, and as JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from stress.bench.figure import Figure, Goal, Spread, spread

MARKS = "<!-- figures -->", "<!-- end of figures -->"
"""Where the table stands in a document."""


def conditions(loads: Sequence[float], notes: Sequence[str], *, full: bool, rounds: int) -> dict[str, Any]:
    """Under what conditions the figures came about."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "run": "full" if full else "short",
        "rounds": rounds,
        "cores": os.cpu_count(),
        "machine": f"{platform.system()} {_kernel()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "load": {"least": min(loads), "most": max(loads)},
        "notes": list(notes),
    }


def _kernel() -> str:
    """The version without what a distribution or a host makes of it."""
    return platform.release().partition("-")[0]


def write(folder: Path, figures: Sequence[Figure], circumstances: dict[str, Any]) -> Path:
    """The figures as JSON; where."""
    path = folder / "figures.json"
    data = {"conditions": circumstances, "figures": [figure.to_json() for figure in figures]}
    path.write_text(json.dumps(data, indent=1) + "\n")
    return path


def lines(figure: Figure) -> list[str]:
    """A figure as lines of text."""
    text = [f"{figure.what} [{figure.unit}]" + (f" ({figure.note})" if figure.note else "")]
    text += [f"    {name:<44} {_words(spread(values))}" for name, values in figure.values.items()]
    text += [f"    {_verdict(goal, figure)}" for goal in figure.goals]
    return text


def _verdict(goal: Goal, figure: Figure) -> str:
    measured = goal.measured(figure.values)
    if measured is None:
        return f"goal {_bound(goal, figure)}: not measured"
    value = f"{_words(measured)}{' times' if goal.beside else ''}"
    return f"{'ok  ' if goal.is_met(figure.values) else 'MISS'} {value}, goal {_bound(goal, figure)}"


def _bound(goal: Goal, figure: Figure) -> str:
    sign = "at most" if goal.at_most else "at least"
    unit = f"times {goal.beside}" if goal.beside else figure.unit
    return f"{sign} {goal.bound:,g} {unit}"


def _words(values: Spread) -> str:
    return f"{number(values.median)} ({number(values.least)} … {number(values.most)})"


def number(value: float) -> str:
    """Three digits, and no more than the measurement can have."""
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1g}"


def markdown(figures: Iterable[Figure], circumstances: dict[str, Any]) -> str:
    """The table as a document has it."""
    it, load = circumstances, circumstances["load"]
    under = (
        f"{it['when'][:10]}, a {it['run']} run of {it['rounds']} rounds: {it['cores']} cores, "
        f"{it['machine']}, Python {it['python']}, SQLite {it['sqlite']}, "
        f"load average {load['least']:.1f} to {load['most']:.1f}."
    )
    text = [
        " ".join([under, *it["notes"]]),
        "",
        "| what | unit | contender | median (least … most) | goal: measured |",
        "|---|---|---|---|---|",
    ]
    for figure in figures:
        goals = {goal.of: [] for goal in figure.goals}  # type: dict[str, list[str]]
        for goal in figure.goals:
            goals[goal.of].append(_cell(goal, figure))
        for position, (name, values) in enumerate(figure.values.items()):
            what, unit = (figure.what, figure.unit) if position == 0 else ("", "")
            of_it = "; ".join(goals.get(name, []))
            text.append(f"| {what} | {unit} | {name} | {_words(spread(values))} | {of_it} |")
    return "\n".join(text)


def _cell(goal: Goal, figure: Figure) -> str:
    measured = goal.measured(figure.values)
    told = (
        "not measured" if measured is None else f"{number(measured.median)}{' times' if goal.beside else ''}"
    )
    kept = "" if measured is None or goal.is_met(figure.values) else " (**missed**)"
    return f"{_bound(goal, figure)}: {told}{kept}"


def put_into(document: Path, table: str) -> None:
    """Replace the table that stands between the marks of a document."""
    before, _, rest = document.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    document.write_text(f"{before}{MARKS[0]}\n\n{table}\n\n{MARKS[1]}{after}")


def show(figure: Figure) -> None:
    """Print a figure as soon as it is known."""
    print("\n".join(lines(figure)), flush=True)


def summary(figures: Iterable[Figure]) -> int:
    """Say which goals are missed; how many."""
    missed = [(f, goal) for f in figures for goal in f.goals if goal.is_met(f.values) is False]
    print(f"\n{len(missed)} goals missed" + (":" if missed else ""))
    for figure, goal in missed:
        print(f"  {figure.what}: {_verdict(goal, figure)}")
    sys.stdout.flush()
    return len(missed)
