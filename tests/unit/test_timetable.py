"""The timetable as applications see it: stored schedules, by name."""

from __future__ import annotations

import json
import logging
import multiprocessing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liteq import MemoryHuey, SqliteHuey, clock, crontab, every
from liteq.entries import Entry
from liteq.exceptions import UnknownTask
from liteq.schedules import Missed

NIGHTLY = crontab(0, 3, tz="Europe/Berlin")


@pytest.fixture(params=["sqlite", "memory"])
def huey(request, filename):
    huey = SqliteHuey(filename=filename, durability="off") if request.param == "sqlite" else MemoryHuey()
    yield huey
    huey.storage.close()


@pytest.fixture
def report(huey):
    @huey.task(priority=2, retries=1)
    def report(*args, **kwargs):
        pass

    return report


@pytest.fixture
def schedules(huey, report):
    return huey.schedules


def key(task):
    return f"{task.task_class.__module__}.{task.task_class.__name__}"


def test_an_entry_is_what_was_added(schedules, report):
    before = clock.now()
    entry = schedules.add(
        "weekly", report.s("a", 2, deep={"list": [1, None, True, 1.5]}), NIGHTLY, missed="once"
    )
    assert entry == schedules["weekly"]
    assert list(schedules) == [entry]
    assert len(schedules) == 1
    assert "weekly" in schedules
    assert "x" not in schedules
    assert None not in schedules
    assert entry.name == "weekly"
    assert entry.task == key(report)
    assert entry.args == ("a", 2)
    assert entry.kwargs == {"deep": {"list": [1, None, True, 1.5]}}
    assert entry.schedule == NIGHTLY
    assert entry.missed is Missed.ONCE
    assert not entry.paused
    assert before <= entry.since <= clock.now()


def test_a_declared_task_stands_for_its_call_without_arguments(schedules, report):
    entry = schedules.add("a", report, every(hours=1))
    assert (entry.args, entry.kwargs, entry.options) == ((), {}, {})


def test_options_of_the_call_are_kept_and_those_of_the_declaration_are_not(schedules, report):
    entry = schedules.add("a", report.s(priority=9, retries=1, expires=60, timeout=2.5), every(hours=1))
    assert entry.options == {"priority": 9, "expires": 60, "timeout": 2.5}
    task = entry.call(report.task_class)
    assert (task.priority, task.retries, task.expires, task.timeout) == (9, 1, 60, 2.5)


def test_they_are_sorted_by_name(schedules, report):
    for name in "cab":
        schedules.add(name, report, every(hours=1))
    assert [entry.name for entry in schedules] == ["a", "b", "c"]


def test_a_name_is_given_once(schedules, report):
    first = schedules.add("a", report, every(hours=1))
    with pytest.raises(ValueError, match="^there is a schedule 'a' already"):
        schedules.add("a", report, every(hours=2))
    assert schedules["a"] == first


def test_replacing(schedules, report):
    first = schedules.add("a", report, every(hours=1), replace=True)
    assert schedules.add("a", report.s(), every(minutes=60), replace=True) == first
    second = schedules.add("a", report, every(hours=2), replace=True)
    assert second.since > first.since
    assert schedules["a"] == second


def test_what_is_replaced_stays_paused(schedules, report):
    schedules.add("a", report, every(hours=1))
    schedules.pause("a")
    assert schedules.add("a", report, every(hours=1), replace=True).paused
    assert schedules.add("a", report, every(hours=2), replace=True).paused


def test_changing(schedules, report):
    schedules.add("a", report.s(1), every(hours=1), missed="all")
    schedules.pause("a")
    entry = schedules.change("a", schedule=NIGHTLY)
    assert (entry.schedule, entry.args, entry.missed, entry.paused) == (NIGHTLY, (1,), Missed.ALL, True)
    entry = schedules.change("a", task=report.s(2, x=3))
    assert (entry.schedule, entry.args, entry.kwargs) == (NIGHTLY, (2,), {"x": 3})
    entry = schedules.change("a", missed="skip")
    assert entry.missed is Missed.SKIP
    assert schedules["a"] == entry


def test_pause_and_resume(schedules, report):
    first = schedules.add("a", report, every(hours=1))
    assert schedules.due("a") is not None
    assert schedules.pause("a").paused
    assert schedules.due("a") is None
    resumed = schedules.resume("a")
    assert not resumed.paused
    assert resumed.since > first.since


def test_removing(huey, schedules, report):
    assert not schedules.remove("a")
    schedules.add("a", report, every(hours=1))
    huey.storage.take_slot(Entry.slot_name_of("a"), 60)
    assert schedules.remove("a")
    assert not schedules.remove("a")
    assert list(schedules) == []
    assert huey.storage.take_slot(Entry.slot_name_of("a"), 60)


@pytest.mark.parametrize("verb", ["change", "pause", "resume", "due", "__getitem__"])
def test_one_that_is_not_there(schedules, verb):
    with pytest.raises(KeyError, match="'x'"):
        getattr(schedules, verb)("x")


def test_when_it_is_due(schedules, report):
    schedules.add("a", report, every(hours=1))
    now = clock.naive_now()
    assert now < schedules.due("a") <= now + timedelta(hours=1)
    assert schedules.due("a").minute == 0
    schedules.change("a", schedule=crontab(day=30, month=2))
    assert schedules.due("a") is None


def test_a_periodic_task_may_be_called_by_an_entry_too(huey, schedules):
    tick = huey.periodic_task(crontab(), name="tick")(lambda: None)
    assert schedules.add("a", tick, every(hours=1)).task == key(tick)


# What is refused


@pytest.mark.parametrize(
    "argument",
    [
        (1, 2), {1: 2}, {1, 2}, b"x", pytest.param(object(), id="an object"), datetime(2024, 1, 1, tzinfo=UTC),
        float("nan"), float("inf"), 1j, [(1,)], {"a": {2: 3}},
    ],
    ids=repr,
)  # fmt: skip
def test_arguments_that_would_not_come_back_as_they_are(schedules, report, argument):
    with pytest.raises(TypeError, match="^schedule 'a': .*arguments of a schedule are texts, numbers"):
        schedules.add("a", report.s(argument), every(hours=1))
    with pytest.raises(TypeError, match="^schedule 'a': "):
        schedules.add("a", report.s(x=argument), every(hours=1))
    assert "a" not in schedules


def test_arguments_that_contain_themselves(schedules, report):
    circle = []
    circle.append(circle)
    with pytest.raises(TypeError, match="^schedule 'a': "):
        schedules.add("a", report.s(circle), every(hours=1))


@given(
    args=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_all_that_is_plain_comes_back(args):
    entry = Entry("a", "app.report", NIGHTLY, (args,), {"x": args})
    assert Entry.of_text("a", entry.to_text()) == entry


@pytest.mark.parametrize("schedule", [lambda moment: True, 60, None, "* * * * *", timedelta(hours=1)])
def test_schedules_that_cannot_be_stored(schedules, report, schedule):
    with pytest.raises(
        TypeError, match=r"^a schedule that is stored is a crontab\(…\) or an every\(…\), not "
    ):
        schedules.add("a", report, schedule)


@pytest.mark.parametrize("name", ["", None, 1, b"a"])
def test_names(schedules, report, name):
    with pytest.raises(ValueError, match="^the name of a schedule is a text that is not empty, not "):
        schedules.add(name, report, every(hours=1))


@pytest.mark.parametrize("task", [len, "app.report", None])
def test_what_is_no_task(schedules, task):
    with pytest.raises(TypeError, match="is not a task"):
        schedules.add("a", task, every(hours=1))


def test_a_task_of_another_application(schedules):
    other = MemoryHuey().task(name="other")(lambda: None)
    with pytest.raises(UnknownTask, match=r"\.other"):
        schedules.add("a", other, every(hours=1))


def test_calls_with_times_or_stages_of_their_own(schedules, report):
    for task in (report.s(delay=1), report.s().then(report), report.s().error(report)):
        with pytest.raises(ValueError, match="^a call in the timetable has no eta or delay"):
            schedules.add("a", task, every(hours=1))


@pytest.mark.parametrize("expires", [datetime(2030, 1, 1, tzinfo=UTC), timedelta(seconds=1)])
def test_calls_that_expire_at_a_date(schedules, report, expires):
    with pytest.raises(ValueError, match="^expires: "):
        schedules.add("a", report.s(expires=expires), every(hours=1))


def test_an_unknown_policy(schedules, report):
    with pytest.raises(ValueError, match="^missed must be "):
        schedules.add("a", report, every(hours=1), missed="never")
    schedules.add("a", report, every(hours=1))
    with pytest.raises(ValueError, match="^missed must be "):
        schedules.change("a", missed="never")


# What others have written


GOOD = json.loads(Entry("a", "app.report", NIGHTLY).to_text())
BAD = [
    "", "null", "[]", "{", "{}", "1" * 5000, "[" * 100_000,
    *(json.dumps(GOOD | {name: None}) for name in GOOD),
    json.dumps(GOOD | {"schedule": {"moon": "full"}}),
    json.dumps(GOOD | {"schedule": {"crontab": {"tz": "Mars/Phobos"}}}),
    json.dumps(GOOD | {"schedule": {"crontab": {"minute": "61"}}}),
    json.dumps(GOOD | {"schedule": {"crontab": {"second": "1"}}}),
    json.dumps(GOOD | {"schedule": {"every": 0}}),
    json.dumps(GOOD | {"schedule": {"every": "1"}}),
    json.dumps(GOOD | {"missed": "never"}),
    json.dumps(GOOD | {"options": {"priority": "high"}}),
    json.dumps(GOOD | {"options": {"colour": "red"}}),
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_texts_that_are_no_entries(text):
    with pytest.raises(ValueError, match=r"^schedule 'a' can't be read: "):
        Entry.of_text("a", text)


def test_an_entry_that_cannot_be_read_is_left_out_and_can_be_removed(huey, schedules, report, caplog):
    schedules.add("good", report, every(hours=1))
    huey.storage.replace_entry("bad", None, "{}")
    with caplog.at_level(logging.WARNING, "huey"):
        assert [entry.name for entry in schedules] == ["good"]
    assert "schedule 'bad' can't be read" in caplog.text
    with pytest.raises(ValueError, match="can't be read"):
        schedules["bad"]
    with pytest.raises(ValueError, match="can't be read"):
        schedules.pause("bad")
    assert "bad" in schedules
    assert schedules.remove("bad")


def test_an_entry_that_cannot_be_read_can_be_replaced(huey, schedules, report):
    huey.storage.replace_entry("bad", None, "{}")
    entry = schedules.add("bad", report, every(hours=1), replace=True)
    assert schedules["bad"] == entry


# Several processes


def count_up(filename, times):
    huey = SqliteHuey(filename=filename, durability="off")
    task = huey.task(name="count")(print)
    for _ in range(times):
        # Adds one to whatever is stored, as only an atomic change can.
        huey.schedules._update(
            "count",
            lambda text: Entry("count", key(task), NIGHTLY, (Entry.of_text("count", text).args[0] + 1,)),
        )
    huey.storage.close()


def test_changes_of_several_processes_at_once_are_all_made(filename):
    huey = SqliteHuey(filename=filename, durability="off")
    task = huey.task(name="count")(print)
    huey.schedules.add("count", task.s(0), NIGHTLY)
    huey.storage.close()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=count_up, args=(filename, 50)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert huey.schedules["count"].args == (200,)
    huey.storage.close()


def test_what_is_shown_of_an_entry_does_not_tell_its_arguments():
    entry = Entry("a", "app.report", NIGHTLY, ("hunter2",), {"password": "hunter2"})
    assert "hunter2" not in repr(entry)
    with pytest.raises(ValueError, match="can't be read") as caught:
        Entry.of_text("a", '{"args": ["hunter2"]}')
    assert "hunter2" not in str(caught.value)
