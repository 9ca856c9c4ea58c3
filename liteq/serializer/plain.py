"""The values of liteq's own as values that any format has: lists, dicts, texts.

What holds one is wrapped: `{"__liteq__": value}`, so that everything else is read back without a search. In
it, a value of ours is a dict with its kind under that key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from liteq.exceptions import TaskException
from liteq.messages import SKIPPED, Error

MARK: Final = "__liteq__"

_SCALARS = frozenset({str, int, float, bool, bytes, type(None)})
_OURS = frozenset({Error, TaskException, type(SKIPPED)})


def lower(value: Any) -> Any:
    """The value; if one of ours is in it, at any depth of lists, tuples and dicts, a plain one for it."""
    return {MARK: _lowered(value)} if _holds_ours(value) else value


def lift(value: Any) -> Any:
    """What `lower` was given."""
    return _lifted(value[MARK]) if type(value) is dict and value.keys() == {MARK} else value


def _holds_ours(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        if MARK in value:
            return True  # somebody's own dict that reads like one of ours
        value = value.values()
    elif kind is not list and kind is not tuple:
        return kind in _OURS
    return any(type(item) not in _SCALARS and _holds_ours(item) for item in value)


def _lowered(value: Any) -> Any:
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(_lowered(item) for item in value)
    if kind is dict:
        items = {key: _lowered(item) for key, item in value.items()}
        return {MARK: "dict", "items": items} if MARK in value else items
    if kind is Error:
        return {MARK: "error", "metadata": _lowered(value.metadata)}
    if kind is TaskException:
        return {MARK: "exception", "args": [_lowered(item) for item in value.args]}
    return {MARK: "skipped"} if value is SKIPPED else value


def _lifted(value: Any) -> Any:
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(_lifted(item) for item in value)
    if kind is not dict:
        return value
    if MARK not in value:
        return {key: _lifted(item) for key, item in value.items()}
    read = _KINDS.get(value[MARK])
    if read is None:
        raise ValueError(f"a value of a kind that this liteq does not know: {value[MARK]!r}")
    return read(value)


_KINDS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "dict": lambda value: {key: _lifted(item) for key, item in value["items"].items()},
    "error": lambda value: Error(_lifted(value["metadata"])),
    "exception": lambda value: TaskException(*map(_lifted, value["args"])),
    "skipped": lambda _: SKIPPED,
}
