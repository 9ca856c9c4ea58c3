"""The pickler for values of the plainest kinds."""

from __future__ import annotations

import datetime as dt
import pickle
import threading
from typing import Any, NamedTuple

import cloudpickle
import pytest

from liteq.serializer import PickleSerializer, Serializer
from liteq.serializer.simple import NotSimple, dumps

SHARED: list[Any] = [1]
SIMPLE = [
    None, True, 0, -(2**70), 1.5, "text", "\udc80", b"bytes", b"x" * 100_000, (), (1, (2, "3")), [1, [2]],
    {"a": {1: 2}}, {1, 2}, frozenset({"a"}), [SHARED, SHARED],
]  # fmt: skip


class Text(str):
    __slots__ = ()


class Point(NamedTuple):
    x: int
    y: int


OTHERS = [Text("a"), Point(1, 2), lambda: 1, len, Text, dt.date(2026, 1, 1), ValueError("no"), 1j]


@pytest.mark.parametrize("value", SIMPLE, ids=range(len(SIMPLE)))
def test_it_writes_what_cloudpickle_writes(value: Any):
    assert dumps(value) == cloudpickle.dumps(value, pickle.HIGHEST_PROTOCOL)


@pytest.mark.parametrize("value", OTHERS, ids=[type(value).__name__ for value in OTHERS])
def test_what_it_does_not_take(value: Any):
    for holder in (value, [value], {"a": (1, value)}):
        with pytest.raises(NotSimple):
            dumps(holder)
        assert pickle.loads(dumps([1, 2])) == [1, 2]


@pytest.mark.parametrize("value", OTHERS, ids=[type(value).__name__ for value in OTHERS])
def test_a_serializer_takes_it_all_the_same(value: Any):
    serializer = Serializer()
    again = serializer.deserialize(serializer.serialize([value]))[0]
    assert repr(again) == repr(value) or callable(again)


def test_values_do_not_share_what_was_written_before():
    assert pickle.loads(dumps((SHARED, SHARED))) == pickle.loads(dumps((SHARED, SHARED))) == ([1], [1])


def test_a_list_that_holds_itself():
    value: list[Any] = []
    value.append(value)
    again = pickle.loads(dumps(value))
    assert again[0] is again


def test_threads_do_not_disturb_each_other():
    wrong = []

    def work(number: int) -> None:
        value = [number] * 500
        wrong.extend(1 for _ in range(300) if pickle.loads(dumps(value)) != value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_another_protocol_is_kept():
    assert Serializer(pickle_protocol=2).serialize([1]) == PickleSerializer(pickle_protocol=2).serialize([1])
