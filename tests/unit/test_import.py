"""What `import liteq` costs: the names that applications import, and nothing that is not needed for them."""

import importlib

import pytest

import liteq

from .running import python

HEAVY = (
    "psutil",
    "cloudpickle",
    "apsw",
    "redis",
    "asyncio",
    "multiprocessing",
    "ctypes",
    "concurrent",
    "sqlite3",
    "argparse",
    "zoneinfo",
    "json",
    "hmac",
    "subprocess",
)
SHOW = "import sys{}; print(*sorted(sys.modules))"


def loaded(*statements):
    """The modules that are loaded after these, and were not before."""
    code = "; ".join(statements)
    bare = set(python("-c", SHOW.format("")).split())
    return set(python("-c", SHOW.format(f"; {code}" if code else "")).split()) - bare


@pytest.fixture(scope="module")
def by_import():
    return loaded("import liteq")


@pytest.mark.parametrize("name", HEAVY)
def test_it_loads_nothing_that_only_some_need(by_import, name):
    assert sorted(module for module in by_import if module.split(".")[0] == name) == []


def test_it_loads_no_worker_and_no_command(by_import):
    assert sorted(module for module in by_import if module.startswith(("liteq.workers", "liteq.cli"))) == []


def test_making_a_queue_of_files_loads_apsw_and_declaring_tasks_no_more():
    after = loaded("import liteq", "huey = liteq.SqliteHuey(filename='/nowhere/x.db')", "huey.task()(max)")
    assert "apsw" in after
    assert after.isdisjoint({"psutil", "cloudpickle", "asyncio", "multiprocessing"})


def test_memory_needs_no_apsw():
    code = (
        "import liteq",
        "huey = liteq.MemoryHuey(immediate=True)",
        "print(huey.task()(max)(1, 2)(), file=sys.stderr)",
    )
    after = loaded(*code)
    assert "apsw" not in after
    assert "cloudpickle" not in after  # for what is no more than numbers, pickle does


def test_storing_a_task_needs_no_psutil():
    code = (
        "import liteq, tempfile",
        "huey = liteq.SqliteHuey(filename=tempfile.mkdtemp() + '/q.db')",
        "huey.task()(max)(1, 2)",
    )
    assert "psutil" not in loaded(*code)


@pytest.mark.parametrize("name", liteq.__all__)
def test_the_public_names_are_there(name):
    assert getattr(liteq, name) is not None


def test_the_public_names_are_sorted_and_told_once():
    assert sorted(set(liteq.__all__), key=lambda n: (not n.isupper(), n.islower(), n)) == liteq.__all__


@pytest.mark.parametrize(
    ("module", "names"),
    {
        "liteq": (
            "BlackHoleHuey", "CancelExecution", "Error", "FileHuey", "Huey", "MemoryHuey", "PeriodicTask",
            "RateLimitExceeded", "Result", "ResultGroup", "ResultTimeout", "RetryTask", "SKIPPED", "SqliteHuey", "Task", "TaskException",
            "TaskLockedException", "TaskTimeout", "TaskWrapper", "chord", "crontab", "group",
        ),
        "liteq.api": (
            "BlackHoleHuey", "ChordResult", "FileHuey", "Huey", "MemoryHuey", "SqliteHuey", "Result",
            "ResultGroup", "Task", "PeriodicTask", "chord", "group", "_signature",
        ),
        "liteq.exceptions": (
            "HueyException", "ConfigurationError", "TaskLockedException", "ResultTimeout", "TaskTimeout",
            "RateLimitExceeded", "CancelExecution", "RetryTask", "TaskException",
        ),
        "liteq.signals": ("Signal", "SIGNAL_ERROR", "SIGNAL_RATE_LIMITED"),
        "liteq.storage": ("BlackHoleStorage", "FileStorage", "MemoryStorage", "SqliteStorage"),
        "liteq.serializer": ("JSONSerializer", "PickleSerializer", "Serializer", "SignedSerializer"),
    }.items(),
)  # fmt: skip
def test_where_applications_import_from(module, names):
    loaded = importlib.import_module(module)
    assert [name for name in names if not hasattr(loaded, name)] == []
