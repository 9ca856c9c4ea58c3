"""What the guides of huey show, done with liteq, by a consumer: each test is the use of one of their sections."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from integration.consumer import Consumer, get, wait_until

from liteq import Result, ResultGroup, ResultTimeout, TaskException, crontab
from liteq.exceptions import DataStoreTimeout
from liteq.results import EmptyData

LIBRARY = Path(__file__).with_name("library.py")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The application, and one consumer with one worker beside it."""
    folder = tmp_path_factory.mktemp("library")
    copy = folder / "library.py"
    copy.write_bytes(LIBRARY.read_bytes())
    module: Any = load(copy)
    consumer = Consumer(folder, application="library.huey").wait_ready()
    yield module
    module.huey.storage.close()
    code = consumer.stop()
    consumer.clean_up()
    assert code == 0


@contextlib.contextmanager
def busy(app: Any, name: str) -> Iterator[None]:
    """The one worker is occupied, so that what is enqueued here waits, and not in the worker's hands."""
    holding = app.wait_for(name)
    wait_until(lambda: app.notes(f"waiting for {name}"))
    yield
    wait_until(lambda: app.huey.running_count() == 1)
    (app.HERE / name).touch()
    get(holding)


# Calling


def test_a_call_returns_a_handle_at_once(app):
    result = app.multiply(6, 7)
    assert isinstance(result, Result)
    assert result(blocking=True, timeout=60) == 42
    assert result() == 42  # the handle keeps it
    assert app.huey.get(result.id) is None  # and storage does not


def test_a_result_that_is_not_there_yet_is_none(app):
    with busy(app, "not yet"):
        result = app.multiply(6, 7)
        assert result() is None
        assert not result.is_ready()
        with pytest.raises(ResultTimeout):
            result(blocking=True, timeout=0.01)
        with pytest.raises(DataStoreTimeout):
            result.get(blocking=True, timeout=0.01, backoff=1.5, max_delay=0.1)
    assert get(result) == 42


def test_a_result_may_be_left_in_storage(app):
    result = app.multiply(6, 7)
    assert result.get(blocking=True, timeout=60, preserve=True) == 42
    assert app.huey.result(result.id, preserve=True) == 42
    assert app.huey.result(result.id) == 42
    assert app.huey.result(result.id) is None


def test_the_handle_of_an_id(app):
    app.multiply(2, 2, id="four")
    assert app.huey.result("four", blocking=True, timeout=60) == 4


def test_a_task_that_is_not_wanted_any_more_when_the_time_is_up(app):
    with busy(app, "too long"):
        result = app.shelve("Persuasion")
        with pytest.raises(ResultTimeout):
            result.get(blocking=True, timeout=0.01, revoke_on_timeout=True)
    wait_until(lambda: len(app.huey) == 0)
    get(app.multiply(1, 1))
    assert app.notes("shelved Persuasion") == []


def test_a_task_that_returns_none_can_be_waited_for(app):
    assert get(app.shelve("Emma")) is None
    assert app.notes("shelved Emma") == ["shelved Emma in A"]


def test_a_call_in_three_spellings(app):
    again = app.huey.task(name="multiply_again")(lambda a, b: a * b)
    task = app.multiply.s(3, 4)
    assert [get(app.multiply(3, 4)), get(app.huey.enqueue(task)), again.call_local(3, 4)] == [12] * 3
    assert app.multiply.call_local(3, 4) == 12
    assert app.multiply.task_class.__name__ == "multiply"
    again.unregister()


def test_many_calls(app):
    group = app.multiply.map([(i, i + 1) for i in range(10)])
    assert isinstance(group, ResultGroup)
    assert group.get(blocking=True, timeout=60) == [i * (i + 1) for i in range(10)]


# Later


def test_after_a_delay(app):
    start = time.monotonic()
    result = app.multiply.schedule((3, 4), delay=0.3)
    assert result() is None
    assert result(blocking=True, timeout=60) == 12
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize(
    "eta",
    [
        lambda: datetime.now() + timedelta(seconds=0.2),  # noqa: DTZ005 -- local, as people write it
        lambda: datetime.now(UTC) + timedelta(seconds=0.2),
        lambda: datetime(2001, 1, 1),  # noqa: DTZ001
    ],
)
def test_at_a_time(app, eta):
    assert get(app.multiply.schedule(args=(4, 5), eta=eta())) == 20


def test_at_a_time_in_utc_as_it_is(app):
    eta = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=0.2)
    assert get(app.multiply.schedule((4,), {"b": 5}, eta=eta, convert_utc=False)) == 20


def test_a_delay_in_the_call_itself(app):
    assert get(app.multiply(4, 5, delay=timedelta(milliseconds=50))) == 20


def test_another_time(app):
    result = app.multiply.schedule((4, 5), delay=3600)
    sooner = result.reschedule(delay=0)
    assert get(sooner) == 20
    assert result.is_revoked()


# Periodic tasks


def test_a_schedule(app):
    validate = app.remind.task_class().validate_datetime
    assert validate(datetime(2026, 3, 2, 8, 5))  # noqa: DTZ001
    assert not validate(datetime(2026, 3, 2, 8, 6))  # noqa: DTZ001
    assert not validate(datetime(2026, 3, 2, 13, 5))  # noqa: DTZ001


def test_a_periodic_task_called_by_hand_keeps_no_result(app):
    app.remind()
    wait_until(lambda: app.notes("reminded"))
    assert app.remind.call_local() is None


def test_a_periodic_task_is_skipped_once_for_a_while_or_until_restored(app):
    later = datetime.now() + timedelta(hours=3)  # noqa: DTZ005 -- local, as people write it
    app.remind.revoke(revoke_until=later)
    assert app.remind.is_revoked()
    assert not app.remind.is_revoked(datetime.now(UTC) + timedelta(hours=4))
    assert app.remind.restore()
    app.remind.revoke(revoke_once=True)
    assert app.remind.is_revoked()
    before = len(app.notes("reminded"))
    get(app.remind())
    assert len(app.notes("reminded")) == before
    assert not app.remind.is_revoked()
    app.remind.revoke()
    assert app.remind.is_revoked()
    app.remind.restore()
    assert not app.remind.is_revoked()


# Failures


def test_a_failure_is_told_and_the_handle_reads_on_after_a_reset(app):
    result = app.dial_later("1")
    with pytest.raises(TaskException, match="engaged") as caught:
        get(result)
    metadata = caught.value.metadata
    assert metadata["error"] == "ConnectionError('engaged')"
    assert (metadata["retries"], metadata["task_id"]) == (1, result.id)
    assert "raise ConnectionError" in metadata["traceback"]
    result.reset()
    assert get(result) == "connected"
    first, second = (float(note.split()[1]) for note in app.notes("at "))
    assert 0.2 <= second - first < 60


def test_retries_at_once(app):
    result = app.dial("2")
    wait_until(lambda: app.notes().count("dialled 2") == 3)
    wait_until(lambda: app.huey.get_raw(result.id, peek=True) is not EmptyData)
    wait_until(lambda: result.reset() or result.get_raw_result(preserve=True) == "connected")


def test_a_task_asks_for_another_run(app):
    assert get(app.download("catalogue")) == "contents of catalogue"
    assert app.notes("downloaded catalogue").count("downloaded catalogue") == 3


def test_a_task_cancels_itself(app):
    assert get(wait_for_success(app.import_records("forced"))) == 5
    for case, attempts in (("over", 1), ("as declared", 3)):
        result = app.import_records(case)
        wait_until(lambda case=case, attempts=attempts: len(app.notes(f"imported {case}")) == attempts)
        with pytest.raises(TaskException, match="CancelExecution"):
            get(result)
    get(app.multiply(1, 1))
    assert len(app.notes("imported over")) == 1


def wait_for_success(result: Any) -> Any:
    """A handle past the errors of the attempts before the last."""

    def succeeded() -> bool:
        with contextlib.suppress(TaskException):
            return result.get(preserve=True) is not None
        result.reset()
        return False

    wait_until(succeeded)
    return result


def test_delays_that_an_application_lets_grow_itself(app):
    app.fails_slower("no")
    wait_until(lambda: len(app.notes("delay ")) == 4)
    assert app.notes("delay ") == ["delay 0.02", "delay 0.04", "delay 0.08", "delay 0.16"]


def test_the_retries_as_an_argument(app):
    assert get(wait_for_success(app.countdown("left"))) == 1
    assert app.notes("left") == ["left 3 countdown", "left 2 countdown", "left 1 countdown"]


# Order


def test_what_is_urgent_overtakes_what_waits(app):
    with busy(app, "order"):
        app.scan(1)
        app.letter("reader")
        app.multiply(1, 1)
        app.letter("director", priority=90)
        app.scan.schedule((2,), delay=0, priority=50)
        app.letter("friend")
    wait_until(lambda: len(app.notes("scanned")) == 2)
    done = [note for note in app.notes() if note.startswith(("letter", "scanned"))]
    assert done == ["letter to director", "scanned 2", "letter to reader", "letter to friend", "scanned 1"]


# Revoking


def test_a_call_is_revoked_and_restored(app):
    with busy(app, "revoking"):
        never, now = app.shelve("Evelina"), app.shelve("Camilla")
        never.revoke()
        assert never.is_revoked()
        now.revoke()
        now.restore()
        assert not now.is_revoked()
        later = app.shelve.schedule(("Cecilia",), delay=0.01)
        later.revoke()
    wait_until(lambda: app.notes("shelved Camilla"))
    assert get(never) is get(later) is None
    assert app.notes("shelved Evelina") == app.notes("shelved Cecilia") == []


def test_all_calls_are_revoked_and_restored(app):
    app.shelve.revoke()
    assert app.shelve.is_revoked() is True
    result = app.shelve("Belinda")
    assert result.is_revoked() is True
    assert get(result) is None
    app.shelve.restore()
    assert app.shelve.is_revoked() is False
    assert app.notes("shelved Belinda") == []


def test_revoking_by_id(app):
    with busy(app, "by id"):
        app.shelve("Patronage", id="patronage")
        app.huey.revoke_by_id("patronage")
        assert app.huey.is_revoked("patronage")
    get(app.multiply(1, 1))
    assert app.notes("shelved Patronage") == []


# Expiry


def test_what_is_late_does_not_run(app):
    past = datetime.now(UTC) - timedelta(seconds=1)
    with busy(app, "expiry"):
        app.news("by default")
        app.news("in 5 minutes", expires=timedelta(minutes=5))
        app.news("too late", expires=0.001)
        app.news("over", expires=past)
        app.news.schedule(("later",), delay=timedelta(seconds=0.05), expires=timedelta(seconds=60))
        app.news.schedule(("never",), eta=past, expires=past + timedelta(seconds=0.5))
        time.sleep(0.01)
    wait_until(lambda: app.notes("news later"))
    assert app.notes("news") == ["news by default", "news in 5 minutes", "news later"]


# Pipelines


def test_each_stage_gets_the_value_before_it(app):
    pipeline = app.multiply.s(2, 3).then(app.multiply, 4).then(app.multiply, 5)
    results = app.huey.enqueue(pipeline)
    assert isinstance(results, ResultGroup)
    assert results.get(blocking=True, timeout=60) == [6, 24, 120]
    assert [result.get(blocking=True) for result in results] == [6, 24, 120]


def test_a_tuple_extends_the_arguments(app):
    pipeline = app.halve.s(11).then(app.halve).then(app.halve)
    assert app.huey.enqueue(pipeline)(True, 60) == [(5, 1), (2, 2), (1, 2)]


def test_a_dict_fills_in_keywords(app):
    pipeline = app.describe.s("Burney", year=1778).then(app.describe).then(app.describe, title="Cecilia")
    values = app.huey.enqueue(pipeline).get(blocking=True, timeout=60)
    assert [value["year"] for value in values] == [1779, 1780, 1781]
    assert app.notes("BURNEY") == ["BURNEY: ?, 1779", "BURNEY: Cecilia, 1780"]


def test_an_error_handler(app):
    app.huey.enqueue(app.multiply.s(None, None).error(app.shelve, shelf="errors"))
    wait_until(lambda: any(note.endswith("in errors") for note in app.notes("shelved unsupported")))


# Hooks, signals, contexts


def test_a_receiver_gets_the_exception(app):
    app.ask_again()
    wait_until(lambda: app.notes("signal error of ask_again: TaskException("))


def test_a_hook_before_a_task_cancels_it(app):
    assert get(app.shelve("Sunday")) is None
    assert app.notes("shelved Sunday") == []


def test_a_hook_after_a_task(app):
    get(app.shelve("Emma"))
    wait_until(lambda: app.notes("after shelve: None None"))


def test_a_worker_prepares_itself(app):
    assert get(app.author_of("Emma")) == "Austen"


def test_a_task_in_a_context(app):
    assert get(app.query("count")) == "count on connection"
    assert [*app.notes("opened"), *app.notes("closed")] == ["opened", "closed"]


def test_a_task_knows_itself(app):
    result = app.own_id()
    assert get(result) == result.id


# More


def test_values_of_an_application_s_own_in_the_result_store(app):
    assert [get(app.visitors()) for _ in range(3)] == [1, 2, 3]
    assert app.huey.get("visitors", peek=True) == 3
    assert app.huey.get("visitors") == 3
    assert app.huey.get("visitors") is None
    assert app.huey.put_if_empty("visitors", 0)
    assert not app.huey.put_if_empty("visitors", 1)
    assert app.huey.delete("visitors")


def test_any_function_by_its_path(app):
    assert get(app.call_by_path("math.dist", (0, 0), (3, 4))) == 5.0


def test_a_name_is_declared_once(app):
    with pytest.raises(ValueError, match="declared already"):
        app.huey.task()(app.multiply.func)
    with pytest.raises(ValueError, match="declared already"):
        app.huey.periodic_task(crontab(), name="multiply")(app.remind.func)


def test_nothing_is_left(app):
    get(app.multiply(1, 1))
    wait_until(lambda: app.huey.running_count() == 0)
    assert (len(app.huey), app.huey.pending(), app.huey.dead()) == (0, [], [])
