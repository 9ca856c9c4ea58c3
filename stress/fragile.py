"""The application under stress, broken in a way that the file `mood` in the folder says."""

from __future__ import annotations

import os
import signal
from typing import Any

from liteq.messages import Claim
from stress import history as h
from stress.app import SETTINGS, again, huey, note
from stress.moods import BREAKS, mood_in
from stress.recorded import RecordedStorage

__all__ = ["again", "huey", "version"]


def break_if(place: str) -> None:
    """Break if this is the place."""
    where, _, how = mood_in(SETTINGS.folder).partition(" ")
    if where == place:
        BREAKS[how]()


class FragileStorage(RecordedStorage):
    """Ends the dispatcher with each claim, if it is to."""

    def claim(self, *arguments: Any, **options: Any) -> list[Claim]:
        """See the contract."""
        if mood_in(SETTINGS.folder) == "dispatcher":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().claim(*arguments, **options)


huey.storage.__class__ = FragileStorage
VERSION = mood_in(SETTINGS.folder)


@huey.on_startup()
def start() -> None:
    """The start of a worker."""
    break_if("start")


@huey.task()
def version() -> str:
    """The mood in which the code of this worker was loaded."""
    note(h.STARTED)
    return VERSION


break_if("import")
