"""The wall clock is set forward and back, and the machine sleeps, under two consumers.

All processes of the run have clocks that can be set; in a sleep, all of them stand still, and the wall clock
and the time since boot are later afterwards. The machine's own clocks are left alone.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress

import psutil

from liteq import RateLimitExceeded, clock
from liteq.limits import RateLimit
from stress import history as h
from stress.calls import Caller
from stress.report import Report
from stress.shifted import Shift
from stress.trial import Trial
from stress.waiting import wait_until

_PAUSE = 0.3
_LEASE = 15.0
_FARTHEST = 80
"""Seconds by which the wall clock is off at the most: fewer slots than are made up for."""
_SHORTEST = 30
"""Seconds: of a jump. Longer than leases, locks and results last here that must not, or must, end by it."""
_LOCK = "for a while"
_FIRST = 100
_SLACK = 3.0
"""Seconds that a loaded machine may need beyond what is promised."""
_NOTICED_WITHIN = 1.0 + _SLACK
"""Seconds until a consumer sees that its clock was set."""


def run(seed: int, seconds: float, workers: int, bug: str = "") -> Report:
    """Set the clock again and again."""
    with Trial("clock", seed, workers, consumers=2, lease=_LEASE, shifted=True, bug=bug) as trial:
        setter = Setter(trial)
        trial.break_things(seconds, setter.set_clock, _PAUSE)
        setter.make_all_due()
        report = trial.finish()
        if report.figures["expired"]:
            report.broken.append("leases end because the clock is set")
    jumps = ", ".join(f"{number} {kind}" for kind, number in setter.kinds.items())
    report.note = f"{jumps}; noticed within {report.figures['noticed_within']:.2f} s"
    return report


class Setter:
    """Sets the clocks of a trial."""

    def __init__(self, trial: Trial) -> None:
        assert trial.shift is not None
        self.shift: Shift = trial.shift
        self.kinds: Counter[str] = Counter()
        self.follower = h.Follower(trial.settings.folder)
        self._trial = trial
        self._caller = Caller(trial)
        self._events: list[h.Event] = []
        self._lock = trial.huey.lock_task(_LOCK, ttl=_SHORTEST - 5)
        self._locked_at = float("-inf")
        trial.report.figures["noticed_within"] = 0

    def set_clock(self) -> bool:
        """Do one of it, and look what comes of that."""
        self._hold_lock()
        wall = self.shift.wall // clock.SECOND
        ways = ["jumps forward", "sleeps"] if wall + _SHORTEST <= _FARTHEST else []
        ways += ["jumps back"] if wall - _SHORTEST >= -_FARTHEST else []
        way = self._trial.chance.choice(ways)
        if way == "jumps back":
            self._jump_back(self._trial.chance.randint(_SHORTEST, wall + _FARTHEST))
        else:
            self._jump_forward(self._trial.chance.randint(_SHORTEST, _FARTHEST - wall), way == "sleeps")
        self.kinds[way] += 1
        if not self._trial.huey.is_locked(_LOCK):
            self._say("a lock's time to live ends because the clock is set")
        return True

    def make_all_due(self) -> None:
        """Set the clock to a time at which nothing is left for later."""
        self.shift.set((2 * _FARTHEST + _SHORTEST) * clock.SECOND, self.shift.boot)

    # The jumps

    def _jump_forward(self, seconds: int, asleep: bool) -> None:
        """What was due in between is due now, and what was to expire has expired."""
        storage = self._trial.huey.storage
        probe = self._call_in(_SHORTEST / 2)
        storage.put_result("value", b"", expires=clock.now() + _SHORTEST * clock.SECOND // 2)
        if storage.peek_result("value") is None or self._begins(probe, within=0.1):
            self._say("something is due or expires long before its time")
        limit = self._exhausted_limit()
        self._caller.burst(1, milliseconds=1500)  # is claimed for longer than others take to look for claims
        self._caller.burst(100, milliseconds=5)
        wait_until(self._trial.huey.running_count)
        self._sleep(seconds) if asleep else self._shift(seconds)
        began = time.monotonic()
        if storage.peek_result("value") is not None:
            self._say("a result outlives the time at which it was to expire")
        if _has_room(limit) != asleep:
            self._say("a rate limit goes by the wall clock, or not by the time since boot")
        if not self._begins(probe, _NOTICED_WITHIN):
            self._say("a task is not begun although the clock was set to after its time")
        figures = self._trial.report.figures
        figures["noticed_within"] = max(figures["noticed_within"], time.monotonic() - began)

    def _jump_back(self, seconds: int) -> None:
        """What was to be due in a moment has to wait."""
        probe = self._call_in(_SLACK)
        called = time.monotonic()
        self._shift(-seconds)
        if self._begins(probe, within=0.3) and time.monotonic() - called < _SLACK:
            self._say("a task begins before its time")

    def _shift(self, wall: int, boot: int = 0) -> None:
        self.shift.set(self.shift.wall + wall * clock.SECOND, self.shift.boot + boot * clock.SECOND)

    def _sleep(self, seconds: int) -> None:
        """All stand still, and for them the machine's clocks go on for so long in the meantime."""
        processes = self._trial.processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        self._shift(seconds, seconds)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    # What comes of them

    def _call_in(self, seconds: float) -> str:
        # Before all others: what is measured is not how long those take that were due as well.
        handle = self._caller.again.schedule((1,), delay=seconds, priority=_FIRST)
        self._caller.note(handle.id, "scheduled", 1, priority=_FIRST)
        return str(handle.id)

    def _begins(self, id: str, within: float) -> bool:
        def has_begun() -> bool:
            self._events.extend(self.follower.events())
            return any(it.kind == h.STARTED and it.id == id for it in self._events)

        self._events.clear()
        try:
            wait_until(has_begun, within)
        except TimeoutError:
            return False
        return True

    def _exhausted_limit(self) -> RateLimit:
        """A rate limit that has room again after a sleep, and in no other case."""
        limit = self._trial.huey.rate_limit(f"limit {self.kinds.total()}", 1, _SHORTEST - 5)
        limit.acquire()
        return limit

    def _hold_lock(self) -> None:
        """Hold a lock whose time to live is shorter than a jump, and longer than what a jump takes."""
        if time.monotonic() - self._locked_at > _SHORTEST / 3:
            self._lock.release()
            self._lock.acquire()
            self._locked_at = time.monotonic()

    def _say(self, what: str) -> None:
        if what not in self._trial.report.broken:
            self._trial.report.broken.append(what)


def _has_room(limit: RateLimit) -> bool:
    try:
        limit.acquire()
    except RateLimitExceeded:
        return False
    return True
