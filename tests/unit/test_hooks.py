"""Hooks: names, order, and what happens to one that raises."""

import logging

import pytest

from liteq.exceptions import CancelExecution
from liteq.hooks import HookList, Hooks


@pytest.fixture
def hooks():
    return HookList("on-startup")


def test_they_run_in_the_order_of_their_registration(hooks):
    calls = []
    for name in "bac":
        hooks.register(name, lambda *args, name=name: calls.append((name, args)))
    hooks.run(1, 2)
    assert calls == [("b", (1, 2)), ("a", (1, 2)), ("c", (1, 2))]


def test_the_name_is_that_of_the_function_unless_one_is_given(hooks):
    def hook():
        raise AssertionError

    hooks.register(None, hook)
    assert not hooks.unregister("other")
    assert hooks.unregister("hook")
    hooks.register("other", hook)
    assert not hooks.unregister("hook")
    assert hooks.unregister("other")
    hooks.run()


def test_one_is_unregistered_by_itself(hooks):
    def hook():
        raise AssertionError

    hooks.register(None, hook)
    assert hooks.unregister(hook)
    assert not hooks.unregister(hook)


def test_one_of_another_name_is_unregistered_by_itself_too(hooks):
    def hook():
        raise AssertionError

    hooks.register("other", hook)
    assert hooks.unregister(hook)
    assert not hooks


def test_unregistering_nothing(hooks):
    assert not hooks.unregister(None)
    assert not hooks.unregister("none")


def test_one_of_the_same_name_takes_the_place_of_the_other(hooks):
    calls = []
    hooks.register("a", lambda: calls.append(1))
    hooks.register("b", lambda: calls.append(2))
    hooks.register("a", lambda: calls.append(3))
    hooks.run()
    assert calls == [3, 2]


def test_a_callable_object_needs_no_name(hooks):
    class Hook:
        def __call__(self):
            calls.append(1)

    calls, hook = [], Hook()
    hooks.register(None, hook)
    hooks.run()
    assert calls == [1]
    assert hooks.unregister(hook)


def test_whether_there_are_any(hooks):
    assert not hooks
    hooks.register("a", print)
    assert hooks


def test_one_that_raises_is_logged_and_the_others_run(hooks, caplog):
    def broken(_task):
        raise RuntimeError("no")

    calls = []
    hooks.register(None, broken)
    hooks.register("good", calls.append)
    with caplog.at_level(logging.ERROR, "huey"):
        hooks.run("task")
    assert calls == ["task"]
    (record,) = caplog.records
    assert "broken" in record.getMessage()
    assert "on-startup" in record.getMessage()
    assert record.exc_info is not None


def test_cancel_execution_ends_the_round_before_a_task(caplog):
    def cancel(_task):
        raise CancelExecution

    calls, hooks = [], Hooks().pre_execute
    hooks.register("first", calls.append)
    hooks.register(None, cancel)
    hooks.register("last", calls.append)
    with caplog.at_level(logging.WARNING, "huey"), pytest.raises(CancelExecution):
        hooks.run("task")
    assert calls == ["task"]
    assert "cancel" in caplog.text


@pytest.mark.parametrize("kind", ["post_execute", "startup", "shutdown"])
def test_cancel_execution_has_no_meaning_elsewhere(kind, caplog):
    def cancel(*_args):
        raise CancelExecution

    calls = []
    hooks = getattr(Hooks(), kind)
    hooks.register(None, cancel)
    hooks.register("last", lambda *args: calls.append(args))
    with caplog.at_level(logging.ERROR, "huey"):
        hooks.run("task", "value", None)
    assert calls == [("task", "value", None)]
    assert "cancel" in caplog.text


def test_an_interrupt_is_not_swallowed(hooks):
    def interrupted():
        raise KeyboardInterrupt

    hooks.register(None, interrupted)
    with pytest.raises(KeyboardInterrupt):
        hooks.run()


def test_the_four_kinds_are_apart():
    hooks = Hooks()
    hooks.startup.register("a", print)
    assert hooks.startup
    assert not hooks.shutdown
    assert not hooks.pre_execute
    assert not hooks.post_execute
