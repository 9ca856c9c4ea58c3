"""The consumer is rolled, and stopped and started again, under load: nothing is lost, nothing runs twice.

For most of the time all tasks are short, and every stop has to end by itself, with code 0. In the rest a stop
has less time than the tasks take: what it interrupts goes back to the queue, without a crash.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable

import psutil

from stress import history as h
from stress.history import Event
from stress.report import Report
from stress.trial import Trial
from stress.waiting import wait_until

_PAUSE = 0.2
_LONG, _OFTEN = 30, 10
"""In a run of so many seconds, there are at least so many rolls, and so many stops; in a shorter one, one."""
_LONGEST_PAUSE = 0.5
"""Seconds between two starts of tasks at a roll, while tasks are ready; more if the processors are shared."""
_GONE_WITHIN = 10.0
_LONG_TASKS = ("plain", "once", "long", "long", "flaky", "pipeline", "chord")


def run(seed: int, seconds: float, workers: int) -> Report:
    """Restart in all ways that harm no task, then in those that interrupt tasks."""
    interrupting = _interrupting(seed, seconds * 0.3, workers)
    return interrupting.joined(_gentle(seed, seconds * 0.7, workers))


def _gentle(seed: int, seconds: float, workers: int) -> Report:
    with Trial("restart", seed, workers, may_repeat=False) as trial:
        restarts = Restarts(trial)
        ways = [
            *(restarts.roll, restarts.roll, restarts.roll, restarts.roll_twice),
            *(restarts.stop, restarts.stop, restarts.stop_by_int, restarts.back_to_back),
            *(restarts.stop_in_a_roll, restarts.stop_without_a_dispatcher, restarts.stop_early),
        ]
        restarts.go_through(ways, seconds)
        restarts.make_up(_OFTEN if seconds >= _LONG else 1)
        report = trial.finish()
        _judge(report, h.read(trial.settings.folder), restarts)
    if report.figures["interrupted"]:
        report.broken.append(f"{report.figures['interrupted']:.0f} tasks were interrupted")
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    if report.figures["pause_at_a_roll"] > _LONGEST_PAUSE * crowd:
        report.broken.append(f"no task started for {report.figures['pause_at_a_roll']:.2f} s at a roll")
    report.note = (
        f"{restarts.made['rolls']} rolls, longest pause {report.figures['pause_at_a_roll'] * 1000:.0f} ms; "
        f"{restarts.made['stops']} stops, {report.figures['pause_at_a_stop']:.2f} s with the start"
    )
    return report


def _interrupting(seed: int, seconds: float, workers: int) -> Report:
    options = ["-t", "0.2", "--kill-after", "10"]
    with Trial("restart", seed, workers, kinds=_LONG_TASKS, backlog=10, options=options) as trial:
        restarts = Restarts(trial)
        ways = [restarts.stop, restarts.stop_by_two_signals, restarts.roll_on, restarts.stop_in_a_roll]
        restarts.go_through(ways, seconds)
        report = trial.finish()
        _judge(report, h.read(trial.settings.folder), restarts)
    if restarts.made["stops"] > 4 and not report.figures["interrupted"]:
        report.broken.append("no task was interrupted")
    return report


def _judge(report: Report, events: list[Event], restarts: Restarts) -> None:
    statuses = Counter(e.detail["status"] for e in events if e.kind == h.SETTLED and e.detail["held"])
    pauses = longest_pauses(events)
    report.broken += restarts.broken
    if statuses["crashed"]:
        report.broken.append(f"{statuses['crashed']} crashes were counted")
    report.figures = {
        "rolls": restarts.made["rolls"],
        "stops": restarts.made["stops"],
        "interrupted": statuses["interrupted"],
        "pause_at_a_roll": pauses.get("roll", 0),
        "pause_at_a_stop": pauses.get("stop", 0),
    }


class Restarts:
    """All ways to restart the consumer of a trial."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._consumer = trial.consumer
        self._code = 0
        self.made: Counter[str] = Counter()
        self.broken: list[str] = []

    def go_through(self, ways: list[Callable[[], None]], seconds: float) -> None:
        """Take one way after the other, in an order picked anew each time, for so long."""
        left: list[Callable[[], None]] = []

        def fault() -> bool:
            if not left:
                left.extend(self._trial.chance.sample(ways, len(ways)))
            left.pop()()
            return True

        self._trial.break_things(seconds, fault, _PAUSE)

    def make_up(self, times: int) -> None:
        """Roll and stop until both have been done so often."""
        while self.made["rolls"] < times:
            self.roll()
        while self.made["stops"] < times:
            self.stop()

    def _wait_a_while(self, longest: float) -> None:
        time.sleep(self._trial.chance.uniform(0, longest))

    # Rolls

    def roll(self) -> None:
        """New code; nothing of the old is left once the consumer says so."""
        self._roll(1)

    def roll_twice(self) -> None:
        """Newer code comes while the new code is on its way."""
        self._roll(2)

    def _roll(self, times: int) -> None:
        before = self._consumer.children()
        self._trial.recorder.note(h.RESTARTING, how="roll")
        for _ in range(times):
            self._hang_up()
            self._wait_a_while(0.4 * (times - 1))
        wait_until(self._is_in_force)
        self._trial.recorder.note(h.IN_FORCE, code=self._code)
        self._trial.recorder.note(h.RESTARTED)
        self.made["rolls"] += times
        self._check_gone(before, "roll")

    def roll_on(self) -> None:
        """New code, and nobody waits for it."""
        self._hang_up()
        self.made["rolls"] += 1

    def _hang_up(self) -> None:
        heard = self._consumer.said("SIGHUP received")
        self._code += 1
        self._trial.settings.deploy(self._code)
        self._consumer.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self._consumer.said("SIGHUP received") > heard)

    def _is_in_force(self) -> bool:
        """Whether the latest code is; what was still being loaded when it came was given up."""
        log = self._consumer.log.read_text(errors="replace")
        steps = ("SIGHUP received", "is loaded anew", "The new code is in force")
        places = [log.rfind(step) for step in steps]
        return places == sorted(places)

    # Stops

    def stop(self) -> None:
        """TERM, and another consumer."""
        self._stop([signal.SIGTERM])

    def stop_by_int(self) -> None:
        """INT does the same."""
        self._stop([signal.SIGINT])

    def stop_by_two_signals(self) -> None:
        """The second one interrupts."""
        self._stop([signal.SIGTERM, self._trial.chance.choice([signal.SIGTERM, signal.SIGINT])])

    def back_to_back(self) -> None:
        """As a deployment that goes wrong does it."""
        for _ in range(3):
            self._stop([signal.SIGTERM])

    def stop_in_a_roll(self) -> None:
        """At any moment of it."""
        self._hang_up()
        self._wait_a_while(0.5)
        self._stop([signal.SIGTERM])

    def stop_without_a_dispatcher(self) -> None:
        """It is the first to be replaced."""
        loads = self._consumer.said("is loaded anew")
        self._hang_up()
        wait_until(lambda: self._consumer.said("is loaded anew") > loads)
        self._wait_a_while(0.03)
        self._stop([signal.SIGTERM])

    def stop_early(self) -> None:
        """The consumer has hardly begun."""
        self._end([signal.SIGTERM])
        self._consumer.launch()
        self._wait_a_while(0.5)
        # Before Python runs, and so before it could be heard, the signal ends the process.
        self._end([signal.SIGTERM], {0, -signal.SIGTERM})
        self._start()

    def _stop(self, signals: Iterable[signal.Signals]) -> None:
        self._end(signals)
        self._start()

    def _end(self, signals: Iterable[signal.Signals], unheard: Iterable[int] = ()) -> None:
        children = self._consumer.children()
        self._trial.recorder.note(h.RESTARTING, how="stop")
        for number in signals:
            self._consumer.process.send_signal(number)
            self._wait_a_while(0.1)
        code = self._consumer.process.wait(60)
        self._trial.recorder.note(h.STOPPED, code=0 if code in unheard else code)
        self.made["stops"] += 1
        self._check_gone(children, "stop")
        if running := self._trial.huey.running_count():
            self.broken.append(f"after a stop, {running} tasks are claimed")
        if registered := self._trial.huey.storage.consumers():
            self.broken.append(f"after a stop, there are still the consumers {sorted(registered)}")

    def _check_gone(self, processes: list[psutil.Process], what: str) -> None:
        try:
            wait_until(lambda: not any(map(_is_alive, processes)), _GONE_WITHIN)
        except TimeoutError:
            left = [process.pid for process in processes if _is_alive(process)]
            self.broken.append(f"{_GONE_WITHIN} s after a {what}, the processes {left} are there")

    def _start(self) -> None:
        self._consumer.start()
        self._trial.recorder.note(h.IN_FORCE, code=self._code)
        self._trial.recorder.note(h.RESTARTED)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def longest_pauses(events: Iterable[Event]) -> dict[str, float]:
    """The longest time in which no task started though one was ready, by what was being done, in seconds."""
    longest: dict[str, float] = {}
    ready: set[str] = set()
    started: set[str] = set()
    since: int | None = None
    doing = ""
    done: set[str] = set()
    for event in events:
        if event.kind == h.RESTARTING:
            doing = event.detail["how"]
            done.add(doing)
        elif event.kind == h.RESTARTED:
            doing = ""
        elif event.kind == h.ACKNOWLEDGED and event.detail["ordered"] and event.id not in started:
            ready.add(event.id)
            since = since or event.at
        elif event.kind == h.STARTED:
            for how in done if since else ():
                longest[how] = max(longest.get(how, 0), (event.at - (since or 0)) / 1e9)
            started.add(event.id)
            ready.discard(event.id)
            since = event.at if ready else None
            done = {doing} - {""}
    return longest
