"""The life of a child process as a state machine: pure, told of events and times, asked what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 10.0
_LONGEST_PAUSE = 1.0
"""The longest wait before a child is restarted that had been ready: others may need its place."""
_QUICK = 0.25
"""Seconds: a child that dies so soon after it was ready, and was of no use, did not really live."""
_QUICK_DEATHS = 20
"""So many in a row are borne before the next start waits."""


class State(Enum):
    """Where a child is in its life."""

    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    BACKOFF = "back-off"
    FAILED = "failed"
    GONE = "gone"


class Action(Enum):
    """What the supervisor has to do for a child now."""

    NONE = "none"
    START = "start"
    TERMINATE = "terminate"
    KILL = "kill"


_TRANSITIONS = {
    State.NEW: {State.STARTING, State.GONE},
    State.STARTING: {State.READY, State.STOPPING, State.NEW, State.BACKOFF, State.FAILED},
    State.READY: {State.STOPPING, State.NEW, State.BACKOFF, State.FAILED, State.GONE},
    State.STOPPING: {State.GONE, State.NEW},
    State.BACKOFF: {State.STARTING, State.GONE},
    State.FAILED: set[State](),
    State.GONE: set[State](),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """How a child is treated; durations are seconds."""

    restart: bool = True
    start_budget: int = 5
    """Starts in a row that may fail before the child is given up."""
    lives: int | None = None
    """Quick deaths in a row, beyond those that are borne, before the child is given up; None: never."""
    start_timeout: float = 60
    kill_after: float = 5
    """From the request to terminate until the kill."""


class Child:
    """One place in the pool and the process that fills it, over all its restarts."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.state = State.NEW
        self.failed_starts = 0
        self._quick_deaths = 0
        self._since = 0.0
        self._deadline: float | None = None
        self._terminated = False
        self._replace = False
        self._tried_again = False

    def _move(self, state: State, now: float, deadline: float | None = None) -> None:
        if state not in _TRANSITIONS[self.state]:
            raise ValueError(f"a child that is {self.state.value} can't become {state.value}")
        self.state, self._since, self._deadline = state, now, deadline

    @property
    def is_over(self) -> bool:
        """Whether no process is or will be there."""
        return self.state in {State.GONE, State.FAILED}

    @property
    def was_terminated(self) -> bool:
        """Whether the process has been told to end at once."""
        return self._terminated

    @property
    def is_being_replaced(self) -> bool:
        """Whether it is to end, and another process to take its place."""
        return self.state is State.STOPPING and self._replace

    def started(self, now: float) -> None:
        """A process was asked for."""
        self._terminated = self._replace = False
        self._move(State.STARTING, now, now + self.policy.start_timeout)

    def not_made(self, now: float) -> None:
        """The process that was asked for has never been there."""
        self._move(State.GONE if self.state is State.STOPPING else State.NEW, now)

    def ready(self, now: float) -> None:
        """The process says that it works."""
        self.failed_starts = 0
        if self.state is State.STARTING:
            self._move(State.READY, now)

    def stop(self, now: float, grace: float | None) -> None:
        """It is to end by itself, within `grace` seconds (None: in its own time), and for good."""
        self._replace = False
        if self.state in {State.NEW, State.BACKOFF}:
            self._move(State.GONE, now)
        elif self.state is State.STARTING:
            self._move(State.STOPPING, now, self._deadline)  # one that hangs before it is ready must end, too
        elif self.state is State.READY:
            self._move(State.STOPPING, now)
        if grace is not None:
            self.limit(now, grace)

    def replace(self, now: float) -> None:
        """It is to end by itself, and another one is to take its place."""
        if self.state is State.READY:
            self._replace = True
            self._move(State.STOPPING, now)

    def try_again(self) -> None:
        """It ends before its time, while it is to end: let another process finish its work, once."""
        self._replace = self.state is State.STOPPING and not self._tried_again
        self._tried_again = True

    def limit(self, now: float, grace: float) -> None:
        """Its time to end by itself is over in `grace` seconds."""
        if self.state is State.STOPPING and not self._terminated:
            self._deadline = now + grace if self._deadline is None else min(self._deadline, now + grace)

    def exited(self, now: float, *, useful: bool = False, needed: bool = True) -> None:
        """The process has ended; it was useful if it did some work or had no reason to complain.

        Its place is not given up while others do what is needed, however often it can't be filled.
        """
        if self.state is State.STOPPING:
            self._move(State.NEW if self._replace else State.GONE, now)
        elif self.state is State.STARTING:
            self.failed_starts += 1
            if needed and self.failed_starts >= self.policy.start_budget:
                self._move(State.FAILED, now)
            else:
                self._back_off(now, self.failed_starts, _LONGEST_BACKOFF)
        elif self.state is State.READY:
            self._died(now, useful)

    def _died(self, now: float, useful: bool) -> None:
        if not self.policy.restart:
            self._move(State.GONE, now)
            return
        quick = now - self._since < _QUICK and not useful
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        beyond = self._quick_deaths - _QUICK_DEATHS
        if beyond <= 0:
            self._move(State.NEW, now)
        elif self.policy.lives is not None and beyond > self.policy.lives:
            self._move(State.FAILED, now)
        else:
            self._back_off(now, beyond, _LONGEST_PAUSE)

    def _back_off(self, now: float, times: int, longest: float) -> None:
        self._move(State.BACKOFF, now, now + min(longest, _FIRST_BACKOFF * 2 ** min(times - 1, 10)))

    def due(self, now: float) -> Action:
        """What is to be done now; asking for it counts as having it done."""
        if self.state is State.NEW:
            return Action.START
        if self._deadline is None or now < self._deadline:
            return Action.NONE
        if self.state is State.BACKOFF:
            return Action.START
        if self.state is State.STARTING or self._terminated:
            self._deadline = now + self.policy.kill_after
            return Action.KILL
        self._terminated = True
        self._deadline = now + self.policy.kill_after
        return Action.TERMINATE

    def next_deadline(self) -> float | None:
        """When `due` has something to say, if nothing else happens before."""
        return self._deadline
