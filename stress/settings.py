"""What the harness tells the application under stress, by the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self, cast

from liteq.storage.sqlite.connection import Durability

FOLDER, DURABILITY, BUG = "LITEQ_STRESS", "LITEQ_STRESS_DURABILITY", "LITEQ_STRESS_BUG"


@dataclass(frozen=True)
class Settings:
    """Of one run."""

    folder: str
    """Where the queue and the history are."""
    durability: Durability = "full"
    bug: str = ""
    """The bug to plant, for a test of the checker; empty for none."""

    @classmethod
    def of_environment(cls) -> Self:
        """Those of this process.

        Raises:
            KeyError: if it is not run by the harness.
        """
        durability = cast("Durability", os.environ.get(DURABILITY, "full"))
        return cls(os.environ[FOLDER], durability, os.environ.get(BUG, ""))

    def environment(self) -> dict[str, str]:
        """The environment of a process with these settings."""
        return {**os.environ, FOLDER: self.folder, DURABILITY: self.durability, BUG: self.bug}
