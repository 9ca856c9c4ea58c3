"""One suite over the storage contract (`liteq.storage.base`), which every backend passes, also one of your own.

A test module of yours takes all of it, and says how to make a handle:

    from liteq.testing.conformance import *

    @pytest.fixture
    def make_storage(tmp_path):
        return lambda name: MyStorage(name, tmp_path / "queues")

`make_storage(name)` gives a handle on the queue of that name, empty at first. Called twice with one name within
a test it gives, where the capabilities of the backend say `shared`, two handles on the same queue, as two
processes would have them. The suite closes them. Tests about other connections and about rollback run only
where `shared` and `durable` promise them, those with priorities where there are any. A fixture `many` may say
with how many messages the longest tests work, see `fixtures`. With a fixture that has `params`, it runs for
several backends.
"""

from __future__ import annotations

from importlib import import_module

import pytest

_MODULES = (
    "chords",
    "claims",
    "concurrency",
    "connections",
    "consumers",
    "endings",
    "events",
    "expiry",
    "lifecycle",
    "limits",
    "locks",
    "pauses",
    "periodic",
    "queue",
    "records",
    "results",
    "revocations",
    "state_machine",
    "turns",
)
_FIXTURES = (
    "change",
    "listen",
    "many",
    "neighbour",
    "open_queue",
    "owner",
    "second",
    "source",
    "storage",
    "stranger",
)

# Before they are loaded, so that failures show what was compared.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))


def _gather() -> dict[str, object]:
    """The fixtures and the tests, by name."""
    fixtures = import_module(f"{__name__}.fixtures")
    gathered: dict[str, object] = {name: getattr(fixtures, name) for name in _FIXTURES}
    for module in _MODULES:
        for name, value in vars(import_module(f"{__name__}.{module}")).items():
            if name.startswith("test_"):
                if name in gathered:
                    raise ImportError(f"two tests of the suite are called {name}: one would hide the other")
                gathered[name] = value
    return gathered


_gathered = _gather()
globals().update(_gathered)

__all__ = list(_gathered)  # noqa: PLE0605 -- a list it is
