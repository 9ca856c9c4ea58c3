"""The guide's immediate mode and its advice for tests, as an application's own test case has them."""
# ruff: noqa: PT009, PT027 -- it shows how an application with a TestCase tests itself

from __future__ import annotations

import re
import unittest
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from liteq import CancelExecution, Huey, RetryTask, SqliteHuey, TaskException, crontab
from liteq.signals import SIGNAL_COMPLETE, SIGNAL_ERROR


@pytest.fixture
def huey(tmp_path: Path) -> Iterator[Huey]:
    huey = SqliteHuey("kitchen", filename=tmp_path / "kitchen.db", immediate=True)
    yield huey
    huey.storage.close()


@pytest.fixture
def cook(huey: Huey) -> Any:
    @huey.task()
    def cook(dish, portions=1):
        return f"{portions} {dish}"

    return cook


def test_a_call_runs_at_once(huey, cook, tmp_path):
    assert cook("soup")() == "1 soup"
    assert cook("soup", portions=2).get(blocking=True) == "2 soup"
    assert huey.enqueue(cook.s("stew"))() == "1 stew"
    assert list(tmp_path.iterdir()) == []  # the real storage is left alone


def test_a_queue_by_another_mode(tmp_path):
    huey = SqliteHuey(filename=tmp_path / "real.db", immediate_use_memory=False)
    huey.immediate = True
    cook = huey.task()(lambda dish: dish)
    assert cook("soup")() == "soup"
    assert (tmp_path / "real.db").exists()
    huey.immediate = False
    result = cook("stew")
    assert result() is None
    assert len(huey) == 1
    huey.storage.close()


def test_calls_can_be_revoked(cook):
    cook.revoke(revoke_once=True)
    assert cook("soup")() is None
    assert cook("stew")() == "1 stew"


def test_what_is_for_later_is_scheduled_and_stays_there(huey, cook):
    result = cook.schedule(("roast",), delay=60)
    assert result() is None
    (task,) = huey.scheduled()
    assert re.fullmatch(rf".*\.cook: {result.id} @\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", repr(task))
    assert not huey.ready_to_run(task)
    assert huey.ready_to_run(task, datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=2))


def test_pipelines_retries_and_handlers_run_too(huey):
    seen = []

    @huey.task(retries=3)
    def taste(dish):
        seen.append(dish)
        if len(seen) == 1:
            raise RetryTask
        if len(seen) == 2:
            raise CancelExecution
        if len(seen) == 3:
            raise ValueError("too salty")
        return (dish, "tasted")

    @huey.task()
    def serve(dish, state, to):
        return f"{dish} {state} for {to}"

    huey.signal(SIGNAL_ERROR)(lambda signal, task, exc: seen.append(exc))
    huey.signal(SIGNAL_COMPLETE)(lambda signal, task: seen.append(task.name))
    assert huey.enqueue(taste.s("soup").then(serve, to="table 4"))() == [
        ("soup", "tasted"),
        "soup tasted for table 4",
    ]
    assert [str(entry) for entry in seen] == ["soup", "soup", "soup", "too salty", "soup", "taste", "serve"]


class KitchenTests(unittest.TestCase):
    """As the guide advises to write them."""

    orders: ClassVar[list[str]] = []

    def setUp(self) -> None:
        self.huey = SqliteHuey("tested", filename="/nowhere/tested.db")
        self.huey.immediate = True

        @self.huey.task()
        def divide(cake, guests):
            return cake / guests

        @self.huey.periodic_task(crontab(hour="6"))
        def order():
            self.orders.append("flour")
            return len(self.orders)

        self.divide, self.order = divide, order

    def tearDown(self) -> None:
        self.huey.immediate = False
        self.orders.clear()

    def test_a_value(self):
        self.assertEqual(self.divide(12, 4).get(), 3)
        self.assertEqual(self.divide.call_local(12, 4), 3)

    def test_an_exception(self):
        result = self.divide(12, 0)
        with self.assertRaises(TaskException) as caught:
            result.get()
        self.assertIn("ZeroDivisionError", caught.exception.metadata["error"])
        with self.assertRaises(ZeroDivisionError):
            self.divide.call_local(12, 0)

    def test_a_periodic_task(self):
        self.assertEqual(self.order.call_local(), 1)
        self.assertIsNone(self.order().get())
        self.assertEqual(len(self.orders), 2)
