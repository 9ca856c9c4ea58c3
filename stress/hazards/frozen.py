"""Consumers, dispatchers and workers stand still (SIGSTOP), for longer than their lease, and go on.

Meanwhile a second consumer works on the same file. It takes over what the first one holds when its lease
ends, and what the first one makes of that afterwards has no effect. A worker that stands still alone keeps
what it has begun, until that has a timeout and it is over; the others go on.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import apsw
import psutil

from liteq.identity import standstill
from stress import history as h
from stress.calls import Caller
from stress.consumer import Consumer
from stress.report import Report
from stress.trial import Trial
from stress.waiting import wait_until

_LEASE = 1.0
_PAUSE = 0.2
_OPTIONS = ("--timeout-grace", "0.2", "--kill-after", "0.3")
_TIMEOUT = 1.0
"""Of the application's task `timed`."""
_SLACK = 3.0
"""Seconds that a loaded machine may need beyond what is promised."""
_TAKEN_WITHIN = _LEASE + 1.0 + _SLACK
"""Seconds: the lease, and another consumer's next look."""
_KILLED_WITHIN = _TIMEOUT + 0.2 + 0.3 + _SLACK
"""Seconds: the timeout, and the options."""
_FENCED = re.compile(rb"Message (\d+) was taken by another")


def run(seed: int, seconds: float, workers: int, bug: str = "") -> Report:
    """Stop one after the other, and let it go on."""
    with Trial("frozen", seed, workers, consumers=2, lease=_LEASE, options=_OPTIONS, bug=bug) as trial:
        freezer = Freezer(trial)
        trial.break_things(seconds, freezer.freeze, _PAUSE)
        report = trial.finish()
        freezer.judge(report)
    return report


class Freezer:
    """Makes processes of a trial stand still: a consumer, a worker, a dispatcher, one in a task, in turn."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._connection = apsw.Connection(f"{trial.settings.folder}/queue.db", apsw.SQLITE_OPEN_READWRITE)
        self._connection.set_busy_timeout(200)
        self._caller = Caller(trial)
        self._timed = self._caller.task("timed", timeout=_TIMEOUT)
        self._turn = 0
        self._taken = 0
        self._longest = 0.0
        self._committing = 0
        self._kinds: Counter[str] = Counter()

    def freeze(self) -> bool:
        """Stop something, look what comes of it, let it go on; whether anything was stopped."""
        kinds = {
            "consumers": self._stop_consumer,
            "workers": self._stop_worker,
            "dispatchers": self._stop_dispatcher,
            "timed tasks": self._stop_timed,
        }
        kind = list(kinds)[self._turn % len(kinds)]
        stopped = kinds[kind](self._trial.chance.choice(self._trial.consumers))
        self._turn += stopped
        self._kinds[kind] += stopped
        return stopped

    # What is stopped

    def _stop_consumer(self, consumer: Consumer) -> bool:
        everyone = [consumer.process.pid, *(child.pid for child in consumer.children())]
        return self._stop_beyond_the_lease(consumer, everyone)

    def _stop_dispatcher(self, consumer: Consumer) -> bool:
        pid = consumer.dispatcher(self._trial.huey)
        return pid is not None and self._stop_beyond_the_lease(consumer, [pid])

    def _stop_beyond_the_lease(self, consumer: Consumer, pids: Sequence[int]) -> bool:
        """The other consumer takes everything over; this one claims again once it goes on."""
        storage = self._trial.huey.storage
        owner = consumer.owner(self._trial.huey)
        self._caller.burst()
        with self._stopped(pids) as stopped:
            if owner is None or not stopped:
                return False
            began = time.monotonic()
            self._taken += len(storage.held(owner))
            self._expect(
                lambda: not storage.held(owner), _TAKEN_WITHIN, "what a frozen consumer holds is taken over"
            )
            self._longest = max(self._longest, time.monotonic() - began)
            self._look_whether_others_begin("a frozen consumer")
        self._expect(
            lambda: self._caller.burst() and storage.held(owner),
            20,
            "a consumer that stood still claims again",
        )
        return True

    def _stop_worker(self, consumer: Consumer) -> bool:
        """The others go on; what it gets while it stands still is for them, too."""
        victim = self._trial.chance.choice(consumer.workers(self._trial.huey)).pid
        with self._stopped([victim]) as stopped:
            if stopped:
                time.sleep(self._trial.chance.uniform(0, _LEASE))
                self._look_whether_others_begin("a frozen worker")
        return stopped

    def _stop_timed(self, _consumer: Consumer) -> bool:
        """A worker that is in a task with a timeout is killed, and the task ends as it has to."""
        follower = h.Follower(self._trial.settings.folder)
        id = self._timed(0).id
        self._caller.note(id, "timed", "error")
        starts: list[h.Event] = []

        def has_begun() -> bool:
            starts.extend(it for it in follower.events() if it.kind == h.STARTED and it.id == id)
            return bool(starts)

        wait_until(has_begun)
        with self._stopped([starts[0].pid]) as stopped:
            if not stopped or (time.monotonic_ns() - starts[0].at) / 1e9 > _TIMEOUT / 2:
                return False
            worker = psutil.Process(starts[0].pid)
            self._expect(
                lambda: not worker.is_running(), _KILLED_WITHIN, "a timeout ends a worker that stands still"
            )
        return True

    @contextmanager
    def _stopped(self, pids: Sequence[int]) -> Iterator[bool]:
        """Let processes stand still; whether they do, and outside of a transaction.

        Within one, SQLite lets nobody write until it goes on, and nothing could be taken over.
        """
        processes = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                processes.append(psutil.Process(pid))
        try:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            wait_until(
                lambda: all(standstill(it.pid) == "stopped" or not it.is_running() for it in processes)
            )
            for process in processes:
                self._trial.recorder.note(h.FROZEN, victim=process.pid)
            free = self._may_write()
            self._committing += not free
            yield free and bool(processes)
        finally:
            for process in processes:
                self._trial.recorder.note(h.RESUMED, victim=process.pid)
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def _may_write(self) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("ROLLBACK")
        except apsw.BusyError:
            return False
        return True

    # What has to come of it

    def _look_whether_others_begin(self, frozen: str) -> None:
        follower = h.Follower(self._trial.settings.folder)
        ids = self._caller.burst()

        def have_begun() -> bool:
            ids.difference_update(it.id for it in follower.events() if it.kind == h.STARTED)
            return not ids

        self._expect(have_begun, 20, f"tasks that were called beside {frozen} begin elsewhere")

    def _expect(self, condition: Any, within: float, what: str) -> None:
        """Something has to come true in time."""
        try:
            wait_until(condition, within)
        except TimeoutError:
            self._trial.report.broken.append(f"not so within {within:g} s: {what}")

    def judge(self, report: Report) -> None:
        """Hold what the consumers have logged against what was fenced, and write the figures down."""
        self._connection.close()
        events = h.read(self._trial.settings.folder)
        fenced = Counter(it.seq for it in events if it.kind == h.SETTLED and not it.detail["held"])
        logs = b"".join(consumer.log.read_bytes() for consumer in self._trial.consumers)
        told = Counter(int(seq) for seq in _FENCED.findall(logs))
        if more := [seq for seq in told if told[seq] > fenced[seq]]:
            report.broken.append(f"outcomes without effect are logged more than once: {more[:3]}")
        report.figures |= {"taken_over_within": self._longest, "fenced": fenced.total()}
        report.note = (
            ", ".join(f"{number} {kind}" for kind, number in self._kinds.items())
            + f", {self._committing} met in a transaction; taken over within {self._longest:.2f} s, "
            f"{fenced.total()} of {self._taken} outcomes without effect"
        )
