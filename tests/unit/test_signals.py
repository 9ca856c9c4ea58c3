"""Signals: who is called, in which order, and what happens to one that raises."""

import logging

import pytest

from liteq import signals as s
from liteq.signals import Signal

PUBLISHED = {
    "SIGNAL_CANCELED": "canceled",
    "SIGNAL_COMPLETE": "complete",
    "SIGNAL_ERROR": "error",
    "SIGNAL_EXECUTING": "executing",
    "SIGNAL_EXPIRED": "expired",
    "SIGNAL_LOCKED": "locked",
    "SIGNAL_RETRYING": "retrying",
    "SIGNAL_REVOKED": "revoked",
    "SIGNAL_SCHEDULED": "scheduled",
    "SIGNAL_INTERRUPTED": "interrupted",
    "SIGNAL_ENQUEUED": "enqueued",
    "SIGNAL_TIMEOUT": "timeout",
    "SIGNAL_RATE_LIMITED": "rate-limited",
}


@pytest.fixture
def signal():
    return Signal()


@pytest.fixture
def calls():
    return []


def receiver(calls, name):
    def receive(signal, task, *args, **kwargs):
        calls.append((name, signal, task, *args, *kwargs.items()))

    return receive


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_names_that_applications_import(name):
    assert getattr(s, name) == PUBLISHED[name]


def test_a_receiver_gets_the_signal_and_the_task_and_the_rest(signal, calls):
    signal.connect(receiver(calls, "a"), "error")
    signal.send("error", "task", "exception", more=1)
    assert calls == [("a", "error", "task", "exception", ("more", 1))]


def test_only_the_signals_it_is_connected_to(signal, calls):
    signal.connect(receiver(calls, "a"), "error", "complete")
    for name in ("error", "complete", "executing"):
        signal.send(name, "task")
    assert [call[1] for call in calls] == ["error", "complete"]


def test_without_a_signal_it_is_called_for_any(signal, calls):
    signal.connect(receiver(calls, "a"))
    for name in PUBLISHED.values():
        signal.send(name, "task")
    assert [call[1] for call in calls] == list(PUBLISHED.values())


def test_those_of_the_signal_come_first_then_those_of_any(signal, calls):
    for name, signals in (("any 1", ()), ("error 1", ("error",)), ("any 2", ()), ("error 2", ("error",))):
        signal.connect(receiver(calls, name), *signals)
    signal.send("error", "task")
    assert [call[0] for call in calls] == ["error 1", "error 2", "any 1", "any 2"]


def test_connected_to_a_signal_and_to_any_it_is_called_for_both(signal, calls):
    both = receiver(calls, "both")
    signal.connect(both, "error")
    signal.connect(both)
    signal.send("error", "task")
    assert len(calls) == 2


def test_one_that_raises_is_logged_and_the_others_run(signal, calls, caplog):
    def broken(_signal, _task):
        raise RuntimeError("no")

    signal.connect(broken, "complete")
    signal.connect(receiver(calls, "a"), "complete")
    signal.connect(broken)
    signal.connect(receiver(calls, "b"))
    with caplog.at_level(logging.ERROR, "huey"):
        signal.send("complete", "task")
    assert [call[0] for call in calls] == ["a", "b"]
    assert len(caplog.records) == 2
    assert all("complete" in record.getMessage() and record.exc_info for record in caplog.records)


def test_disconnected_from_one_signal(signal, calls):
    a = receiver(calls, "a")
    signal.connect(a, "error", "complete")
    signal.disconnect(a, "error")
    signal.send("error", "task")
    signal.send("complete", "task")
    assert [call[1] for call in calls] == ["complete"]


def test_disconnected_from_all(signal, calls):
    a = receiver(calls, "a")
    signal.connect(a, "error")
    signal.connect(a)
    signal.disconnect(a)
    signal.send("error", "task")
    signal.send("complete", "task")
    assert calls == []


def test_disconnecting_a_stranger_is_no_error(signal, calls):
    signal.disconnect(receiver(calls, "a"))
    signal.disconnect(receiver(calls, "a"), "error")


def test_a_receiver_may_disconnect_itself_while_it_is_called(signal, calls):
    def once(name, _task):
        calls.append(name)
        signal.disconnect(once)

    signal.connect(once)
    signal.connect(receiver(calls, "a"))
    signal.send("complete", "task")
    signal.send("complete", "task")
    assert [call if isinstance(call, str) else call[0] for call in calls] == ["complete", "a", "a"]


def test_a_signal_of_an_unknown_name_reaches_those_of_any(signal, calls):
    signal.connect(receiver(calls, "a"))
    signal.send("something-new", "task")
    assert calls == [("a", "something-new", "task")]


def test_an_interrupt_is_not_swallowed(signal):
    def interrupted(_signal, _task):
        raise KeyboardInterrupt

    signal.connect(interrupted)
    with pytest.raises(KeyboardInterrupt):
        signal.send("complete", "task")
