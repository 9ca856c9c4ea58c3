"""Groups and chords: many tasks at once, and a callback that gets what became of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, cast

from liteq import clock
from liteq.messages import SKIPPED, EndKind, MemberEnd
from liteq.result_groups import ChordResult, ResultGroup
from liteq.results import Result, ResultHost
from liteq.serializer import Serializer
from liteq.tasks import Signature, Task, signature_of


class group:  # noqa: N801 -- the name that applications use
    """Tasks that are enqueued together, all or none; `huey.enqueue` returns their `ResultGroup`.

    Args:
        tasks: tasks, pipelines, chords and groups.

    Raises:
        TypeError: if one is something else.
    """

    def __init__(self, tasks: Iterable[Task | chord | group]) -> None:
        self.tasks = list(tasks)
        for task in self.tasks:
            _check(task)

    def __repr__(self) -> str:
        return f"<group of {len(self.tasks)}>"

    def then(self, task: Task | Signature, *args: Any, **kwargs: Any) -> chord:
        """A chord of these tasks, with the task as its callback; the list comes after `args`."""
        return chord(self.tasks, signature_of(task, args, kwargs))

    def error(self, task: Task | Signature, *args: Any, **kwargs: Any) -> Self:
        """Run a task with the exception for each of these that fails."""
        handler = signature_of(task, args, kwargs)
        for number, member in enumerate(self.tasks):
            member.error(_another(handler) if number else handler)
        return self


class chord:  # noqa: N801 -- the name that applications use
    """Tasks and a callback that runs when all of them have ended, with the list of what they returned.

    A member that failed is an `Error` in the list, one that was revoked, has expired or was canceled before
    it started is `SKIPPED`. Of a pipeline it is the value of the last stage that counts, of a chord that of
    the last stage after its callback. `huey.enqueue` returns a `ChordResult`.

    Args:
        tasks: the members: tasks, pipelines and chords. Without any the callback gets an empty list.
        callback: gets the list as an argument, after those that it has.

    Raises:
        TypeError: for something else as a member, or a callback that is not a task.
        ValueError: for a group as a member.
    """

    def __init__(self, tasks: Iterable[Task | chord | group], callback: Task | Signature) -> None:
        self.tasks: list[Task | chord] = []
        for task in tasks:
            _check(task)
            if isinstance(task, group):
                raise ValueError(  # noqa: TRY004 -- what applications expect
                    "a group can't be a member of a chord: make it a chord by .then(callback)"
                )
            self.tasks.append(task)
        self.callback = signature_of(callback)

    def __repr__(self) -> str:
        return f"<chord of {len(self.tasks)} -> {self.callback}>"

    def then(self, task: Task | Signature, *args: Any, **kwargs: Any) -> Self:
        """Run another task after the callback, with its value."""
        self.callback.then(task, *args, **kwargs)
        return self

    def error(self, task: Task | Signature, *args: Any, **kwargs: Any) -> Self:
        """Run a task with the exception if the callback fails."""
        self.callback.error(task, *args, **kwargs)
        return self


Canvas = Task | group | chord
"""What can be enqueued."""


def plan(canvases: Sequence[Canvas]) -> list[Task]:
    """The tasks to enqueue, each member told where its end counts, callbacks after their members.

    Raises:
        TypeError: for something that can't be enqueued.
        ValueError: for a task that is in a chord more than once.
    """
    composed = [canvas for canvas in canvases if not isinstance(canvas, Task)]
    for canvas in composed:
        _check(canvas)
        _check_once(canvas)
    if composed:
        collected: list[Task] = []
        for each in canvases:
            _collect(each, None, collected)
        return collected
    tasks = cast("list[Task]", list(canvases))
    for task in tasks:
        task.gathers = None
    return tasks


def _collect(canvas: Canvas, joins: tuple[str, int] | None, tasks: list[Task]) -> None:
    """Add the tasks of a canvas, whose end counts for the chord that it joins, to those to enqueue."""
    if isinstance(canvas, Task):
        canvas.gathers = None
        if joins is not None:
            _last(canvas).chord_config = joins
        tasks.append(canvas)
    elif isinstance(canvas, group):
        for task in canvas.tasks:
            _collect(task, None, tasks)
    else:
        for position, member in enumerate(canvas.tasks):
            _collect(member, (canvas.callback.id, position), tasks)
        _collect(canvas.callback, joins, tasks)
        tasks.append(_waiting(tasks.pop(), len(canvas.tasks)))


def _waiting(callback: Task, members: int) -> Task:
    """A callback that waits for its members; without any, one that has its list already."""
    if members:
        callback.gathers = members
        return callback
    callback = copy.copy(callback)
    callback.args = (*callback.args, [])
    return callback


def handle_of(
    huey: ResultHost, canvas: Canvas, since: int | None = None
) -> Result | ResultGroup | ChordResult:
    """The handle of what was enqueued; for `since` see `Result`."""
    if isinstance(canvas, Task):
        if canvas.on_complete is None:
            return Result(huey, canvas, since)
        return ResultGroup(_results(huey, canvas, since))
    if isinstance(canvas, group):
        return ResultGroup([handle_of(huey, task, since) for task in canvas.tasks])
    members = [_last(m if isinstance(m, Task) else m.callback) for m in canvas.tasks]
    stages = _results(huey, canvas.callback, since)
    return ChordResult(
        ResultGroup([Result(huey, member, since) for member in members]),
        stages[0],
        ResultGroup(stages) if len(stages) > 1 else None,
        [_results(huey, pipeline, since) for pipeline in _pipelines(canvas)],
    )


def _results(huey: ResultHost, pipeline: Task, since: int | None) -> list[Result]:
    return [Result(huey, stage, since) for stage in pipeline.stages()]


def give_list(task: Task, ends: Sequence[MemberEnd], serializer: Serializer, utc: bool) -> None:
    """Give a callback the list of what became of the members; from here on it is a task like any other.

    A relative expiry counts from the end of the last member, as that of a task from when it is enqueued.

    Raises:
        Exception: if a value can't be decoded.
    """
    values = [SKIPPED if end.kind is EndKind.SKIPPED else serializer.deserialize(end.value) for end in ends]
    task.args = (*task.args, values)
    if task.expires:
        last = max((end.ended for end in ends), default=None)
        task.resolve_expires(utc, None if last is None else clock.from_us(last, utc))


def _check(canvas: object) -> None:
    if not isinstance(canvas, Canvas):
        hint = ": use its .s()" if hasattr(canvas, "s") else "; use the .s() of a declared one"
        raise TypeError(f"{canvas!r} is not a task{hint}")


def _check_once(canvas: Canvas) -> None:
    """Within a chord each id leads to one place. Elsewhere the same call may be enqueued more than once."""
    if isinstance(canvas, group):
        for member in canvas.tasks:
            if not isinstance(member, Task):
                _check_once(member)
    elif isinstance(canvas, chord):
        seen: set[str] = set()
        for stage in (stage for pipeline in _pipelines(canvas) for stage in pipeline.stages()):
            if stage.id in seen:
                raise ValueError(f"{stage!r} is in a chord twice; make another task of it by .s()")
            seen.add(stage.id)


def _pipelines(canvas: Task | chord) -> Iterator[Task]:
    """The first stages of all pipelines in a chord, those of the callbacks included."""
    if isinstance(canvas, Task):
        yield canvas
    else:
        for member in canvas.tasks:
            yield from _pipelines(member)
        yield canvas.callback


def _last(task: Task) -> Task:
    *_, last = task.stages()
    return last


def _another(task: Task) -> Task:
    """A copy of a pipeline with ids of its own."""
    task = copy.copy(task)
    task.id = task.create_id()
    if task.on_complete is not None:
        task.on_complete = _another(task.on_complete)
    if task.on_error is not None:
        task.on_error = _another(task.on_error)
    return task
