"""Two consumers on one file, then four; one of them is killed, as a whole or in part, and started again.

The others take over what a dead one held. Undisturbed, each of them has a share of the work.
"""

from __future__ import annotations

import time
from collections import Counter

from stress import history as h
from stress.calls import Caller
from stress.consumer import Consumer
from stress.report import Report
from stress.trial import Trial
from stress.waiting import wait_until

_PAUSE = 0.4
_RECOVERED_WITHIN = 1.0 + 3.0
"""Seconds until another consumer has looked, and what a loaded machine may need beyond that."""
_LEAST_SHARE = 0.25
"""Of what each consumer has where all have the same."""
_TRIES = 4
_BURST = 150
"""Calls for each consumer, of so many milliseconds:"""
_MILLISECONDS = 3


def run(seed: int, seconds: float, workers: int, bug: str = "") -> Report:
    """Kill one consumer after the other: half of the time among two, then among four."""
    workers = max(1, workers // 2)
    with Trial("consumers", seed, workers, consumers=2, bug=bug) as trial:
        killer = Killer(trial)
        notes = []
        for number in (2, 4):
            while len(trial.consumers) < number:
                trial.add_consumer()
            trial.break_things(seconds / 2, killer.kill_one, _PAUSE)
            share = killer.least_share()
            trial.report.figures[f"least_share_of_{number}"] = share
            notes.append(f"{share:.0%} among {number}")
        report = trial.finish()
        report.figures["recovered_within"] = killer.longest
    killed = ", ".join(f"{number} {what}" for what, number in killer.kinds.items())
    report.note = (
        f"killed {killed}; taken over within {killer.longest:.2f} s; "
        f"the least share of an equal one was {', '.join(notes)}"
    )
    return report


class Killer:
    """Kills consumers of a trial, and starts them again."""

    def __init__(self, trial: Trial) -> None:
        self.longest = 0.0
        self.kinds: Counter[str] = Counter()
        self._trial = trial
        self._caller = Caller(trial)

    def kill_one(self) -> bool:
        """Kill a consumer, its supervisor or its dispatcher."""
        ways = {
            "as a whole": self._kill_everything,
            "supervisors": self._kill_supervisor,
            "dispatchers": self._kill_dispatcher,
        }
        way = sorted(ways)[self.kinds.total() % len(ways)]
        done = ways[way](self._trial.chance.choice(self._trial.consumers))
        self.kinds[way] += done
        return done

    def _kill_everything(self, consumer: Consumer) -> bool:
        storage = self._trial.huey.storage
        owner = consumer.owner(self._trial.huey)
        self._caller.burst()
        began = time.monotonic()
        consumer.kill_everything()
        try:
            wait_until(lambda: owner not in storage.consumers(), _RECOVERED_WITHIN)
        except TimeoutError:
            self._say("what a dead consumer held is not taken over by the others in time")
        self.longest = max(self.longest, time.monotonic() - began)
        consumer.start()
        return True

    def _kill_supervisor(self, consumer: Consumer) -> bool:
        consumer.kill_supervisor()
        consumer.start()
        return True

    def _kill_dispatcher(self, consumer: Consumer) -> bool:
        pid = consumer.dispatcher(self._trial.huey)
        if pid is not None:
            consumer.kill(pid)
        return pid is not None

    def least_share(self) -> float:
        """How much of an equal share the consumer has that gets the least; measured anew if too little."""
        share = 0.0
        for _ in range(_TRIES):
            share = self._share()
            if share >= _LEAST_SHARE:
                return share
        self._say(f"a consumer starves beside {len(self._trial.consumers) - 1} others")
        return share

    def _share(self) -> float:
        number = len(self._trial.consumers)
        owners: dict[tuple[int, int], int] = {}
        begun: dict[str, int] = {}
        follower = h.Follower(self._trial.settings.folder)
        ids = self._caller.burst(_BURST * number, _MILLISECONDS)

        def have_begun() -> bool:
            for event in follower.events():
                key = (event.seq, event.attempt)
                if event.kind == h.CLAIMED:
                    owners[key] = event.detail["owner"]
                elif event.kind == h.STARTED and event.id in ids:
                    begun[event.id] = owners[key]
            return len(begun) == len(ids)

        wait_until(have_begun)
        shares = Counter(begun.values())
        return min(shares.values()) * number / len(ids) if len(shares) >= number else 0.0

    def _say(self, what: str) -> None:
        if what not in self._trial.report.broken:
            self._trial.report.broken.append(what)
