"""Loading an application by its path: what is found, and one clear line for each way in which it is not."""

import sys
import textwrap
import threading
from pathlib import Path

import pytest

from liteq import ConfigurationError
from liteq.workers.application import BrokenApplication, load, unsafe_to_fork

from .running import PATIENCE, python


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder in which applications are written, none of which outlives the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in {"", str(tmp_path)}])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def write(folder):
    def write(name, code):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))

    return write


def refused(path, *told):
    """The one line that says why an application is refused."""
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    text = str(caught.value)
    for part in told:
        assert part in text
    assert "\n" not in text
    return text


def broken(path, *told):
    """The traceback of an application that raises."""
    with pytest.raises(BrokenApplication) as caught:
        load(path)
    text = str(caught.value)
    for part in told:
        assert part in text
    return text


APP = """
from liteq import SqliteHuey
huey = SqliteHuey(filename="queue.db")
@huey.task()
def add(a, b):
    return a + b
"""


# Found


def test_a_module_of_the_current_folder(write):
    write("app.py", APP)
    huey = load("app.huey")
    assert huey.registry.names() == ["app.add"]
    assert load("app.huey") is huey


def test_loading_opens_nothing(write, folder):
    write("app.py", APP)
    load("app.huey")
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".pyc" and path.is_file()) == [
        "app.py"
    ]


def test_a_module_of_a_package(write):
    write("pkg/__init__.py", "")
    write("pkg/sub/__init__.py", "")
    write("pkg/sub/app.py", APP)
    assert load("pkg.sub.app.huey").registry.names() == ["pkg.sub.app.add"]


def test_a_package_itself(write):
    write("pkg/__init__.py", APP)
    assert load("pkg.huey").registry.names() == ["pkg.add"]


def test_a_folder_without_init(write):
    write("space/app.py", APP)
    assert load("space.app.huey").registry.names() == ["space.app.add"]


def test_the_current_folder_comes_first(write, folder, monkeypatch):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "app.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(folder / "elsewhere")
    write("app.py", APP)
    assert load("app.huey").name == "huey"
    assert sys.path[0] == str(folder)


def test_an_application_may_import_its_neighbours(write):
    write("names.py", "NAME = 'shop'")
    write("app.py", "from names import NAME\nfrom liteq import SqliteHuey\nqueue = SqliteHuey(NAME)")
    assert load("app.queue").name == "shop"


def test_a_class_of_ones_own_is_a_queue(write):
    write(
        "app.py", "from liteq import SqliteHuey\nclass Mine(SqliteHuey): pass\nhuey = Mine(filename='q.db')"
    )
    assert type(load("app.huey")).__name__ == "Mine"


# The path is wrong


@pytest.mark.parametrize("path", ["app", "", "huey", ".huey"])
def test_a_path_names_module_and_attribute(folder, path):
    refused(path, "module.attribute", "app.huey")


@pytest.mark.parametrize("path", ["none.huey", "none.sub.huey"])
def test_no_such_module(folder, path):
    refused(path, "no module 'none'", str(folder))


def test_no_such_module_in_a_package(write):
    write("pkg/__init__.py", "")
    refused("pkg.app.huey", "no module 'pkg.app'")


def test_a_module_is_no_package(write):
    write("app.py", APP)
    refused("app.huey.huey", "no module 'app.huey'")


def test_no_such_attribute_but_others(write):
    write("app.py", APP.replace("huey =", "queue = huey ="))
    refused("app.none", "module 'app' has no 'none'", "it has huey, queue")


def test_no_such_attribute_and_no_queue_at_all(write):
    write("app.py", "x = 1")
    assert refused("app.huey", "module 'app' has no 'huey'").endswith("'huey'")


def test_the_usual_slips(write):
    write("app.py", APP)
    refused("app.py", "module 'app' has no 'py'", "it has huey")
    refused("app:huey", "module.attribute")
    refused("app.add", "TaskWrapper")
    refused("app.huey.name", "app.huey")


@pytest.mark.parametrize("path", ["./app.huey", "..app.huey", ".app.huey", "..huey"])
def test_a_relative_path_is_a_wrong_one(write, path):
    write("app.py", APP)
    refused(path)


@pytest.mark.parametrize("path", ["app..huey", "app.huey.", "a b.huey", "app/x.huey", "1.2"])
def test_other_nonsense(write, path):
    write("app.py", APP)
    refused(path)


def test_not_a_queue(write):
    write("app.py", "huey = 'a text'")
    refused("app.huey", "app.huey is not a queue but str")


def test_none_is_no_queue(write):
    write("app.py", "huey = None")
    refused("app.huey", "has no 'huey'")


def test_a_class_is_no_queue(write):
    write("app.py", "from liteq import SqliteHuey as huey")
    refused("app.huey", "not a queue")


def test_immediate_mode_needs_no_consumer(write):
    write("app.py", "from liteq import SqliteHuey\nhuey = SqliteHuey(immediate=True)")
    refused("app.huey", "immediate mode")


def test_a_consumer_cannot_serve_memory(write):
    write("app.py", "from liteq import MemoryHuey\nhuey = MemoryHuey()")
    refused("app.huey", "memory", "SqliteHuey")
    write("void.py", "from liteq import BlackHoleHuey\nhuey = BlackHoleHuey()")
    refused("void.huey", "black hole", "SqliteHuey")


# The application's own code raises


def test_an_exception_comes_with_its_traceback(write):
    write("app.py", "def start():\n    raise ValueError('no settings')\nstart()\n")
    text = broken("app.huey", "ValueError: no settings", 'app.py", line 3', 'app.py", line 2', "in start")
    assert "importlib" not in text
    assert text.startswith("Traceback (most recent call last)")
    assert text.endswith("ValueError: no settings")


def test_a_syntax_error(write):
    write("app.py", "def broken(:\n")
    broken("app.huey", "SyntaxError", "app.py", "broken(:")


def test_a_module_that_the_application_lacks(write):
    write("app.py", "import no_such_dependency")
    broken("app.huey", "No module named 'no_such_dependency'", "app.py")


def test_a_module_whose_name_begins_like_the_applications(write):
    write("app.py", "import app_settings")
    broken("app.huey", "No module named 'app_settings'")
    write("pkg/__init__.py", "")
    write("pkg/app.py", "import pkg.settings")
    broken("pkg.app.huey", "No module named 'pkg.settings'")


def test_a_package_whose_init_raises(write):
    write("pkg/__init__.py", "1 / 0")
    write("pkg/app.py", APP)
    broken("pkg.app.huey", "ZeroDivisionError", "__init__.py")


def test_an_import_of_a_name_that_is_not_there(write):
    write("app.py", "from liteq import NoSuchName")
    broken("app.huey", "ImportError", "NoSuchName")


def test_a_configuration_error_of_the_applications_own(write):
    write("app.py", "from liteq import SqliteHuey\nhuey = SqliteHuey(colour='red')")
    broken("app.huey", "ConfigurationError", "colour", "app.py")


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "raise SystemExit"])
def test_an_application_that_exits(write, code):
    write("app.py", code)
    broken("app.huey", "SystemExit")


def test_an_interrupt_is_the_users(write):
    write("app.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load("app.huey")


def test_a_broken_application_can_be_loaded_once_it_is_mended(write, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write("app.py", "1 / 0")
    broken("app.huey", "ZeroDivisionError")
    write("app.py", APP)
    assert load("app.huey").name == "huey"


def test_the_cause_is_shown_too(write):
    write(
        "app.py",
        """
        try:
            {}["key"]
        except KeyError as error:
            raise RuntimeError("no settings") from error
        """,
    )
    broken("app.huey", "KeyError: 'key'", "direct cause", "RuntimeError: no settings")


# Forks


def test_threads_that_an_import_starts_are_told():
    leave = threading.Event()
    before = unsafe_to_fork()
    thread = threading.Thread(target=leave.wait, args=(PATIENCE,), name="poller", daemon=True)
    thread.start()
    try:
        assert "poller" in unsafe_to_fork()
        assert "threads at import" in unsafe_to_fork()
    finally:
        leave.set()
        thread.join()
    assert unsafe_to_fork() == before


def test_a_process_of_one_thread_may_fork():
    code = "from liteq.workers.application import unsafe_to_fork; print(unsafe_to_fork())"
    assert python("-c", code) == "None\n"


def test_liteq_itself_starts_no_thread(tmp_path):
    script = tmp_path / "app.py"
    script.write_text(
        f"{APP}\nadd(1, 2)\nfrom liteq.workers.application import unsafe_to_fork\nprint(unsafe_to_fork())"
    )
    assert python(script, cwd=tmp_path) == "None\n"
    assert Path(tmp_path / "queue.db").exists()
