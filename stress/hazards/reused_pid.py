"""A consumer is killed, and its pids are another's when the next consumer starts.

Where the system lets us choose pids (Linux, as root), strangers really have them then, or the next consumer
itself has. Elsewhere the file is made to name a stranger.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import apsw

from stress.calls import Caller
from stress.consumer import ROOT
from stress.report import Report
from stress.trial import Trial
from stress.waiting import wait_until

_PAUSE = 0.3
_RECOVERED_WITHIN = 1.0
"""Seconds after the next consumer is ready until what the dead one had claimed is back in the queue."""
_PATIENCE = 5.0
_TRIES = 300
_LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
_LOCK = "left behind"
_LOCKER = f"""
import signal, stress.app as a
a.huey.lock_task({_LOCK!r}).acquire()
print(flush=True)
signal.pause()
"""
_FORGE = (
    "UPDATE consumer SET pid = ?1 WHERE pid = ?2",
    "UPDATE consumer SET dispatcher_pid = ?1 WHERE dispatcher_pid = ?2",
    "UPDATE lock SET pid = ?1 WHERE pid = ?2",
)


def run(seed: int, seconds: float, workers: int) -> Report:
    """Kill one consumer after the other, and give its pids away."""
    ways = (
        ("strangers", "heirs", "strangers by the file") if may_choose_pids() else ("strangers by the file",)
    )
    return run_ways(seed, seconds, workers, ways)


def run_ways(seed: int, seconds: float, workers: int, ways: Sequence[str], bug: str = "") -> Report:
    """The same in certain ways, perhaps with a planted bug."""
    with Trial("reused_pid", seed, workers, bug=bug) as trial:
        trial.report.figures["recovered_within"] = 0
        counts: Counter[str] = Counter()
        caller = Caller(trial)

        def fault() -> bool:
            way = ways[counts.total() % len(ways)]
            caller.burst()  # so that something is claimed
            done = kill_and_give_away(trial, way)
            counts[way] += done
            return done

        trial.break_things(seconds, fault, _PAUSE)
        report = trial.finish()
    longest = report.figures["recovered_within"]
    given = ", ".join(f"{number} times to {way}" for way, number in counts.items())
    report.note = f"pids given {given}; recovered {longest * 1000:.0f} ms after the start at the most"
    return report


def may_choose_pids() -> bool:
    """Whether this process may say which pid the next one gets."""
    try:
        _LAST_PID.write_text(_LAST_PID.read_text())
    except OSError:
        return False
    return True


def kill_and_give_away(trial: Trial, way: str) -> bool:
    """Kill a consumer and the holder of a lock, and start the next one; whether their pids are another's."""
    locker = _lock(trial)
    dead = trial.huey.storage.consumers()
    pids = [it.pid for identities in dead.values() for it in identities if it is not None]
    trial.consumer.kill_everything()
    locker.kill()
    locker.wait()
    with _given_away(trial, way, [*pids, locker.pid]) as given:
        trial.consumer.start()
        _see_recovery(trial, set(dead))
        return given if way != "heirs" else trial.consumer.process.pid == pids[0]


def _lock(trial: Trial) -> subprocess.Popen[bytes]:
    """A process that holds a lock until it dies."""
    environment = {**trial.settings.environment(), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _LOCKER]
    locker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    assert locker.stdout is not None
    with locker.stdout as told:
        told.readline()
    return locker


def _see_recovery(trial: Trial, dead: set[int]) -> None:
    began = time.monotonic()
    try:
        wait_until(lambda: dead.isdisjoint(trial.huey.storage.consumers()), _PATIENCE)
    except TimeoutError:
        trial.report.broken.append("a dead consumer is taken to live because its pid does")
    figures = trial.report.figures
    figures["recovered_within"] = max(figures["recovered_within"], time.monotonic() - began)
    if figures["recovered_within"] > _RECOVERED_WITHIN:
        trial.report.broken.append("it took more than a second to recover from a consumer whose pid lives")
    if trial.huey.is_locked(_LOCK):
        trial.report.broken.append("a lock is taken to be held because the pid of its dead holder lives")


# Pids


def _given_away(trial: Trial, way: str, pids: Sequence[int]) -> AbstractContextManager[bool]:
    if way == "strangers":
        return _strangers(pids)
    return _next_is(pids[0]) if way == "heirs" else _forged(trial, pids)


@contextmanager
def _next_is(pid: int) -> Iterator[bool]:
    """The next process gets this pid, unless somebody is faster."""
    _LAST_PID.write_text(str(pid - 1))
    yield True


@contextmanager
def _strangers(pids: Sequence[int]) -> Iterator[bool]:
    """Processes of no concern have these pids; whether all of them."""
    strangers = [_stranger(pid) for pid in pids]
    try:
        yield all(stranger.pid == pid for stranger, pid in zip(strangers, pids, strict=True))
    finally:
        for stranger in strangers:
            _end(stranger)


def _stranger(pid: int) -> subprocess.Popen[bytes]:
    for _ in range(_TRIES):
        with _next_is(pid):
            stranger = subprocess.Popen(["sleep", "1000"])
        if stranger.pid == pid:
            break
        _end(stranger)
    return stranger


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@contextmanager
def _forged(trial: Trial, pids: Sequence[int]) -> Iterator[bool]:
    """The file says that those who had these pids had one that a stranger has now."""
    stranger = subprocess.Popen(["sleep", "1000"])
    connection = apsw.Connection(f"{trial.settings.folder}/queue.db", apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(10_000)
    for pid in pids:
        for statement in _FORGE:
            connection.execute(statement, (stranger.pid, pid))
    connection.close()
    try:
        yield True
    finally:
        _end(stranger)
