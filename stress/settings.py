"""What the harness tells the application under stress, by the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from liteq.storage.sqlite.connection import Durability

FOLDER, DURABILITY, BUG = "LITEQ_STRESS", "LITEQ_STRESS_DURABILITY", "LITEQ_STRESS_BUG"

KIND = "LITEQ_STRESS_WORKER_TYPE"
"""What the workers are."""

STORAGE = "LITEQ_STRESS_STORAGE"
"""Where the queue is: one of `stress.backends`."""

LAST = "LITEQ_STRESS_LAST"
"""The version of liteq that the present one is mixed with; see the hazard `versions`."""


@dataclass(frozen=True)
class Settings:
    """Of one run."""

    folder: str
    """Where the queue and the history are."""
    durability: Durability = "full"
    bug: str = ""
    """The bug to plant, for a test of the checker; empty for none."""
    storage: str = "sqlite"
    """Where the queue is: one of `stress.backends`."""

    @classmethod
    def of_environment(cls) -> Self:
        """Those of this process.

        Raises:
            KeyError: if it is not run by the harness.
        """
        durability = cast("Durability", os.environ.get(DURABILITY, "full"))
        return cls(os.environ[FOLDER], durability, os.environ.get(BUG, ""), default_storage())

    def code(self) -> int:
        """The number of the application's code, as a deployment would change it."""
        path = Path(self.folder, "code")
        return int(path.read_text(encoding="ascii")) if path.exists() else 0

    def deploy(self, code: int) -> None:
        """Put new code in the place of the old."""
        path = Path(self.folder, "code")
        path.with_suffix(".new").write_text(str(code), encoding="ascii")
        path.with_suffix(".new").replace(path)

    def environment(self) -> dict[str, str]:
        """The environment of a process with these settings."""
        return {
            **os.environ, FOLDER: self.folder, DURABILITY: self.durability, BUG: self.bug,
            STORAGE: self.storage,
        }  # fmt: skip


def default_storage() -> str:
    """Where the queue is, as the environment says."""
    return os.environ.get(STORAGE, "sqlite")
