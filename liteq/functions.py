"""Whether the arguments of a call fit the function: asked when it is enqueued, not when it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from liteq.options import RESERVED

_VARIABLE = 0x04 | 0x08
"""The flags of a code object that takes `*args` or `**kwargs`."""


class Parameters:
    """The parameters of a function, read once, so that a look at a call takes well under a microsecond.

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
        self._unknown = not isinstance(function, FunctionType) or bool(function.__code__.co_flags & _VARIABLE)
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
        from inspect import signature  # it takes a tenth of the time that `import liteq` may take

        try:
            signature(self._function, follow_wrapped=False).bind(*args, **kwargs)
        except TypeError as error:
            missing = [name for name in self._names[len(args) : self._required] if name in RESERVED]
            hint = "".join(f"; {name}= is the queue's own keyword: pass it by position" for name in missing)
            raise TypeError(f"{self._function.__qualname__}(): {error}{hint}") from None
