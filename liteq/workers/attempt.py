"""One attempt in a worker: from the assignment to the outcome, and what the outcome needs of storage."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

from liteq import clock
from liteq import signals as s
from liteq.api import Huey
from liteq.canvas import give_list
from liteq.exceptions import (
    HueyException,
    StorageBusy,
    StorageError,
    StorageFull,
    TaskInterrupted,
    TaskStopped,
    TaskTerminated,
    TaskTimeout,
    UnknownTask,
)
from liteq.execution import run
from liteq.failure import conclude
from liteq.messages import BACK, Disposition, EndKind, Error, Join, MemberEnd, Outcome, Settlement, Verdict
from liteq.outcomes import undecodable
from liteq.tasks import Task
from liteq.workers.brake import Brake
from liteq.workers.wire import Announcement, Assignment

logger = logging.getLogger("huey.worker")

_RETRY_AFTER = 0.25
"""Seconds."""
_T = TypeVar("_T")


def attempt(
    huey: Huey, assignment: Assignment, brake: Brake, stopped: HueyException | None = None
) -> Outcome:
    """Run the task of an assignment, if it can be decoded; what that causes.

    With `stopped` it is not run again: that is why it was stopped, when it had ended already.
    """
    data = assignment.data
    if data is None:
        data = _read(lambda: huey.storage.data_of(assignment.key))
        if data is None:
            return BACK  # the claim was lost meanwhile, and so will be the settle
    gathers = assignment.gathers and not assignment.revoked
    ends = _read(lambda: huey.storage.ends_of(assignment.key)) if gathers else None
    if gathers and ends is None:
        return BACK
    task, wrong = _decode(huey, data, ends)
    if task is None:
        return _dead(huey, wrong)
    task.claim = assignment.key
    huey.emitter.take()  # what an attempt left that was stopped after its end
    if stopped is not None or assignment.verdict:
        ended = conclude(huey, task, stopped or _reason(assignment.verdict, task))
        return ended.outcome(huey.emitter.take())
    if not task.timeout:
        brake.no_limit()
    now = None if task.expires_resolved is None else clock.naive_now(huey.utc)
    ended = run(huey, task, revoked=assignment.revoked, now=now, isolated=True, guard=brake)
    return ended.outcome(huey.emitter.take())


def _read(look: Callable[[], _T]) -> _T:
    """What a look at storage finds: the task has not begun, so it can wait until that works again."""
    while True:
        try:
            return look()
        except StorageBusy:
            time.sleep(_RETRY_AFTER)


def _decode(huey: Huey, data: bytes, ends: list[MemberEnd] | None) -> tuple[Task | None, str]:
    """The task of a message, or None and why it can't be decoded."""
    try:
        task = huey.deserialize_task(data)
        if ends is not None:
            give_list(task, ends, huey.serializer, huey.utc)
    except UnknownTask as error:
        return None, str(error)
    except (TaskInterrupted, TaskStopped):
        raise
    except BaseException as error:  # noqa: BLE001 -- whatever a foreign payload raises
        reason = undecodable(error)
        logger.error("A message %s", reason)  # noqa: TRY400 -- a traceback may show what is in it
        logger.debug("It failed at %s", _places(error))
        return None, reason
    return task, ""


def _places(error: BaseException) -> str:
    """Where it was raised, without the lines there: a decoder's own may be those of the message."""
    frames = traceback.extract_tb(error.__traceback__)
    return ", ".join(f"{frame.filename}:{frame.lineno} ({frame.name})" for frame in frames)


def _dead(huey: Huey, reason: str) -> Outcome:
    huey.signals.call(s.SIGNAL_DEAD, None)  # the dispatcher knows of which task to tell
    return Outcome(Disposition.DEAD, "dead", reason=reason)


def _reason(verdict: Verdict, task: Task) -> HueyException:
    if verdict is Verdict.TIMEOUT:
        return TaskTimeout(f"timeout {task.timeout}s, and its worker had to be killed")
    return TaskTerminated("revoked while it ran, and its worker had to be killed")


def announce(huey: Huey, announcement: Announcement) -> None:
    """Tell the receivers of signals what happened to a task elsewhere."""
    task = None
    if announcement.data is not None:
        try:
            task = huey.deserialize_task(announcement.data)
        except (TaskInterrupted, TaskStopped):
            raise
        except BaseException as error:  # noqa: BLE001 -- whatever a foreign payload raises
            logger.warning("A task that is told of %s", undecodable(error))
    for signal in announcement.signals:
        huey.signals.call(signal, task)  # the dispatcher has told those who listen


def settle(huey: Huey, settlement: Settlement) -> None:
    """Settle from the worker itself: for outcomes too large for a packet, or that nobody else can store.

    Raises:
        StorageBusy: if storage can't be written at the moment.
        StorageFull: the same.
    """
    key, outcome, attempted = settlement
    try:
        held = huey.storage.settle([settlement], clock.now())[0]
    except (StorageBusy, StorageFull):
        raise
    except StorageError as error:  # an outcome that can never be stored: too big, say
        logger.error("The outcome of a task can't be stored: %s", error)  # noqa: TRY400 -- it says all
        message = {"error": f"its outcome can't be stored: {error}"}
        failed = _instead(outcome, message["error"], huey.serializer.serialize(Error(message)))
        held = huey.storage.settle([Settlement(key, failed, attempted)], clock.now())[0]
        outcome = failed
    if held:
        huey.emitter.send(outcome.events)
    else:
        logger.warning("Message %d was taken by another meanwhile; its outcome has no effect", key.seq)


def _instead(outcome: Outcome, reason: str, error: bytes) -> Outcome:
    """The end of a task whose outcome can't be stored: an error for all who wait for what it would cause."""
    following = outcome.messages
    ids = [key for key, _ in outcome.results] + [id for m in following for id in (m.id, *m.chain)]
    joins = [join._replace(kind=EndKind.ERROR, value=error) for join in outcome.joins]
    joins += [Join(*m.joins, EndKind.ERROR, error) for m in following if m.joins is not None]
    results = tuple((id, error) for id in dict.fromkeys(ids))
    return Outcome(Disposition.DEAD, "dead", results, reason=reason, joins=tuple(joins))
