"""Memory that all processes of a consumer share, and that outlives each of them but the last."""

from __future__ import annotations

import mmap
import struct

from liteq.messages import Verdict
from liteq.workers.barrier import Barrier

_NOTE = struct.Struct("<QQQQQ")
_ATTEMPT = struct.Struct("<QQ")
_FIELD = struct.Struct("<Q")
_ENTRY_SIZE = _NOTE.size + _FIELD.size


NOT_YET = 0
"""A deadline that is not known yet, because the worker has not come to the task's function."""
NEVER = (1 << 64) - 1
"""The deadline of a task without a timeout."""


class Board:
    """One line for each worker: which attempt it is at, until when, whether it has to be stopped, since when.

    And one value for all of them: until when they need not ask whether anybody listens to events.

    The worker writes all but two: the verdict is the supervisor's, while the worker is known to be at the
    attempt and to get no other, and the epoch is the dispatcher's. Read by all of them, and after a death.

    The epoch makes a taking back certain, although the worker reads at the same time. The dispatcher begins a
    new one, and only then looks at what the worker is at; the worker notes what it is at, and only then looks
    at the epoch. So an attempt of an epoch that is over is either seen by the dispatcher, or not begun.
    """

    def __init__(self, workers: int) -> None:
        self._silence = workers * _ENTRY_SIZE
        self._memory = mmap.mmap(-1, max(mmap.PAGESIZE, self._silence + _FIELD.size))
        self._barrier = Barrier()

    @property
    def silent_until(self) -> int:
        """Until when it is known that nobody listens to live events (monotonic microseconds)."""
        return int(_FIELD.unpack_from(self._memory, self._silence)[0])

    @silent_until.setter
    def silent_until(self, moment: int) -> None:
        _FIELD.pack_into(self._memory, self._silence, moment)

    def write(self, index: int, seq: int, attempt: int, started: int = 0) -> None:
        """Note that the worker at `index` starts an attempt, at `started` (microseconds of UTC)."""
        _NOTE.pack_into(self._memory, index * _ENTRY_SIZE, seq, attempt, NOT_YET, Verdict.NONE, started)

    def begin(self, index: int, seq: int, attempt: int, started: int, epoch: int) -> bool:
        """Note that the worker starts an attempt; False if it must not, since its epoch is over."""
        self.write(index, seq, attempt, started)
        self._barrier()  # what was written is seen by all before the epoch is read
        return self.epoch(index) == epoch

    def epoch(self, index: int) -> int:
        """In which epoch the worker at `index` is handed tasks."""
        return int(_FIELD.unpack_from(self._memory, index * _ENTRY_SIZE + _NOTE.size)[0])

    def begin_epoch(self, index: int) -> int:
        """End the worker's epoch: it starts nothing more of what it was handed until now; the new one."""
        epoch = self.epoch(index) + 1
        _FIELD.pack_into(self._memory, index * _ENTRY_SIZE + _NOTE.size, epoch)
        self._barrier()  # and only now it is looked at what the worker is at
        return epoch

    def limit(self, index: int, deadline: int) -> None:
        """Note when the attempt's time is over, in microseconds of the monotonic clock."""
        _FIELD.pack_into(self._memory, index * _ENTRY_SIZE + 16, deadline)

    def condemn(self, index: int, verdict: Verdict) -> None:
        """Note why the worker is being stopped."""
        _FIELD.pack_into(self._memory, index * _ENTRY_SIZE + 24, verdict)

    def clear(self, index: int) -> None:
        """Note that the worker at `index` has reported the end of its attempt, or is a new one."""
        self.write(index, 0, 0)

    def read(self, index: int) -> tuple[int, int]:
        """The message and the attempt that the worker at `index` is at; zeros if it is at none."""
        seq, attempt = _ATTEMPT.unpack_from(self._memory, index * _ENTRY_SIZE)
        return seq, attempt

    def deadline(self, index: int) -> int:
        """When the time of the attempt is over; NOT_YET or NEVER."""
        return int(_FIELD.unpack_from(self._memory, index * _ENTRY_SIZE + 16)[0])

    def verdict(self, index: int) -> Verdict:
        """Why the worker is being stopped."""
        return Verdict(_FIELD.unpack_from(self._memory, index * _ENTRY_SIZE + 24)[0])

    def started(self, index: int) -> int | None:
        """When the attempt that the worker at `index` is at began; None if it is at none."""
        return int(_FIELD.unpack_from(self._memory, index * _ENTRY_SIZE + 32)[0]) or None
