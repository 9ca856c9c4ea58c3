"""What a queue and its consumers are doing, seen from any process on the machine.

Nothing is asked of the consumers themselves: what they have noted in storage and what the system tells of
their processes is enough, and works even if they hang.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from liteq import clock
from liteq.identity import Identity, standstill
from liteq.storage.base import Storage
from liteq.storage.contract.records import Counts, Running
from liteq.workers.process import NAME_PREFIX

_SAMPLE = 0.2
"""Seconds over which the use of the processor is measured."""
_ROLES = {"consumer": "supervisor", "template": "template", "dispatch": "dispatcher"}


class TaskView(NamedTuple):
    """A task that a consumer has."""

    id: str
    name: str
    attempt: int
    seconds: float | None
    """For how long it has been running; None until that is noted, a tenth of a second after its start."""
    worker: int | None
    """The process that it runs in; None together with `seconds`."""


class ProcessView(NamedTuple):
    """A process of a consumer."""

    role: str
    """"supervisor", "template", "dispatcher", or "worker 1" and so on; "workers" if these are threads or
    greenlets, all in one process."""
    pid: int
    state: str
    """"idle" or "busy"; "short tasks" of a worker whose tasks, if it has any, are too short to be noted;
    "stopped", "traced" or "zombie" if it stands still."""
    cpu: float
    """The use of the processor at the moment; 1 is all of one core."""
    resident: int
    """Bytes of memory, those that it shares with others among them."""
    private: int | None
    """Bytes that are its own; None if the system does not tell."""
    tasks: list[TaskView]
    """What it is at: one task, or of each of its threads or greenlets one."""


class ConsumerView(NamedTuple):
    """A consumer that is registered."""

    number: int
    pid: int
    host: str
    """The machine's boot and the pid namespace."""
    state: str
    """"running"; "ending" if its supervisor was killed; "gone" if what it held is still to be recovered;
    "elsewhere" on a machine or in a container that can't be looked into from here; "silent" if nothing has
    been heard of it from there for so long that it counts as dead."""
    since: float | None
    """When it was started, in seconds of UTC since 1970."""
    processes: list[ProcessView]
    unplaced: list[TaskView]
    """Tasks that it has and that are in none of these processes, as far as is noted."""


class QueueView(NamedTuple):
    """A queue."""

    name: str
    storage: str
    counts: Counts
    paused: list[str]
    """The names of paused tasks; "*" is the queue as a whole."""
    consumers: list[ConsumerView]

    @property
    def is_served(self) -> bool:
        """Whether a consumer runs, as far as can be told from here."""
        return any(consumer.state in {"running", "elsewhere"} for consumer in self.consumers)


def look_at(storage: Storage) -> QueueView:
    """The state of a queue; it takes a moment, in which the use of the processor is measured.

    Raises:
        StorageError: if storage fails.
    """
    running = storage.running()
    registered = storage.consumers()
    states = {owner: _state(storage, *who) for owner, who in registered.items()}
    if "elsewhere" in states.values():
        states.update((owner, "silent") for owner in storage.lapsed() if owner in states)
    members = {
        owner: _Member.of(supervisor, dispatcher) if states[owner] in {"running", "ending"} else []
        for owner, (supervisor, dispatcher) in registered.items()
    }
    if any(members.values()):
        time.sleep(_SAMPLE)
    consumers = [
        _consumer(owner, supervisor, states[owner], members[owner], running)
        for owner, (supervisor, _) in registered.items()
    ]
    paused = sorted("*" if name is None else name for name in storage.paused())
    return QueueView(storage.name, storage.describe(), storage.counts(), paused, consumers)


def _state(storage: Storage, supervisor: Identity, dispatcher: Identity | None) -> str:
    gone = storage.is_gone(supervisor)
    if gone is None:
        return "elsewhere"
    if not gone:
        return "running"
    return "ending" if dispatcher is not None and storage.is_gone(dispatcher) is False else "gone"


class _Member:
    """A process of a consumer, and the processor time that it had used when it was found."""

    def __init__(self, role: str, process: Any) -> None:
        self.role = role
        self.process = process
        self._used = _processor_time(process)
        self._at = time.monotonic()

    @staticmethod
    def of(supervisor: Identity, dispatcher: Identity | None) -> list[_Member]:
        """Those of a consumer: the supervisor and its children that are none of a task's doing."""
        import psutil

        found = []
        for pid in (supervisor.pid, *([] if dispatcher is None else [dispatcher.pid])):
            try:
                process = psutil.Process(pid)
                family = [process, *process.children()] if pid == supervisor.pid else [process]
            except psutil.NoSuchProcess:
                continue
            found += [(_role(one), one) for one in family]
        members = {}
        for role, process in found:
            if role is not None and process.pid not in members:
                try:
                    members[process.pid] = _Member(role, process)
                except psutil.NoSuchProcess:
                    continue
        return sorted(members.values(), key=lambda member: _order(member.role))

    def view(self, tasks: Sequence[TaskView]) -> ProcessView | None:
        """What it is doing; None if it has ended meanwhile."""
        import psutil

        mine = [task for task in tasks if task.worker == self.process.pid]
        try:
            resident = self.process.memory_info().rss
            used = _processor_time(self.process) - self._used
        except psutil.NoSuchProcess:
            return None
        short = self.role.startswith("worker") and any(task.worker is None for task in tasks)
        at_work = "busy" if mine else "short tasks" if short else "idle"
        state = standstill(self.process.pid) or at_work
        cpu = used / max(time.monotonic() - self._at, 0.001)
        return ProcessView(self.role, self.process.pid, state, cpu, resident, _private(self.process), mine)


def _processor_time(process: Any) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _private(process: Any) -> int | None:
    import psutil

    try:
        return int(process.memory_full_info().uss)
    except (psutil.AccessDenied, psutil.NoSuchProcess, AttributeError):
        return None


def _role(process: Any) -> str | None:
    """What the process calls itself; None if it is none of a consumer's own."""
    import psutil

    try:
        name = process.name()
    except psutil.NoSuchProcess:
        return None
    if not name.startswith(NAME_PREFIX):
        return None
    own = str(name).removeprefix(NAME_PREFIX)
    return _ROLES.get(own, own if own == "workers" else own.replace("worker", "worker "))


def _order(role: str) -> tuple[int, int]:
    names = [*_ROLES.values()]
    number = role.rpartition(" ")[2]
    return (names.index(role), 0) if role in names else (len(names), int(number) if number.isdigit() else 0)


def _consumer(
    number: int, supervisor: Identity, state: str, members: list[_Member], running: list[Running]
) -> ConsumerView:
    now = clock.now()
    tasks = [_task(row, now) for row in running if row.owner == number]
    processes = [view for member in members if (view := member.view(tasks)) is not None]
    placed = {task for process in processes for task in process.tasks}
    since = next((m.process.create_time() for m in members if m.role == "supervisor"), None)
    return ConsumerView(
        number,
        supervisor.pid,
        supervisor.host,
        state,
        since,
        processes,
        [task for task in tasks if task not in placed],
    )


def _task(row: Running, now: int) -> TaskView:
    seconds = None if row.started is None else max(0.0, (now - row.started) / clock.SECOND)
    return TaskView(row.id, row.name, row.attempt, seconds, row.worker)
