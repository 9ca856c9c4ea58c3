"""What a task can be found to be."""

from __future__ import annotations

from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task is in its life; each is equal to its name in small letters."""

    QUEUED = "queued"
    """It is ready to run, or it would be if it, or its queue, were not paused."""
    SCHEDULED = "scheduled"
    """It waits for its time."""
    WAITING = "waiting"
    """It waits for other tasks: the earlier stages of its pipeline, or the members of its chord."""
    RUNNING = "running"
    """A consumer has it; it has begun, or does in a moment."""
    RETRYING = "retrying"
    """An attempt failed, or was cut off, and another one follows."""
    COMPLETE = "complete"
    """It returned."""
    FAILED = "failed"
    """It raised, and is not run again."""
    CANCELED = "canceled"
    """It was canceled by its own code or a hook."""
    REVOKED = "revoked"
    """It was revoked, and did not run."""
    EXPIRED = "expired"
    """It did not start in time, and did not run."""
    DEAD = "dead"
    """It was given up, and is kept with the reason, or was so until it was deleted."""
    UNKNOWN = "unknown"
    """Nothing is known of it: it was never enqueued, or ended too long ago."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to the task by itself; False of one that nothing is known of."""
        return self in _FINAL


_FINAL = frozenset(
    {
        TaskStatus.COMPLETE,
        TaskStatus.FAILED,
        TaskStatus.CANCELED,
        TaskStatus.REVOKED,
        TaskStatus.EXPIRED,
        TaskStatus.DEAD,
    }
)
