"""Pickling what consists of numbers, texts, bytes, lists, tuples, dicts and sets: by far the most calls.

For these cloudpickle writes what pickle writes, and takes several times as long: it makes a new pickler in
Python for each value.
"""

from __future__ import annotations

import io
import pickle
from threading import local
from typing import Any, NoReturn


class NotSimple(Exception):  # noqa: N818 -- a way to say no, and no error
    """The value has something else in it."""


class _Pickler(pickle.Pickler):
    """Asked about everything that is not of exactly one of those types."""

    def reducer_override(self, _: Any) -> NoReturn:
        raise NotSimple


class _Reused(local):
    """A thread's own pickler. No code but pickle's own runs while it works, so nobody else gets at it."""

    def __init__(self) -> None:
        self.file = io.BytesIO()
        self.pickler = _Pickler(self.file, pickle.HIGHEST_PROTOCOL)


_reused = _Reused()


def dumps(value: Any) -> bytes:
    """The bytes of a value, by pickle's highest protocol.

    Raises:
        NotSimple: if it has something of another type in it.
    """
    file, pickler = _reused.file, _reused.pickler
    try:
        pickler.dump(value)
        return file.getvalue()
    finally:
        pickler.clear_memo()
        file.seek(0)
        file.truncate()
