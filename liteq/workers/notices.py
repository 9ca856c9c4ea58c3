"""What supervisor and dispatcher say to each other, and what children say to the supervisor."""

from __future__ import annotations

from typing import NamedTuple

from liteq.messages import Attempted, Verdict

# From the supervisor to the dispatcher


class Attach(NamedTuple):
    """A worker is ready; both ends of its line come along."""

    token: int
    place: int
    """The worker's index in the pool."""
    pid: int
    last: tuple[int, int] | None = None
    """The attempt that it was at, if it is dead; of a living one the board tells."""
    since: int = 0
    """When it was ready, in microseconds of the monotonic clock."""


class Attached(NamedTuple):
    """All workers that live have been told of."""


class Gone(NamedTuple):
    """A worker's process has ended."""

    token: int
    how: str
    """For people: was killed by SIGKILL, peak memory 52 MB."""
    requested: bool
    """It was told to end: what it leaves is not its fault."""
    verdict: Verdict = Verdict.NONE
    """It was stopped because of the attempt that it was at."""
    started: int | None = None
    """When the attempt began that it was at, in microseconds of UTC; None if it was at none."""
    exit_code: int | None = None
    """The negative number of the signal that killed it, or its exit code."""
    peak_memory: int | None = None
    """Bytes."""
    attempt: tuple[int, int] = (0, 0)
    """The message and the attempt that it was at; zeros if it was at none."""

    def until(self, now: int, worker: int) -> Attempted:
        """What is known of the attempt that it was at, which ended with it."""
        duration = None if self.started is None else max(0, now - self.started)
        return Attempted(self.started, duration, worker, self.exit_code, self.peak_memory)


class Retire(NamedTuple):
    """A worker is to end once it has done what it is doing."""

    token: int


class Drain(NamedTuple):
    """Claim nothing more, and let the workers end."""


class Finish(NamedTuple):
    """All workers have ended: settle what they left, and end."""


class Leave(NamedTuple):
    """End now, and leave the workers to the next dispatcher."""


# To the supervisor


class WorkerReady(NamedTuple):
    """A worker waits for tasks."""

    pid: int


class Ready(NamedTuple):
    """It claims and settles, as this owner."""

    owner: int
    pid: int


class Buried(NamedTuple):
    """What a dead worker left is settled."""

    token: int


class Condemn(NamedTuple):
    """A worker must not go on with the attempt that it is at: TERM, and then KILL; for MEMORY, KILL."""

    token: int
    attempt: tuple[int, int]
    verdict: Verdict
    why: str = ""
    """For people, where it counts as a crash: used 1,204 MB."""


class Failed(NamedTuple):
    """It can't work, and another try would be no better."""

    text: str
