"""Calls from the process that runs the hazard, beside those of the producers."""

from __future__ import annotations

from typing import Any

from stress import history as h
from stress.trial import Trial


class Caller:
    """Calls tasks of the application under stress, and notes what is acknowledged.

    Args:
        trial: whose application.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.again = self.task("again")

    def task(self, name: str, **options: Any) -> Any:
        """A task of the application, which this process does not import."""

        def function(_number: int, _milliseconds: float = 0) -> None:
            """It is not run here."""

        function.__module__ = "stress.app"
        return self._trial.huey.task(name=name, **options)(function)

    def note(self, id: str, kind: str, expected: Any, **detail: Any) -> None:
        """A call has returned."""
        settings = {"kind": kind, "expected": expected, "once": False, "priority": 0, "wait": 0, **detail}
        self._trial.recorder.note(h.ACKNOWLEDGED, id, **settings)

    def burst(self, number: int = 200, milliseconds: float = 0) -> set[str]:
        """Call more tasks than are begun at once; their ids."""
        with self._trial.huey.storage.batch():
            ids = {self.again(value, milliseconds).id: value for value in range(number)}
        for id, value in ids.items():
            self.note(id, "plain", value)
        return set(ids)
