"""The benchmark's own arithmetic, and a run of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stress.bench import report
from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns, percentile, spread
from stress.bench.measures import MEASURES, load


def figure(*goals: Goal, **values: list[float]) -> Figure:
    return Figure("key", "what", "ms", values, goals)


CONDITIONS = report.conditions([1.0, 2.0], ["A note."], full=False, rounds=3)


def test_contenders_take_turns():
    order: list[str] = []

    def measure(name: str):
        return lambda: order.append(name) or {"rate": len(order), "cpu": 0.5}

    rounds = in_turns(2, {"a": measure("a"), "b": measure("b")})
    assert order == ["a", "b", "a", "b"]
    assert rounds.of("rate") == {"a": [1, 3], "b": [2, 4]}
    assert rounds.of("nothing") == {}


def test_a_ratio_is_that_of_the_same_round():
    goal = Goal(1.5, beside="peer")
    values = {"liteq": [2.0, 30.0, 9.0], "peer": [1.0, 10.0, 9.0]}
    assert goal.measured(values) == spread([2.0, 3.0, 1.0]) == (2.0, 1.0, 3.0)
    assert goal.is_met(values)


@pytest.mark.parametrize(("goal", "met"), [
    (Goal(2), True), (Goal(3), False), (Goal(2, at_most=True), True), (Goal(1, at_most=True), False),
    (Goal(1, beside="missing"), None), (Goal(1, of="missing"), None),
])  # fmt: skip
def test_a_goal_is_kept_by_the_median(goal, met):
    assert goal.is_met({"liteq": [1.0, 2.0, 99.0]}) is met


def test_percentiles():
    values = [float(n) for n in range(100)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([1.0], 0.99)) == (50, 99, 1)


def test_the_table_says_what_is_missed(tmp_path: Path):
    table = report.markdown(
        [figure(Goal(5), Goal(1, beside="peer"), liteq=[1, 2, 3], peer=[1, 1, 1])], CONDITIONS
    )
    assert "| what | ms | liteq | 2 (1 … 3) | at least 5 ms: 2 (**missed**); " in table
    assert "| peer | 1 (1 … 1) |" in table
    assert "A note." in table
    assert "load average 1.0 to 2.0" in table
    document = tmp_path / "page.md"
    document.write_text("before\n" + "\nold\n".join(report.MARKS) + "\nafter\n")
    report.put_into(document, table)
    report.put_into(document, table)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert text.count(table) == 1
    assert "old" not in text


def test_the_figures_are_written_with_what_follows_from_them(tmp_path: Path):
    path = report.write(tmp_path, [figure(Goal(5), liteq=[1, 2, 3])], CONDITIONS)
    (written,) = json.loads(path.read_text())["figures"]
    assert written["spread"]["liteq"] == {"median": 2, "least": 1, "most": 3}
    assert written["goals"][0]["met"] is False


def test_every_measure_is_there():
    assert all(callable(load(name)) for name in MEASURES)
    folder = Path(report.__file__).with_name("measures")
    assert {path.stem for path in folder.glob("*.py")} == {*MEASURES, "__init__"}


def test_a_measure_without_peers(tmp_path: Path):
    figures = load("memory")(Context(tmp_path, rounds=1))
    assert [f.key for f in figures] == ["memory-new", "memory-used", "memory-pool"]
    assert all(0.1 < value < 1_000 for f in figures for value in f.values["liteq"])
    assert list(tmp_path.iterdir()) == []
