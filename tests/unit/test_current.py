"""Code can ask which task it is part of."""

from __future__ import annotations

from liteq import MemoryHuey
from liteq.current import current_task


def test_a_task_finds_itself_and_its_claim():
    huey = MemoryHuey()
    seen = []

    @huey.task()
    def look():
        seen.append(current_task())

    look()
    task = huey.dequeue()
    huey.execute(task)
    assert seen == [task]
    assert seen[0].claim.attempt == 1
    assert current_task() is None


def test_a_task_inside_a_task_in_immediate_mode():
    huey = MemoryHuey(immediate=True)
    seen = []

    @huey.task()
    def inner():
        seen.append(current_task().name)

    @huey.task()
    def outer():
        inner()
        seen.append(current_task().name)

    outer()
    assert seen == ["inner", "outer"]


def test_it_is_forgotten_when_the_task_fails():
    huey = MemoryHuey(immediate=True)

    @huey.task()
    def fail():
        raise ValueError

    fail()
    assert current_task() is None
