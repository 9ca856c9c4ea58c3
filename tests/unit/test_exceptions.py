"""The exceptions that applications raise and catch: what they carry, and that they travel."""

import copy
import pickle

import cloudpickle
import pytest

from liteq import exceptions as e

EXAMPLES = {
    "RateLimitExceeded": lambda: e.RateLimitExceeded("key", 2.5, retry=False),
    "CancelExecution": lambda: e.CancelExecution("no", retry=True),
    "CancelExecution()": e.CancelExecution,
    "RetryTask": lambda: e.RetryTask("again", delay=5),
    "RetryTask()": e.RetryTask,
    "TaskException": lambda: e.TaskException({"error": "no", "task_id": "1"}),
    "TaskTimeout": lambda: e.TaskTimeout("too long"),
    "TaskLockedException": lambda: e.TaskLockedException("taken"),
    "StorageError": lambda: e.StorageError("queue.db: broken"),
    "ForeignFile": lambda: e.ForeignFile("queue.db: not ours"),
}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_they_travel_with_all_that_they_carry(name, module):
    exception = EXAMPLES[name]()
    for back in (module.loads(module.dumps(exception)), copy.copy(exception)):
        assert type(back) is type(exception)
        assert back.args == exception.args
        assert vars(back) == vars(exception)
        assert str(back) == str(exception)


def test_the_queue_s_own_have_one_base_and_those_of_tasks_have_another():
    own = ("ConfigurationError", "TaskLockedException", "ResultTimeout", "TaskTimeout", "RateLimitExceeded")
    for name in (*own, "UnknownTask", "StorageError", "StorageBusy", "StorageFull", "ForeignFile"):
        assert issubclass(getattr(e, name), e.HueyException)
    for name in ("CancelExecution", "RetryTask", "TaskException"):
        assert issubclass(getattr(e, name), Exception)
        assert not issubclass(getattr(e, name), e.HueyException)


def test_a_file_that_is_not_ours_is_a_matter_of_storage_and_of_configuration():
    assert issubclass(e.ForeignFile, e.StorageError)
    assert issubclass(e.ForeignFile, e.ConfigurationError)


def test_an_interruption_is_not_caught_by_a_task_that_catches_every_exception():
    assert not issubclass(e.TaskInterrupted, Exception)


def test_rate_limit_exceeded():
    exception = e.RateLimitExceeded("mail", 5)
    assert (exception.key, exception.delay, exception.retry) == ("mail", 5, True)
    assert str(exception) == 'Rate limit exceeded on "mail", retry in 5.0s'
    assert str(e.RateLimitExceeded("mail", 5, retry=False)) == 'Rate limit exceeded on "mail"'


def test_cancel_execution():
    assert (e.CancelExecution().retry, e.CancelExecution().args) == (None, ())
    assert (e.CancelExecution("no").args, e.CancelExecution(retry=False).retry) == (("no",), False)
    assert str(e.CancelExecution("no")) == "no"


def test_retry_task():
    exception = e.RetryTask("again", 1, 2, "more")
    assert (exception.eta, exception.delay) == (1, 2)
    assert exception.args == ("again", "more")
    assert (e.RetryTask().eta, e.RetryTask().delay) == (None, None)


def test_task_exception():
    assert e.TaskException({"error": "no"}).metadata == {"error": "no"}
    assert str(e.TaskException({"error": "no"})) == "no"
    assert str(e.TaskException()) == "unknown error"
    assert e.TaskException().metadata == {}
