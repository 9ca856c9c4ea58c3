"""Schedules with real consumers: at the slot's start, once each, however consumers come, go and die."""

from __future__ import annotations

import signal
import time
from typing import Any, NamedTuple

import pytest

from liteq import clock, crontab, every
from liteq.entries import Entry
from liteq.schedules import Missed

from .consumer import get, kill, wait_until, wait_until_settled

SECOND = clock.SECOND

SCHEDULED = """
import time
from liteq import clock, crontab, every

def note_slot(name, task):
    note(f"{name} {clock.to_us(task.slot)} {clock.now()}")

@huey.task(context=True)
def say(name, task):
    note_slot(name, task)
"""


def ticking(seconds, missed="skip"):
    """An application with a periodic task."""
    return f"""{SCHEDULED}
@huey.periodic_task(every(seconds={seconds}), context=True, missed={missed!r})
def tick(task):
    note_slot("tick", task)
"""


class Run(NamedTuple):
    """One run of a scheduled task, as it was noted."""

    name: str
    slot: int
    at: int


def runs(app: Any, name: str = "") -> list[Run]:
    found = []
    for text in app.notes():
        words = text.split()
        if len(words) == 3 and name in {words[0], ""}:
            found.append(Run(words[0], int(words[1]), int(words[2])))
    return found


def slots(app: Any, name: str = "") -> list[int]:
    return [run.slot for run in runs(app, name)]


def wait_runs(app: Any, number: int, name: str = "") -> list[Run]:
    wait_until(lambda: len(runs(app, name)) >= number, f"{number} runs of {name or 'anything'}")
    return runs(app, name)


def assert_gapless(found: list[int], interval: int) -> None:
    """Each slot, from the first to the last, once."""
    assert sorted(found) == list(range(min(found), max(found) + 1, interval))


# At its start, and once


def test_a_task_of_every_second_starts_in_its_slots(declare, consume):
    app = declare(ticking(1, "skip"))
    consume()
    found = wait_runs(app, 5)
    assert_gapless([run.slot for run in found], SECOND)
    late = sorted(run.at - run.slot for run in found)
    assert late[0] >= 0, "before its slot"
    # The machine may be busy with other tests at one of them, hardly at all of them.
    assert late[0] < 0.1 * SECOND, late


def test_slots_shorter_than_a_second(declare, consume):
    app = declare(ticking(0.1, "all"))
    consume("-w", "2")
    assert_gapless([run.slot for run in wait_runs(app, 30)], SECOND // 10)


def test_two_consumers_fire_each_slot_once(declare, consume):
    app = declare(ticking(0.2, "all"))
    consumers = [consume("-w", "2") for _ in range(2)]
    wait_runs(app, 10)
    assert consumers.pop(0).stop() == 0
    number = len(runs(app))
    wait_runs(app, number + 5)
    consumers.append(consume())
    wait_runs(app, number + 15)
    for consumer in consumers:
        assert consumer.stop() == 0
    assert_gapless(slots(app), SECOND // 5)


# While nobody was there


@pytest.mark.parametrize("whole", [False, True], ids=["the dispatcher", "the consumer"])
def test_all_slots_run_through_kills(declare, consume, whole):
    app = declare(ticking(0.2, "all"))
    consumer = consume()
    for number in range(1, 6):
        wait_runs(app, 4 * number)
        if whole:
            kill(*consumer.members())
            consumer.wait_all_dead()
            consumer = consume()
        else:
            kill(consumer.dispatcher)
    wait_runs(app, 30)
    assert consumer.stop() == 0
    # A task whose worker died may run again, for the same slot; none is left out, and none is enqueued twice.
    assert_gapless(sorted(set(slots(app))), SECOND // 5)
    if not whole:
        assert len(slots(app)) == len(set(slots(app)))


@pytest.mark.parametrize("missed", list(Missed))
def test_what_a_killed_consumer_missed(declare, consume, missed):
    app = declare(ticking(0.5, missed.value))
    consumer = consume()
    wait_runs(app, 2)
    kill(*consumer.members())
    consumer.wait_all_dead()
    last = max(slots(app))
    wait_until(lambda: clock.now() > last + 3 * SECOND)
    consume()
    found = [slot for slot in (run.slot for run in wait_runs(app, len(runs(app)) + 8)) if slot > last]
    # A slot that was committed, and whose task had not run when it was killed, runs as well.
    skipped = [slot for slot in range(last + SECOND // 2, found[-1], SECOND // 2) if slot not in found]
    assert found == sorted(found)
    assert len(found) == len(set(found))
    if missed is Missed.ALL:
        assert skipped == []
    else:
        assert len(skipped) >= 3


def entry(app: Any, name: str, schedule: Any, missed: Missed, since: int) -> None:
    stored = Entry(name, "app.say", schedule, (name,), missed=missed, since=since)
    assert app.huey.storage.replace_entry(name, None, stored.to_text())


def test_policies_of_entries_whose_slots_passed_before_the_consumer_started(declare, consume):
    """As of an hour ago, every 20 minutes: three slots, or four if one starts just now."""
    app = declare(SCHEDULED)
    interval = 20 * clock.MINUTE
    since = clock.now() - 3 * interval - clock.SECOND
    for missed in Missed:
        entry(app, missed.value, every(minutes=20), missed, since)
    first = since // interval * interval + interval
    consumer = consume()

    def present() -> int:
        return clock.now() // interval * interval

    wait_until(lambda: slots(app, "all") == list(range(first, present() + 1, interval)), "all slots")
    wait_runs(app, 1, "once")
    assert get(app.add(1, 2)) == 3
    assert slots(app, "once") in ([present()], [present() - interval, present()])
    # That one starts within the last minute is as likely as one in twenty.
    assert all(run.at - run.slot < clock.MINUTE for run in runs(app, "skip"))
    if clock.now() - present() > clock.MINUTE:
        assert "entry:skip: slots from" in consumer.log


# The timetable, while consumers run


def test_entries_are_added_changed_and_removed_under_running_consumers(declare, consume):
    """What fires is told by the slots: a busy machine may run a task long after its slot."""
    app = declare(SCHEDULED)
    consumers = [consume("-w", "2"), consume()]
    schedules = app.huey.schedules
    schedules.add("a", app.say.s("first"), every(seconds=0.2), missed="all")
    schedules.add("b", app.say.s("b"), every(seconds=0.3), missed="all")
    wait_runs(app, 5, "first")
    schedules.change("a", task=app.say.s("second"))
    changed = clock.now()
    wait_runs(app, 5, "second")
    schedules.pause("a")
    paused = clock.now()
    number = len(runs(app, "b"))
    wait_runs(app, number + 5, "b")
    resuming = clock.now()
    schedules.resume("a")
    assert schedules.remove("b")
    removed = clock.now()
    wait_until(lambda: sum(slot > removed for slot in slots(app, "second")) >= 5, "five slots after that")
    assert schedules.remove("a")
    wait_until_settled(app)
    for consumer in consumers:
        assert consumer.stop() == 0
    assert max(slots(app, "first")) <= changed
    assert not [slot for slot in slots(app, "second") if paused < slot < resuming]
    assert max(slots(app, "b")) <= removed
    assert_gapless(slots(app, "first"), SECOND // 5)
    assert_gapless(slots(app, "b"), 3 * SECOND // 10)
    assert len(slots(app, "second")) == len(set(slots(app, "second")))
    assert app.huey.result_count() == 0


def test_an_entry_is_noticed_by_a_consumer_that_sleeps(declare, consume):
    app = declare(SCHEDULED)
    consume()
    app.huey.schedules.add("later", app.say.s("later"), crontab(0, 0, 1, 1))
    time.sleep(0.2)  # it sleeps until the next year, as far as it knows
    app.huey.schedules.add("soon", app.say.s("soon"), every(seconds=0.1))
    wait_runs(app, 1, "soon")


def test_an_entry_is_noticed_while_all_workers_are_busy(declare, consume):
    app = declare(SCHEDULED)
    consume("-w", "1")
    app.hold("gate")
    wait_until(lambda: "gate" in app.notes())
    app.huey.schedules.add("a", app.say.s("a"), every(seconds=0.1), missed="all")
    wait_until(lambda: app.huey.pending_count() >= 5, "slots to be enqueued")
    app.open_gate("gate")
    assert_gapless([run.slot for run in wait_runs(app, 10)], SECOND // 10)


def test_entries_survive_restarts_and_kills(declare, consume):
    app = declare(SCHEDULED)
    app.huey.schedules.add("a", app.say.s("a"), every(seconds=0.2), missed="all")
    for number in range(3):
        consumer = consume("-w", "2")
        wait_runs(app, 5 * (number + 1))
        if number % 2:
            kill(*consumer.members())
            consumer.wait_all_dead()
        else:
            assert consumer.stop() == 0
    consume()
    wait_runs(app, len(runs(app)) + 5)
    assert_gapless(sorted(set(slots(app))), SECOND // 5)


def test_an_unknown_task_waits_for_its_code(declare, consume):
    app = declare(SCHEDULED + "\n@huey.task(context=True)\ndef new(task): note_slot('new', task)\n")
    app.huey.schedules.add("new", app.new, every(seconds=0.2))
    app.huey.schedules.add("old", app.say.s("old"), every(seconds=0.2))
    old = declare(SCHEDULED)
    consumer = consume()
    wait_runs(old, 3, "old")
    consumer.wait_log("Schedule 'new' is kept, and does not run: no task 'app.new'")
    assert runs(old, "new") == []
    assert consumer.stop() == 0
    declare(SCHEDULED + "\n@huey.task(context=True)\ndef new(task): note_slot('new', task)\n")
    consume()
    wait_runs(app, 3, "new")


def test_none_by_option(declare, consume):
    app = declare(ticking(0.1, "all"))
    app.huey.schedules.add("a", app.say.s("a"), every(seconds=0.1), missed="all")
    consume("-n")
    for _ in range(20):
        assert get(app.add(1, 2)) == 3
        time.sleep(0.02)
    assert runs(app) == []
    assert app.huey.pending_count() == 0


def test_revoking_and_restoring(declare, consume):
    app = declare(ticking(0.2, "skip"))
    app.huey.schedules.add("a", app.say.s("a"), every(seconds=0.2))
    consumer = consume("-v")
    wait_runs(app, 2, "tick")
    app.tick.revoke()
    app.say.revoke()
    consumer.wait_log("was revoked", times=6)
    number = len(runs(app))
    consumer.wait_log("was revoked", times=10)
    assert len(runs(app)) == number
    assert app.tick.restore()
    assert app.say.restore()
    wait_runs(app, len(runs(app, "tick")) + 2, "tick")
    wait_runs(app, len(runs(app, "a")) + 2, "a")


def test_a_periodic_task_that_a_worker_declares_is_warned_of(declare, consume):
    app = declare(
        SCHEDULED
        + """
@huey.task()
def declare_another():
    huey.periodic_task(every(seconds=1), name="another")(print)
"""
    )
    consumer = consume()
    app.declare_another()
    consumer.wait_log("another is declared inside a worker and will not run: use huey.schedules.add()")


def test_a_worker_may_change_the_timetable(declare, consume):
    app = declare(
        SCHEDULED
        + """
@huey.task()
def plan(name):
    huey.schedules.add(name, say.s(name), every(seconds=0.1))
"""
    )
    consume("-w", "2")
    get(app.plan("a"))  # it gives None
    wait_runs(app, 3, "a")


def test_reloading_goes_on_where_it_was(declare, consume):
    app = declare(ticking(0.2, "all"))
    app.huey.schedules.add("a", app.say.s("a"), every(seconds=0.2), missed="all")
    consumer = consume("-w", "2")
    for number in range(3):
        wait_runs(app, 10 * (number + 1))
        consumer.send(signal.SIGHUP)
    wait_runs(app, 60)
    assert consumer.stop() == 0
    for name in ("tick", "a"):
        assert_gapless(slots(app, name), SECOND // 5)
