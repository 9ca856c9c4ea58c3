"""What a hazard did, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Report:
    """The result of one hazard."""

    hazard: str
    load: float = 0
    """Tasks a second that were acknowledged while the faults went on."""
    faults: int = 0
    """How often something was killed, stopped, filled, damaged or otherwise disturbed."""
    acknowledged: int = 0
    """Tasks whose call returned."""
    started: int = 0
    """Attempts that began."""
    settled: int = 0
    """Tasks that have an end: a result, an error, or dead with a reason."""
    lost: int = 0
    """Tasks that were acknowledged and have none."""
    twice: int = 0
    """Tasks that were settled more than once."""
    longest_wait: float = 0
    """Seconds that a call of a producer took at the most."""
    broken: list[str] = field(default_factory=list)
    """The promises that were broken, in words; empty if none was."""
    note: str = ""
    """What else is to be told of this hazard."""
    figures: dict[str, float] = field(default_factory=dict)
    """The same for machines."""

    def joined(self, other: Report) -> Report:
        """This one and another of the same hazard in one, with the note of the other."""
        return Report(
            self.hazard,
            (self.load + other.load) / 2,
            self.faults + other.faults,
            self.acknowledged + other.acknowledged,
            self.started + other.started,
            self.settled + other.settled,
            self.lost + other.lost,
            self.twice + other.twice,
            max(self.longest_wait, other.longest_wait),
            self.broken + other.broken,
            other.note,
            self.figures | other.figures,
        )

    def line(self) -> str:
        """The report as one line."""
        verdict = "ok" if not self.broken else "BROKEN: " + "; ".join(self.broken)
        return (
            f"{self.hazard:<12} {self.load:>7,.0f}/s {self.faults:>6,} faults "
            f"{self.acknowledged:>8,} acknowledged {self.started:>8,} run {self.settled:>8,} settled "
            f"{self.lost:>4} lost {self.twice:>4} twice {self.longest_wait * 1000:>6,.0f} ms longest wait   "
            f"{verdict}{self.note and f' ({self.note})'}"
        )
