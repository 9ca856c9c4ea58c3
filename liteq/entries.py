"""An entry of the timetable: a call of a task, when it is due, and its form as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from liteq.exceptions import BadSignature
from liteq.options import OF_A_CALL, check_options
from liteq.schedules import Crontab, Every, Missed
from liteq.schedules.plain import from_plain, to_plain
from liteq.serializer import Serializer
from liteq.tasks import Task


@dataclass(frozen=True, slots=True)
class Entry:
    """A call of a declared task that consumers enqueue in each slot of a schedule.

    Attributes:
        name: its name in the timetable.
        task: the key of the task, as in `myapp.tasks.report`.
        schedule: when.
        args: arguments of the call.
        kwargs: keyword arguments of the call.
        options: `priority`, `retries` and the like, where they are not those of the task's declaration.
        missed: what becomes of slots that no consumer was there for.
        paused: whether it is left out at present.
        since: from when on it counts (microseconds of UTC); slots before that were not missed.
    """

    name: str
    task: str
    schedule: Crontab | Every
    # Left out of the repr, as in a task's: what is logged of an entry must not tell secrets.
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: dict[str, Any] = field(default_factory=dict, repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    missed: Missed = Missed.SKIP
    paused: bool = False
    since: int = 0

    @staticmethod
    def slot_name_of(name: str) -> str:
        """The name under which storage notes the slots of an entry; no declared task has one like it."""
        return f"entry:{name}"

    def to_text(self) -> str:
        """It as JSON, without its name.

        Raises:
            TypeError: if an argument is not what JSON can hold and give back.
        """
        import json  # here and below: most applications store no schedules

        plain = {
            "task": self.task,
            "schedule": to_plain(self.schedule),
            "args": list(self.args),
            "kwargs": self.kwargs,
            "options": self.options,
            "missed": self.missed.value,
            "paused": self.paused,
            "since": self.since,
        }
        try:
            text = json.dumps(plain, allow_nan=False)
            survives = json.loads(text) == plain
        except (TypeError, ValueError, RecursionError) as error:  # a circle is a ValueError, and so is NaN
            raise TypeError(f"schedule {self.name!r}: {error}; {_PLAIN_ONLY}") from None
        if not survives:
            raise TypeError(
                f"schedule {self.name!r}: the arguments can't be stored as they are; {_PLAIN_ONLY}"
            )
        return text

    @classmethod
    def of_text(cls, name: str, text: str) -> Entry:
        """The entry of a text that `to_text` made.

        Raises:
            ValueError: if it is not such a text, or one of a version of liteq that knows more.
        """
        import json

        try:
            match json.loads(text):
                case {
                    "task": str() as task, "schedule": dict() as schedule, "args": list() as args,
                    "kwargs": dict() as kwargs, "options": dict() as options, "missed": str() as missed,
                    "paused": bool() as paused, "since": int() as since,
                }:  # fmt: skip
                    _check(options)
                    return cls(
                        name, task, from_plain(schedule), tuple(args), kwargs, options, Missed.of(missed),
                        paused, since,
                    )  # fmt: skip
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"schedule {name!r} can't be read: {error}") from error
        raise ValueError(f"schedule {name!r} can't be read: it is none of this version's")

    def call(self, task_class: type[Task]) -> Task:
        """A new task of its call."""
        return task_class(self.args, dict(self.kwargs), **self.options)


def seal(entry: Entry, serializer: Serializer) -> str:
    """What is stored of an entry; signed, if the queue's tasks are: consumers sign what an entry calls.

    Raises:
        TypeError: if an argument is not what JSON can hold and give back.
    """
    text, sign = entry.to_text(), getattr(serializer, "seal", None)  # an application's own may have none
    return text if sign is None else str(sign(entry.name, text))


def unseal(name: str, stored: str, serializer: Serializer) -> Entry:
    """The entry of what `seal` made.

    Raises:
        ValueError: if it is not that.
    """
    check = getattr(serializer, "unseal", None)
    try:
        text = stored if check is None else check(name, stored)
    except BadSignature as error:
        raise ValueError(f"schedule {name!r} can't be read: {error}") from error
    return Entry.of_text(name, text)


_PLAIN_ONLY = (
    "arguments of a schedule are texts, numbers, booleans, None, lists, and dicts with texts as keys"
)


def options_of(task: Task) -> dict[str, Any]:
    """The options of a task that are not those of its declaration.

    Raises:
        ValueError: if it has a time of its own, an expiry at a date, or further stages.
    """
    if task.eta is not None or task.on_complete is not None or task.on_error is not None:
        raise ValueError("a call in the timetable has no eta or delay of its own, and no further stages")
    options = {name: getattr(task, name) for name in OF_A_CALL}
    own = {name: value for name, value in options.items() if value != getattr(task, f"default_{name}")}
    _check(own)
    return own


def _check(options: dict[str, Any]) -> None:
    unknown = options.keys() - set(OF_A_CALL)
    if unknown:
        raise ValueError(f"unknown options {sorted(unknown)}")
    if not isinstance(options.get("expires", 0), int | float):
        text = "expires: a call in the timetable expires after so many seconds, not at a date"
        raise ValueError(text)  # noqa: TRY004 -- one kind for all options
    check_options(**options)
