"""What a measurement says: a value of each contender in each round, and the goals that are read from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

LITEQ = "liteq"


class Spread(NamedTuple):
    """Of the values of all rounds."""

    median: float
    least: float
    most: float


def spread(values: Iterable[float]) -> Spread:
    """The spread of some values."""
    ordered = sorted(values)
    return Spread(median(ordered), ordered[0], ordered[-1])


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for a contender's value, or for its ratio to another contender's value of the same round."""

    bound: float
    beside: str | None = None
    at_most: bool = False
    of: str = LITEQ

    def measured(self, values: Mapping[str, list[float]]) -> Spread | None:
        """The value or the ratio, round by round; None if a contender is missing."""
        mine = values.get(self.of)
        if not mine:
            return None
        if self.beside is None:
            return spread(mine)
        theirs = values.get(self.beside)
        return spread(a / b for a, b in zip(mine, theirs, strict=True)) if theirs else None

    def is_met(self, values: Mapping[str, list[float]]) -> bool | None:
        """Whether the median keeps the bound; None if it was not measured."""
        measured = self.measured(values)
        if measured is None:
            return None
        return measured.median <= self.bound if self.at_most else measured.median >= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured."""

    key: str
    what: str
    unit: str
    values: dict[str, list[float]]
    goals: tuple[Goal, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain values, with what follows from them."""
        goals = [
            {
                **asdict(goal),
                "measured": (measured := goal.measured(self.values)) and measured._asdict(),
                "met": goal.is_met(self.values),
            }
            for goal in self.goals
        ]
        spreads = {name: spread(values)._asdict() for name, values in self.values.items() if values}
        return {"key": self.key, "what": self.what, "unit": self.unit, "note": self.note} | {
            "values": self.values, "spread": spreads, "goals": goals,
        }  # fmt: skip


def figure_from_json(data: Mapping[str, Any]) -> Figure:
    """The figure that `to_json` wrote."""
    goals = tuple(Goal(g["bound"], g["beside"], g["at_most"], g["of"]) for g in data["goals"])
    return Figure(data["key"], data["what"], data["unit"], data["values"], goals, data["note"])


@dataclass(slots=True)
class Rounds:
    """Values of several kinds, by the contender: what a measure collects."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, contender: str, **values: float) -> None:
        """A round of a contender."""
        for kind, value in values.items():
            self.values.setdefault(kind, {}).setdefault(contender, []).append(value)

    def of(self, kind: str) -> dict[str, list[float]]:
        """All values of a kind."""
        return self.values.get(kind, {})


def in_turns(rounds: int, contenders: Mapping[str, Callable[[], Mapping[str, float]]]) -> Rounds:
    """Measure contenders A B C A B C …, so that what else the machine does meets all of them alike."""
    collected = Rounds()
    for _ in range(rounds):
        for name, measure in contenders.items():
            collected.add(name, **measure())
    return collected


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
