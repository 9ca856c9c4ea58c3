"""The options of a consumer."""

import math
import sys
from dataclasses import FrozenInstanceError, fields

import pytest

from liteq import ConfigurationError
from liteq.workers import options
from liteq.workers.options import ConsumerOptions


def test_the_defaults():
    options = ConsumerOptions()
    assert (options.workers, options.worker_type, options.periodic) == (1, "process", True)
    assert (options.max_tasks, options.shutdown_timeout, options.graceful_signal) == (None, None, None)
    assert options.restart_workers is True
    assert options.max_crashes == 3
    assert (options.backoff, options.health_check_interval, options.scheduler_interval) == (1.15, 10, 1)


def test_they_do_not_change():
    with pytest.raises(FrozenInstanceError):
        ConsumerOptions().workers = 2


RIGHT = {
    "workers": (1, 2, 1000),
    "periodic": (True, False),
    "max_tasks": (None, 1, 10_000),
    "max_memory": (None, 1 << 20, 1 << 40),
    "max_age": (None, 0.5, 86_400),
    "warn_after": (0, 0.5, 600),
    "start_timeout": (0.1, 60),
    "shutdown_timeout": (None, 0, 0.5, 60),
    "graceful_signal": (None, "INT", "TERM"),
    "restart_workers": (True, False),
    "health_check_interval": (0.1, 10),
    "delay": (None, 0.001, 1),
    "max_delay": (None, 0.001, 10),
    "backoff": (1, 1.15, 5),
    "scheduler_interval": (0.1, 1, 60),
    "max_crashes": (1, 3),
    "flush_locks": (True, False),
    "extra_locks": ((), ("one",), ("one", "two")),
    "kill_after": (0.1, 5),
    "timeout_grace": (0.1, 5),
    "lease": (1, 60),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in RIGHT for value in RIGHT[name]])
def test_values_that_work(name, value):
    assert getattr(ConsumerOptions(**{name: value}), name) == value


WRONG = {
    "workers": (0, -1, 1.5, "2", None),
    "worker_type": ("fork", "", None, "Process"),
    "max_tasks": (0, -1, 1.5, "2"),
    "max_memory": (0, 512, -1, 1e9, "512M", True),
    "max_age": (0, -1, "1", math.nan),
    "warn_after": (-1, None, "1", math.nan),
    "start_timeout": (0, -1, None, "1", math.nan),
    "shutdown_timeout": (-1, -0.1, "1", math.nan),
    "graceful_signal": ("HUP", "SIGINT", "int", 15, ""),
    "health_check_interval": (0, -1, "1"),
    "delay": (0, -1, "1", math.nan),
    "max_delay": (0, -1, "1"),
    "backoff": (0, 0.99, -1, "2", math.nan),
    "scheduler_interval": (0, -1),
    "max_crashes": (0, -1, 1.5, "3"),
    "extra_locks": ("one,two", None, ("",)),
    "kill_after": (-1, "5", math.nan),
    "timeout_grace": (0, "5", math.nan),
    "lease": (0, -1, "60"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_values_that_cannot_work_are_refused_by_name(name, value):
    with pytest.raises(ConfigurationError) as caught:
        ConsumerOptions(**{name: value})
    told = str(caught.value).replace("-", " ").replace("_", " ")
    assert name.replace("_", " ") in told
    assert "\n" not in told


@pytest.mark.parametrize("worker_type", ["process", "thread", "greenlet"])
def test_threads_and_greenlets_share_one_process(worker_type):
    chosen = ConsumerOptions(workers=8, worker_type=worker_type)
    assert chosen.processes == (8 if worker_type == "process" else 1)
    assert chosen.processes * chosen.per_process == 8


def test_greenlets_need_gevent(monkeypatch):
    monkeypatch.setattr(options, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"needs gevent: pip install 'liteq\[gevent\]'"):
        ConsumerOptions(worker_type="greenlet")
    ConsumerOptions(worker_type="thread")


def test_every_option_is_covered():
    names = {field.name for field in fields(ConsumerOptions)}
    assert names - {"worker_type"} == set(RIGHT)
    assert names - {"periodic", "restart_workers", "flush_locks"} == set(WRONG)


def test_elsewhere_than_on_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigurationError, match="Linux"):
        ConsumerOptions()
