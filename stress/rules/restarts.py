"""What a restart promises."""

from __future__ import annotations

from collections.abc import Iterator

from liteq.workers.dispatcher import EXIT_INTERRUPTED
from liteq.workers.supervisor import EXIT_CLEAN
from stress import history as h
from stress.rules.run import Run


def new_code_is_in_force(run: Run) -> Iterator[str]:
    """What starts after the consumer has said that new code is in force is run by that code."""
    code_of: dict[int, int] = {}
    in_force = 0
    for event in run.events:
        if event.kind == h.BORN:
            code_of[event.pid] = event.detail["code"]
        elif event.kind == h.IN_FORCE:
            in_force = event.detail["code"]
        elif event.kind == h.STARTED and code_of.get(event.pid, in_force) < in_force:
            yield f"message {event.seq} was run by code {code_of[event.pid]}, with {in_force} in force"


def an_exit_code_tells_of_interruptions(run: Run) -> Iterator[str]:
    """A consumer that was told to stop ends with code 5 if it interrupted tasks, and with 0 if not."""
    interrupted = 0
    for event in run.events:
        if event.kind == h.SETTLED and event.detail["held"]:
            interrupted += event.detail["status"] in {"interrupted", "dead"}
        elif event.kind == h.STOPPED:
            if event.detail["code"] != (EXIT_INTERRUPTED if interrupted else EXIT_CLEAN):
                yield f"code {event.detail['code']} after {interrupted} interruptions"
            interrupted = 0
