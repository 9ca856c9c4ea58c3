"""What the beat has to see to: the declared periodic tasks and the entries of the timetable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from liteq import clock
from liteq.api import Huey
from liteq.entries import Entry, unseal
from liteq.exceptions import UnknownTask
from liteq.schedules import Missed, Schedule
from liteq.schedules.missed import GRACE, to_run
from liteq.tasks import PeriodicTask, Task

logger = logging.getLogger("huey.scheduler")


class EachMinute(Schedule):
    """Of tasks that have no schedule but a function, which has to be asked."""

    def next_after(self, moment: int, utc: bool = True) -> int:
        """The start of the next minute."""
        del utc
        return (moment // clock.MINUTE + 1) * clock.MINUTE


@dataclass(slots=True, eq=False)
class Job:
    """One thing that is due again and again.

    Attributes:
        name: under which storage notes its slots.
        schedule: when.
        missed: the policy.
        new_task: makes a task of its call.
        mark: everything up to this moment is dealt with.
        utc: see `Schedule.next_after`.
        wanted: whether a slot is one; None means that all are.
        next: the first slot that is not dealt with, once it is planned.
    """

    name: str
    schedule: Schedule
    missed: Missed
    new_task: Callable[[], Task]
    mark: int
    utc: bool
    wanted: Callable[[int], bool] | None = None
    next: int | None = None

    def plan(self) -> int | None:
        """Find the first slot that is not dealt with."""
        self.next = self._next_slot()
        return self.next

    def _next_slot(self) -> int | None:
        try:
            slot = self.schedule.next_after(self.mark, self.utc)
        except Exception:
            logger.exception("The schedule of %s raised; it does not run any more", self.name)
            return None
        if slot is not None and slot <= self.mark:
            logger.error("The schedule of %s does not go forward; it does not run any more", self.name)
            return None
        return slot

    def slots(self, now: int) -> list[int]:
        """The slots that are to run at `now`, the earliest first."""
        if self.wanted is not None:  # a function is not asked about all minutes of a year
            mark = max(self.mark, now - clock.DAY)
            return to_run(self.schedule, self.missed, mark, now, self.utc, self.wanted)
        if self.missed is Missed.SKIP and self.next is not None and self.next <= now - GRACE:
            logger.warning("%s: slots from %s UTC on were missed", self.name, clock.from_us(self.next))
        return to_run(self.schedule, self.missed, self.mark, now, self.utc)

    def forget_future(self, now: int) -> None:
        """Do not go by a mark that a clock has set which was wrong by more than a day."""
        if self.mark > now + clock.DAY:
            self.mark = now

    def task(self, slot: int) -> Task:
        """A new task for a slot."""
        task = self.new_task()
        task.slot = clock.from_us(slot, self.utc)
        return task


class Roster:
    """The jobs of an application, as its registry and its timetable say.

    Args:
        huey: the application's queue.
    """

    def __init__(self, huey: Huey) -> None:
        self._huey = huey
        self._declared = -1
        self._stored = -1
        self._texts: dict[str, str] = {}
        self._jobs: dict[str, Job] = {}

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __contains__(self, job: Job) -> bool:
        return self._jobs.get(job.name) is job

    @property
    def declarations_changed(self) -> bool:
        """Whether the registry has changed."""
        return self._declared != self._huey.registry.version

    def is_stale(self) -> bool:
        """Whether the registry or the timetable has changed.

        Raises:
            StorageError: if storage fails.
        """
        return self.declarations_changed or self._stored != self._huey.storage.timetable_version()

    def update(self, now: int) -> list[Job]:
        """Take note of changes; the jobs that are new, or take the place of an older one of their name.

        Raises:
            StorageError: if storage fails.
        """
        new: list[Job] = []
        registry = self._huey.registry
        if self.declarations_changed:
            self._declared = registry.version
            self._jobs.clear()
            self._texts.clear()
            self._stored = -1  # tasks that the timetable names may be known now
            new += [self._job_of(cls, key, now) for key, cls in registry.periodic_classes().items()]
        version = self._huey.storage.timetable_version()
        if self._stored != version:
            new += self._read_timetable()
            self._stored = version
        for job in new:
            job.forget_future(now)
            self._jobs[job.name] = job
        return new

    def _read_timetable(self) -> list[Job]:
        texts = self._huey.storage.entries()
        changed = [name for name, text in texts.items() if self._texts.get(name) != text]
        for name in self._texts.keys() - texts.keys() | set(changed):
            self._jobs.pop(Entry.slot_name_of(name), None)
        self._texts = texts
        jobs = (self._job_of_entry(name, texts[name]) for name in changed)
        return [job for job in jobs if job is not None]

    def _job_of_entry(self, name: str, text: str) -> Job | None:
        try:
            entry = unseal(name, text, self._huey.serializer)
            task_class = self._huey.registry.string_to_task(entry.task)
        except (ValueError, UnknownTask) as error:
            logger.warning("Schedule %r is kept, and does not run: %s", name, error)
            return None
        if entry.paused:
            return None
        slot_name = Entry.slot_name_of(name)
        mark = max(entry.since, self._huey.storage.know_slot(slot_name, entry.since))
        return Job(
            slot_name,
            entry.schedule,
            entry.missed,
            lambda: entry.call(task_class),
            mark,
            self._huey.utc,
        )

    def _job_of(self, task_class: type[PeriodicTask], key: str, now: int) -> Job:
        def wanted(slot: int) -> bool:
            try:
                return bool(task_class().validate_datetime(clock.from_us(slot, self._huey.utc)))
            except Exception:
                logger.exception("validate_datetime of %s raised; it does not run in this slot", key)
                return False

        # A task that was never seen before has missed nothing: it waits for its next slot.
        mark = self._huey.storage.know_slot(key, now)
        return Job(
            key,
            task_class.schedule or EachMinute(),
            Missed.of(task_class.missed),
            task_class,
            mark,
            self._huey.utc,
            None if task_class.schedule else wanted,
        )
