"""Load an application by its import path, and say clearly why it can't be."""

from __future__ import annotations

import importlib
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from liteq.api import Huey
from liteq.exceptions import ConfigurationError


class BrokenApplication(Exception):  # noqa: N818 -- it is the application that is broken
    """The application's own code raised while it was imported; the text is its traceback."""


def load(path: str) -> Huey:
    """The queue at `package.module.name`, found from the current directory first.

    Raises:
        ConfigurationError: in one line, if the path is wrong.
        BrokenApplication: if the module raised.
    """
    module_name, _, attribute = path.rpartition(".")
    if not all(path.split(".")[:-1]) or not module_name:
        raise ConfigurationError(
            f"{path!r} is not the path of a queue: name it as module.attribute, like app.huey"
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module = _import(module_name)
    found: Any = getattr(module, attribute, None)
    if found is None:
        names = sorted(name for name, value in vars(module).items() if isinstance(value, Huey))
        hint = f"; it has {', '.join(names)}" if names else ""
        raise ConfigurationError(f"module {module_name!r} has no {attribute!r}{hint}")
    if not isinstance(found, Huey):
        raise ConfigurationError(f"{path} is not a queue but {type(found).__name__}")
    if found.immediate:
        raise ConfigurationError(
            f"{path} is in immediate mode: its tasks run in the caller, not in a consumer"
        )
    if not found.storage.capabilities.shared:
        raise ConfigurationError(
            f"{path} is a {found.storage.describe()}; a consumer needs one that other processes see, "
            "as SqliteHuey is"
        )
    return found


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            where = f"in {Path.cwd()} or on the Python path"
            raise ConfigurationError(f"no module {missing!r} {where}") from error
        raise BrokenApplication(_traceback_of(error)) from error
    except KeyboardInterrupt:
        raise
    except ConfigurationError as error:
        raise BrokenApplication(_places_of(error)) from error
    except BaseException as error:
        raise BrokenApplication(_traceback_of(error)) from error


def _places_of(error: ConfigurationError) -> str:
    """Where the application has made a mistake, without its lines, which may have passwords in them."""
    package = str(Path(__file__).parents[1])
    frames = [
        f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        for frame in traceback.extract_tb(error.__traceback__)
        if not ("importlib" in frame.filename or frame.filename.startswith(package))
    ]
    return "\n".join(["Traceback (most recent call last):", *frames, f"{type(error).__name__}: {error}"])


def _traceback_of(error: BaseException) -> str:
    """The traceback without the frames of the import machinery."""
    lines = traceback.TracebackException.from_exception(error)
    lines.stack = traceback.StackSummary.from_list(
        [frame for frame in lines.stack if "importlib" not in frame.filename and frame.filename != __file__]
    )
    return "".join(lines.format()).rstrip()


def unsafe_to_fork() -> str | None:
    """Why processes must not be forked from this one, if so."""
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    return f"it started threads at import ({', '.join(threads)})" if threads else None
