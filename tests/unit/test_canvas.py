"""Groups and chords, however their tasks get run."""

from __future__ import annotations

import contextlib
import datetime as dt
import pickle

import apsw
import pytest

from liteq import (
    SKIPPED,
    CancelExecution,
    ChordResult,
    Error,
    Result,
    ResultGroup,
    RetryTask,
    TaskException,
    chord,
    group,
)
from liteq import signals as s
from liteq.clock import now
from liteq.exceptions import UnknownTask
from liteq.identity import identify
from liteq.messages import Disposition, EndKind, Join, Outcome, Settlement
from liteq.serializer import JSONSerializer
from liteq.workers.attempt import attempt, settle
from liteq.workers.shared import Board
from liteq.workers.timer import Timer
from liteq.workers.wire import Assignment, Report, pack_report, unpack_report


@pytest.fixture
def tasks(app):
    return declare(app)


def declare(app):
    """The tasks of the tests, as attributes."""
    huey = app.huey

    class Tasks:
        @huey.task()
        def add(*numbers):
            return sum(numbers)

        @huey.task()
        def gather(*args, **kwargs):
            app.note((args, kwargs))
            return len(args[-1])

        @huey.task()
        def double(number):
            return number * 2

        @huey.task()
        def give(value):
            return value

        @huey.task()
        def fail(*args):
            raise ValueError(*args)

        @huey.task()
        def handle(*args):
            app.note(("handled", *args[:-1], repr(args[-1])))

    return Tasks


def enqueue(app, canvas):
    """The handle, once everything has run."""
    result = app.huey.enqueue(canvas)
    app.run()
    return result


def gathered(app):
    """The list that the only callback got."""
    [(args, _)] = app.log
    return args[-1]


# Pipelines


def test_each_stage_has_its_own_priority_and_time(stored, clock):
    tasks = declare(stored)
    pipeline = tasks.add.s(1).then(tasks.add, 2, delay=60, priority=7).then(tasks.double, expires=5)
    clock.advance(59)
    result = stored.huey.enqueue(pipeline)
    stored.run()
    [later] = stored.huey.scheduled()
    assert (later.args, later.priority) == ((2, 1), 7)
    clock.advance(1)
    stored.run()
    assert result.get() == [1, 3, 6]


def test_the_expiry_of_a_stage_counts_from_the_end_of_the_one_before(stored, clock):
    tasks = declare(stored)
    result = stored.huey.enqueue(tasks.add.s(1).then(tasks.double, expires=5))
    clock.advance(60)
    stored.run_one()
    clock.advance(6)
    stored.run()
    assert result.get(blocking=True) == [1, None]


# Groups


def test_a_group(app, tasks):
    results = enqueue(app, group([tasks.add.s(1, 2), tasks.add.s(3)]))
    assert isinstance(results, ResultGroup)
    assert results.get() == [3, 3]


def test_a_group_of_anything(app, tasks):
    canvas = group([
        tasks.add.s(1).then(tasks.add, 2),
        group(tasks.add.s(number) for number in range(2)),
        chord([tasks.add.s(5)], tasks.gather),
        group([]),
    ])  # fmt: skip
    assert enqueue(app, canvas).get() == [[1, 3], [0, 1], 1, []]


def test_a_group_s_results_in_the_order_of_their_ends(app, tasks):
    results = enqueue(app, group([tasks.add.s(1), tasks.gather.s([]), chord([], tasks.gather)]))
    assert sorted(results.as_completed()) == [0, 0, 1]


def test_an_error_handler_for_each_of_a_group(app, tasks):
    handler = tasks.handle.s("first")
    enqueue(app, group([tasks.fail.s(1), tasks.add.s(1), tasks.fail.s(2)]).error(handler))
    assert app.log == [("handled", "first", "ValueError(1)"), ("handled", "first", "ValueError(2)")]


def test_the_handlers_of_a_group_are_tasks_of_their_own(app, tasks):
    members = [tasks.fail.s(), tasks.fail.s()]
    group(members).error(tasks.handle.s().then(tasks.add))
    first, second = (member.on_error for member in members)
    assert first.id != second.id
    assert first.on_complete.id != second.on_complete.id


# Chords


def test_a_chord(app, tasks):
    result = enqueue(app, chord([tasks.add.s(1, 2), tasks.add.s(3, 4)], tasks.gather))
    assert isinstance(result, ChordResult)
    assert app.log == [(([3, 7],), {})]
    assert (result.get(), result()) == (2, 2)
    assert result.results.get() == [3, 7]
    assert result.pipeline_results is None


def test_the_list_comes_after_the_callback_s_own_arguments(app, tasks):
    """As the value of a stage does in a pipeline."""
    enqueue(app, chord([tasks.add.s(1)], tasks.gather.s("a", b="c")))
    assert app.log == [(("a", [1]), {"b": "c"})]


def test_a_chord_of_a_group(app, tasks):
    enqueue(app, group([tasks.add.s(1), tasks.add.s(2)]).then(tasks.gather, "a", b="c"))
    assert app.log == [(("a", [1, 2]), {"b": "c"})]


def test_a_chord_of_nobody_runs_its_callback(app, tasks):
    canvas = chord([], tasks.gather)
    assert enqueue(app, canvas).get() == 0
    assert enqueue(app, canvas).get() == 0
    assert app.log == [(([],), {}), (([],), {})]


def test_what_follows_the_callback(app, tasks):
    canvas = chord([tasks.add.s(1), tasks.add.s(2)], tasks.gather).then(tasks.add, 5).then(tasks.double)
    result = enqueue(app, canvas)
    assert result.get() == 2
    result.reset()
    assert result.pipeline_results.get() == [None, 7, 14]


def test_a_pipeline_as_a_member_counts_with_its_last_value(app, tasks):
    canvas = chord([tasks.add.s(1).then(tasks.add, 2).then(tasks.double), tasks.add.s(9)], tasks.gather)
    result = enqueue(app, canvas)
    assert gathered(app) == [6, 9]
    assert result.results.get() == [6, 9]


def test_chords_in_chords(app, tasks):
    innermost = chord([tasks.add.s(1)], tasks.give)
    inner = chord([innermost, tasks.add.s(2)], tasks.give).then(tasks.give)
    result = enqueue(app, chord([inner, tasks.add.s(3), chord([], tasks.give)], tasks.gather))
    assert gathered(app) == [[[1], 2], 3, []]
    assert result.results.get() == [[[1], 2], 3, []]


@pytest.mark.parametrize("value", [None, (1, 2), {"a": 1}, [], "text", SKIPPED])
def test_any_value_arrives_as_it_is(app, tasks, value):
    enqueue(app, chord([tasks.give.s(value), tasks.give.s(1)], tasks.gather))
    assert gathered(app) == [value, 1]


def test_many_members(app, tasks):
    enqueue(app, chord([tasks.add.s(number) for number in range(300)], tasks.gather))
    assert gathered(app) == list(range(300))


def test_chords_and_tasks_together(app, tasks):
    results = app.huey.enqueue_many(
        [tasks.add.s(1), chord([tasks.add.s(2)], tasks.give), group([tasks.add.s(3)])]
    )
    app.run()
    assert [result.get() for result in results] == [1, [2], [3]]


# Members that do not end well


def test_a_member_that_fails_is_an_error_in_the_list(app, tasks):
    enqueue(app, chord([tasks.fail.s("x"), tasks.add.s(2)], tasks.gather))
    error, value = gathered(app)
    assert isinstance(error, Error)
    assert error.metadata["error"] == "ValueError('x')"
    assert value == 2


def test_a_pipeline_that_fails_on_its_way(app, tasks):
    canvas = chord(
        [tasks.fail.s().then(tasks.add), tasks.add.s(1).then(tasks.fail).then(tasks.add)], tasks.gather
    )
    result = enqueue(app, canvas)
    assert [type(value) for value in gathered(app)] == [Error, Error]
    for member in result.results:
        with pytest.raises(TaskException):
            member.get()


def test_a_chord_whose_callback_fails_in_a_chord(app, tasks):
    inner = chord([tasks.add.s(1)], tasks.fail).then(tasks.add)
    result = enqueue(app, chord([inner, tasks.add.s(2)], tasks.gather))
    error, _ = gathered(app)
    assert error.metadata["error"] == "ValueError([1])"
    assert result.get() == 2


def test_a_member_that_is_retried_counts_with_its_last_attempt(app, tasks):
    attempts = []

    @app.huey.task(retries=2)
    def flaky():
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError
        return "at last"

    enqueue(app, chord([flaky.s(), tasks.add.s(1)], tasks.gather))
    assert gathered(app) == ["at last", 1]


@pytest.mark.parametrize("first", [True, False])
def test_a_member_that_is_revoked_is_skipped(app, tasks, first):
    pipeline = tasks.double.s(2).then(tasks.double)
    app.huey.revoke(pipeline if first else pipeline.on_complete)
    enqueue(app, chord([tasks.add.s(1), pipeline], tasks.gather))
    assert gathered(app) == [1, SKIPPED]


def test_a_member_that_has_expired_is_skipped(app, tasks):
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    enqueue(app, chord([tasks.add.s(1, expires=past).then(tasks.add), tasks.add.s(2)], tasks.gather))
    assert gathered(app) == [SKIPPED, 2]


def test_a_member_that_a_hook_cancels_is_skipped(app, tasks):
    @app.huey.pre_execute()
    def cancel(task):
        if task.name == "double":
            raise CancelExecution

    enqueue(app, chord([tasks.double.s(1), tasks.add.s(2)], tasks.gather))
    assert gathered(app) == [SKIPPED, 2]


def test_a_member_that_cancels_itself_is_an_error(app, tasks):
    @app.huey.task()
    def cancel():
        raise CancelExecution

    enqueue(app, chord([cancel.s(), tasks.add.s(2)], tasks.gather))
    error, _ = gathered(app)
    assert isinstance(error, Error)


def test_a_value_that_can_t_be_stored_is_an_error(app, tasks):
    @app.huey.task()
    def odd():
        return (number for number in ())  # a generator

    enqueue(app, chord([odd.s(), tasks.add.s(2)], tasks.gather))
    assert isinstance(gathered(app)[0], Error)


def test_without_results_a_chord_works_all_the_same(app):
    app.make(results=False)
    tasks = declare(app)
    assert app.huey.enqueue(chord([tasks.add.s(1), tasks.fail.s()], tasks.gather)) is None
    assert app.huey.enqueue(group([tasks.add.s(1)])) is None
    app.run()
    value, error = gathered(app)
    assert (value, type(error)) == (1, Error)
    assert app.huey.result_count() == 0


def test_what_became_of_members_travels_in_json_too(app):
    app.make(serializer=JSONSerializer())
    tasks = declare(app)

    @app.huey.task(retries=1)
    def flaky(values):
        app.note(values)
        if len(app.log) == 1:
            raise ValueError

    revoked = tasks.add.s(1)
    app.huey.revoke(revoked)
    enqueue(app, chord([tasks.add.s(1).then(tasks.add), tasks.fail.s("x"), revoked], flaky))
    for value, error, skipped in app.log:
        assert (value, type(error), skipped) == (1, Error, SKIPPED)
    assert len(app.log) == 2


# Callbacks


def test_a_callback_that_is_retried_gets_the_list_again(app, tasks):
    @app.huey.task(retries=1)
    def flaky(*args):
        app.note(args)
        if len(app.log) == 1:
            raise RetryTask
        if len(app.log) == 2:
            raise ValueError
        return "done"

    result = enqueue(app, chord([tasks.add.s(1), tasks.fail.s(2)], flaky.s("a")))
    assert [(mine, one, type(error)) for mine, (one, error) in app.log] == [("a", 1, Error)] * 3
    result.reset()
    assert result.get() == "done"


def test_a_callback_that_is_revoked(app, tasks):
    callback = tasks.gather.s()
    app.huey.revoke(callback)
    result = enqueue(app, chord([tasks.add.s(1)], callback).then(tasks.add))
    assert app.log == []
    assert result.get() is None
    assert result.get(blocking=True) is None
    assert result.results.get() == [1]


def test_an_error_handler_of_a_callback(app, tasks):
    enqueue(app, chord([tasks.add.s(1)], tasks.fail).error(tasks.handle, "it"))
    assert app.log == [("handled", "it", "ValueError([1])")]


def test_a_callback_is_announced_once(app, tasks):
    told = []
    app.huey.signals.connect(lambda signal, task: told.append(task.name), s.SIGNAL_ENQUEUED)
    enqueue(app, chord([tasks.add.s(1), tasks.add.s(2)], tasks.gather))
    assert sorted(told) == ["add", "add", "gather"]


def test_a_callback_with_a_context_sees_its_list(app, tasks):
    @app.huey.task(context=True)
    def look(values, task):
        app.note(([*values], task.args))

    enqueue(app, chord([tasks.add.s(1)], look))
    assert app.log == [([1], ([1],))]


def test_a_relative_expiry_of_a_callback_counts_from_the_last_end(stored, clock):
    tasks = declare(stored)
    result = stored.huey.enqueue(chord([tasks.add.s(1)], tasks.gather.s(expires=60)))
    clock.advance(3600)
    assert stored.run_one()  # the member
    clock.advance(59)
    assert stored.run_one()
    assert result.get() == 1
    result = stored.huey.enqueue(chord([tasks.add.s(1)], tasks.gather.s(expires=60)))
    assert stored.run_one()
    clock.advance(61)
    assert stored.run_one()
    assert result.get(blocking=True) is None


def test_a_callback_waits_for_its_time_too(stored, clock):
    tasks = declare(stored)
    result = stored.huey.enqueue(chord([tasks.add.s(1)], tasks.gather.s(delay=60)))
    stored.run()
    assert (stored.huey.scheduled_count(), result.get()) == (1, None)
    clock.advance(60)
    stored.run()
    assert result.get() == 1


def test_a_scheduled_callback_taken_by_hand_takes_its_list_along(stored, clock):
    tasks = declare(stored)
    result = stored.huey.enqueue(chord([tasks.add.s(1)], tasks.gather.s(delay=60)))
    stored.run()
    clock.advance(60)
    [callback] = stored.huey.read_schedule()
    stored.huey.enqueue(callback)
    stored.run()
    assert result.get() == 1
    assert gathered(stored) == [1]


def test_a_scheduled_member_in_immediate_mode(immediate, clock):
    @immediate.task()
    def give(value):
        return value

    result = immediate.enqueue(chord([give.s(1), give.s(2, delay=60)], give))
    assert result.get() is None
    assert immediate.waiting_count() == 1
    clock.advance(60)
    for task in immediate.read_schedule():
        immediate.execute(task)
    assert result.get() == [1, 2]


def test_immediate_mode_on_the_real_storage_runs_nothing_else(sqlite):
    @sqlite.task()
    def give(value):
        return value

    give("somebody else's")
    sqlite.immediate_use_memory = False
    sqlite.immediate = True
    assert sqlite.enqueue(chord([give.s(1), chord([give.s(2)], give)], give)).get() == [1, [2]]
    assert sqlite.pending_count() == 1


# Revoking, rescheduling


def test_a_revoked_chord_does_not_run(stored):
    tasks = declare(stored)
    canvas = chord(
        [tasks.gather.s([]), chord([tasks.gather.s([])], tasks.give), tasks.give.s([]).then(tasks.gather)],
        tasks.gather,
    )
    result = stored.huey.enqueue(canvas)
    result.revoke()
    stored.run()
    assert stored.log == []
    assert result.get(blocking=True) is None
    assert stored.huey.waiting_count() == stored.huey.pending_count() == 0


def test_a_part_of_a_chord_can_t_be_rescheduled(stored):
    tasks = declare(stored)
    result = stored.huey.enqueue(chord([tasks.add.s(1)], tasks.gather))
    for part in (*result.results, result.callback):
        with pytest.raises(ValueError, match="part of a chord"):
            part.reschedule(delay=60)
    stored.run()
    assert result.get() == 1


def test_nor_can_the_first_stage_of_a_member(stored):
    tasks = declare(stored)
    pipeline = tasks.add.s(1).then(tasks.add, 2)
    result = stored.huey.enqueue(chord([pipeline], tasks.gather))
    with pytest.raises(ValueError, match="part of a chord"):
        Result(stored.huey, pipeline).reschedule(delay=60)
    stored.run()
    assert result.get() == 1


def test_a_dead_callback_keeps_its_list(stored):
    tasks = declare(stored)
    result = stored.huey.enqueue(chord([tasks.add.s(1)], tasks.gather))
    stored.run_one()
    tasks.gather.unregister()
    with contextlib.suppress(UnknownTask):  # which who runs it by hand is told
        stored.run()
    assert [dead.id for dead in stored.huey.dead()] == [result.callback.id]
    stored.huey.registry.register(tasks.gather.task_class)
    stored.huey.revive(result.callback.id)
    stored.run()
    assert gathered(stored) == [1]


# What is refused


def test_what_can_t_be_a_member(app, tasks):
    for wrong in (3, None, "add", tasks.add, [tasks.add.s(1)]):
        for canvas in (group, lambda members: chord(members, tasks.gather)):
            with pytest.raises(TypeError, match="is not a task"):
                canvas([tasks.add.s(1), wrong])


def test_what_can_t_be_a_callback(app, tasks):
    for wrong in (3, None, lambda values: values, chord([], tasks.gather), group([])):
        with pytest.raises(TypeError, match="is not a task"):
            chord([tasks.add.s(1)], wrong)
        with pytest.raises(TypeError, match="is not a task"):
            group([tasks.add.s(1)]).then(wrong)


def test_a_group_can_t_be_a_member_of_a_chord(app, tasks):
    with pytest.raises(ValueError, match=r"then\(callback\)"):
        chord([group([tasks.add.s(1)])], tasks.gather)
    with pytest.raises(ValueError, match=r"then\(callback\)"):
        group([group([tasks.add.s(1)])]).then(tasks.gather)


def test_groups_and_chords_can_t_follow(app, tasks):
    for wrong in (group([tasks.add.s(1)]), chord([], tasks.gather)):
        with pytest.raises(TypeError, match="groups and chords can't follow"):
            tasks.add.s(1).then(wrong)


def test_a_task_is_in_a_chord_once(app, tasks):
    twice, shared = tasks.add.s(1), tasks.add.s(2)
    canvases = [
        chord([twice, twice], tasks.gather),
        chord([twice], twice),
        chord([tasks.add.s(1).then(shared), tasks.add.s(1).then(shared)], tasks.gather),
        chord([twice, chord([tasks.add.s(1), twice], tasks.gather)], tasks.gather),
        chord([tasks.add.s(1, id="same"), tasks.add.s(2, id="same")], tasks.gather),
    ]
    for canvas in canvases:
        for refused in (canvas, group([canvas])):
            with pytest.raises(ValueError, match="is in a chord twice"):
                app.huey.enqueue_many([tasks.add.s(7), refused])
    assert app.huey.pending_count() == app.huey.waiting_count() == app.huey.result_count() == 0


def test_a_chord_that_waits_can_t_be_enqueued_again(stored):
    tasks = declare(stored)
    canvas = chord([tasks.add.s(1)], tasks.gather)
    first = stored.huey.enqueue(canvas)
    with pytest.raises(ValueError, match="is waiting already"):
        stored.huey.enqueue_many([tasks.add.s(5), canvas])
    assert stored.huey.pending_count() == 1
    stored.run()
    assert first.get() == 1
    assert enqueue(stored, canvas).get() == 1


def test_a_pipeline_has_no_stage_twice(app, tasks):
    task = tasks.add.s(1)
    with pytest.raises(ValueError, match="a stage of this pipeline already"):
        task.then(task)
    with pytest.raises(ValueError, match="a stage of this pipeline already"):
        task.then(tasks.add).then(tasks.add.s(1).then(task))
    assert len([*task.stages()]) == 2


def test_a_task_that_can_t_be_serialized_leaves_nothing(stored):
    tasks = declare(stored)
    with pytest.raises(TypeError):
        stored.huey.enqueue(chord([tasks.add.s(1), tasks.give.s(number for number in ())], tasks.gather))
    assert stored.huey.pending_count() == stored.huey.waiting_count() == 0


# Handles


def test_a_handle_that_was_made_by_hand(app, tasks):
    member, callback = (Result(app.huey, task) for task in (tasks.add.s(1), tasks.add.s(2)))
    result = ChordResult(ResultGroup([member]), callback)
    assert (result.get(), result.results.get(), result.pipeline_results) == (None, [None], None)
    result.revoke()
    result.reset()


def test_a_value_that_can_t_be_decoded_makes_its_callback_dead(stored):
    tasks = declare(stored)
    stored.huey.enqueue(chord([tasks.add.s(1)], tasks.gather))
    stored.run_one()
    with stored.huey.storage.database.write() as transaction:
        transaction.connection.execute("UPDATE member SET value = x'00'")
    with contextlib.suppress(pickle.UnpicklingError):
        stored.run()
    [dead] = stored.huey.dead()
    assert "can't be decoded" in dead.reason


def test_nothing_is_left_in_the_file(stored):
    tasks = declare(stored)
    inner = chord([tasks.add.s(1).then(tasks.double), tasks.fail.s().then(tasks.add)], tasks.gather).then(
        tasks.add
    )
    canvas = chord([inner, tasks.add.s(2)], tasks.gather).then(tasks.double)
    stored.huey.revoke(canvas.tasks[1])
    enqueue(stored, canvas)
    with stored.huey.storage.database.read() as connection:
        for table in (
            "queue WHERE queue <> ''",
            "priority",
            "schedule",
            "chord",
            "member",
            "stage",
            "claim",
            "dead",
        ):
            assert connection.execute(f"SELECT count(*) FROM {table}").get == 0, table


def test_ends_travel_between_processes(app, tasks):
    outcome = Outcome(
        Disposition.DONE, "complete", joins=(Join("c", 3, EndKind.ERROR, b"x"), Join("d", 0, EndKind.SKIPPED))
    )
    assert unpack_report(pack_report(Report(1, 2, 3, outcome))).outcome == outcome


def test_a_value_too_large_to_store_is_an_error_for_all_who_wait(sqlite):
    @sqlite.task()
    def large(value, *more):
        return value * 1000

    results = sqlite.enqueue(chord([large.s("x"), large.s("x").then(large)], large))
    owner = sqlite.storage.register(identify())
    claims = sqlite.storage.claim(owner, 2, now=now(), lease=10**18)
    with sqlite.storage.database.read() as connection:
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, 1000)
    for claim in claims:
        assignment = Assignment(claim.key, revoked=False, at_most_once=False, data=claim.data)
        settle(sqlite, Settlement(assignment.key, attempt(sqlite, assignment, Timer(Board(1), 0))))
    assert len(sqlite.dead()) == 2
    for result in results.results:
        with pytest.raises(TaskException, match="can't be stored"):
            result.get()
    assert [type(value) for value in sqlite.dequeue().args[0]] == [Error, Error]
