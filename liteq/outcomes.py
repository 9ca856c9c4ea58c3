"""What one attempt causes, as values; and what running it needs of the application's queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from liteq import signals as s
from liteq.hooks import Hooks
from liteq.messages import Claim, Disposition, EndKind, Error, Join, Message, Outcome
from liteq.serializer import Serializer
from liteq.tasks import Task

_LONGEST_REASON: Final = 500


class Teller(Protocol):
    """What tells those who listen of the ends that no task tells of itself."""

    def of_claim(self, claim: Claim | None, *signals: str, message: str | None = None) -> tuple[bytes, ...]:
        """The events of signals about an attempt."""


class Runtime(Protocol):
    """What running a task needs of the application's queue."""

    utc: bool
    results: bool
    store_none: bool
    store_intermediate_errors: bool
    serializer: Serializer
    hooks: Hooks
    signals: s.Signal
    in_flight: set[Task]

    @property
    def emitter(self) -> Teller:
        """Tells events to those who listen."""

    def message_of(self, task: Task) -> Message:
        """The message of a task that is about to be enqueued."""

    def build_error_result(self, task: Task, exception: BaseException) -> dict[str, Any]:
        """What is stored of a failure."""

    def serialize_result(self, task: Task, value: Any) -> bytes:
        """The bytes of what a task returned."""


class Followup(NamedTuple):
    """A task that is enqueued because of another one's end."""

    task: Task
    message: Message
    signal: str
    """How it is announced: enqueued, or scheduled (a retry that waits)."""


@dataclass(slots=True)
class Ended:
    """What one attempt causes."""

    status: str
    disposition: Disposition = Disposition.DONE
    value: Any = None
    results: list[tuple[str, bytes]] = field(default_factory=list)
    followups: list[Followup] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    reason: str = ""

    def outcome(self, events: tuple[bytes, ...] = ()) -> Outcome:
        """The same, as storage takes it; with the events that are told once it has."""
        messages = tuple(followup.message for followup in self.followups)
        return Outcome(
            self.disposition,
            self.status,
            tuple(self.results),
            messages,
            self.reason,
            tuple(self.joins),
            events,
        )


def follow_up(runtime: Runtime, task: Task, signal: str = s.SIGNAL_ENQUEUED) -> Followup:
    """A task that follows, with its message."""
    return Followup(task, runtime.message_of(task), signal)


def join(chord: tuple[str, int] | None, kind: EndKind, value: bytes = b"") -> list[Join]:
    """What the end of a pipeline tells the chord that it is a member of, if it is."""
    return [] if chord is None else [Join(*chord, kind, value)]


def text_of(exception: BaseException) -> str:
    """An exception in words."""
    try:
        return repr(exception)
    except BaseException:  # noqa: BLE001 -- of an exception that can't even be shown, its kind is
        return f"{type(exception).__name__}(…)"


def undecodable(error: BaseException) -> str:
    """Why bytes can't be decoded, without an excerpt of them, as the `repr` of some exceptions has it."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 -- its kind has to do
        text = "…"
    return f"can't be decoded: {type(error).__name__}: {text}"[:_LONGEST_REASON]


def dead_outcome(runtime: Runtime, claim: Claim, reason: str) -> Outcome:
    """The end of a task that will not run again by itself; whoever waits for its result gets an error.

    So does its chord. All that is known of the task is its envelope: it may be one that can't be decoded.
    """
    events = runtime.emitter.of_claim(claim, s.SIGNAL_DEAD, message=reason)
    outcome = Outcome(Disposition.DEAD, "dead", reason=reason, events=events)
    if not runtime.results and claim.joins is None:
        return outcome
    metadata = {"error": f"dead: {reason}", "retries": 0, "traceback": None, "task_id": claim.id}
    error = runtime.serializer.serialize(Error(metadata))
    ids = (claim.id, *claim.chain) if runtime.results else ()
    joins = join(claim.joins, EndKind.ERROR, error)
    return outcome._replace(results=tuple((id, error) for id in ids), joins=tuple(joins))
