"""What a function is and takes, read from its code.

`inspect` would say it too, but costs a tenth of the time that `import liteq` may take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from liteq.options import RESERVED

_VAR_POSITIONAL = 0x04
_VAR_KEYWORD = 0x08

_COROUTINE = 0x80
_ASYNC_GENERATOR = 0x200


def is_coroutine_function(function: Any) -> bool:
    """Whether calling the function only makes a coroutine."""
    return bool(_flags(function) & _COROUTINE)


def is_async_generator(function: Any) -> bool:
    """Whether calling the function only makes an asynchronous generator."""
    return bool(_flags(function) & _ASYNC_GENERATOR)


def takes_nothing(function: Any) -> bool:
    """Whether the function, written in Python, has no parameter that could take an argument by position."""
    code = getattr(function, "__code__", None)
    return code is not None and not code.co_argcount and not code.co_flags & _VAR_POSITIONAL


def _flags(function: Any) -> int:
    return int(getattr(getattr(function, "__code__", None), "co_flags", 0))


class Parameters:
    """The parameters of a function, so that a call that does not fit is refused when it is enqueued.

    They are read once, and a look at a call takes well under a microsecond.

    What is not a function written in Python, and what takes `*args` or `**kwargs`, fits every call.

    Args:
        function: the function as it was declared, without looking behind its decorators.
        supplied: the keywords that the queue passes, whatever the caller does.

    Raises:
        TypeError: if it does not take those keywords.
    """

    __slots__ = ("_function", "_names", "_plain", "_required", "_supplied", "_unknown")

    def __init__(self, function: Callable[..., Any], supplied: Iterable[str] = ()) -> None:
        self._function = function
        self._supplied = tuple(supplied)
        self._unknown = not isinstance(function, FunctionType) or bool(
            function.__code__.co_flags & (_VAR_POSITIONAL | _VAR_KEYWORD)
        )
        if isinstance(function, FunctionType):
            code = function.__code__
            self._names = code.co_varnames[: code.co_argcount]
            self._required = len(self._names) - len(function.__defaults__ or ())
            self._plain = not (code.co_kwonlyargcount or code.co_posonlyargcount)
            if not self._unknown:
                self._check_supplied(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse arguments that the function can't take.

        Raises:
            TypeError: in Python's own words for it.
        """
        if self._unknown:
            return
        if self._supplied:
            kwargs = {**kwargs, **dict.fromkeys(self._supplied)}
        if not (self._plain and self._fit(len(args), kwargs)):
            self._bind(args, kwargs)

    def _check_supplied(self, parameters: tuple[str, ...]) -> None:
        for name in self._supplied:
            if name not in parameters:
                raise TypeError(f"{self._function.__qualname__}() must have a parameter {name!r}")

    def _fit(self, given: int, kwargs: dict[str, Any]) -> bool:
        if not kwargs:
            return self._required <= given <= len(self._names)
        by_keyword = self._names[given:]
        return all(name in by_keyword for name in kwargs) and all(
            name in kwargs for name in self._names[given : self._required]
        )

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        from inspect import signature

        try:
            signature(self._function, follow_wrapped=False).bind(*args, **kwargs)
        except TypeError as error:
            missing = [name for name in self._names[len(args) : self._required] if name in RESERVED]
            hint = "".join(f"; {name}= is the queue's own keyword: pass it by position" for name in missing)
            raise TypeError(f"{self._function.__qualname__}(): {error}{hint}") from None
