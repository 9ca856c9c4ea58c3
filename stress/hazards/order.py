"""One worker, killed now and then, as is its dispatcher: tasks start in the order that was promised.

First a backlog of random priorities, which is there before the consumer is; then what a producer calls.
"""

from __future__ import annotations

from stress import history as h
from stress.hazards.dispatcher import kill_dispatcher
from stress.hazards.workers import kill_one
from stress.report import Report
from stress.trial import Trial

_PAUSE = 0.15
_BACKLOG, _BACKLOG_PER_SECOND = 300, 1_000


def run(seed: int, seconds: float, _workers: int, bug: str = "") -> Report:
    """Kill the worker or the dispatcher, again and again."""
    number = int(_BACKLOG + seconds * _BACKLOG_PER_SECOND)

    def prepare(trial: Trial) -> None:
        trial.complete("stress.backlog", str(seed), str(number))

    with Trial("order", seed, 1, kinds=["plain", "bulk"], prepare=prepare, bug=bug) as trial:

        def kill() -> bool:
            fault = trial.chance.choice([kill_one, kill_one, kill_dispatcher])
            return fault(trial)

        trial.break_things(seconds, kill, _PAUSE)
        report = trial.finish()
        events = h.read(trial.settings.folder)
    kills = _kills_in_backlog(events)
    report.figures["kills_during_backlog"] = kills
    report.note = f"a backlog of {number:,}, {kills} kills while it was worked off"
    return report


def _kills_in_backlog(events: list[h.Event]) -> int:
    """How many kills there were before the last task of the backlog started."""
    backlog = {event.id for event in events if event.kind == h.ACKNOWLEDGED and event.detail.get("backlog")}
    kills = seen = 0
    for event in events:
        if event.kind == h.KILLING:
            kills += 1
        elif event.kind == h.STARTED and event.id in backlog:
            seen = kills
    return seen
