"""How large what is stored may be: what lies beyond is refused in the caller, whatever the backend."""

from __future__ import annotations

import re
from typing import Any, Final

LONGEST_NAME: Final = 4_000
"""Characters of an id, a key, or the name of anything."""
LONGEST_PIPELINE: Final = 500
"""Tasks in one message: the stages of a pipeline, with their error handlers."""
LARGEST: Final = 2**63 - 1
"""Of whole numbers that are stored, such as priorities; the smallest is its negative."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def check_name(what: str, name: str) -> None:
    """Refuse a text that can't be a name.

    Raises:
        ValueError: if it is too long, or none that can be written as UTF-8.
    """
    if name.isascii() and len(name) <= LONGEST_NAME:
        return
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"{what} has {len(name):,} characters, and may have {LONGEST_NAME:,}: {name[:40]!r}… "
            "use a hash of it, say"
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} is no text that can be stored, it has a lone surrogate: {name!r}") from None


def check_line(what: str, name: Any) -> None:
    """As `check_name`, for names that people read in lists and logs: they have no control characters.

    Raises:
        ValueError: if it is not such a name.
    """
    if not isinstance(name, str):
        raise ValueError(f"{what} must be a text, not {name!r}")  # noqa: TRY004 -- one kind for all
    if name.isprintable() and name.isascii() and len(name) <= LONGEST_NAME:
        return
    check_name(what, name)
    if _CONTROL.search(name):
        raise ValueError(f"{what} must have no control characters, such as the end of a line: {name!r}")


def check_whole(what: str, number: Any, least: int = -LARGEST) -> None:
    """Refuse what is not a whole number that can be stored.

    Raises:
        ValueError: if it is not.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= LARGEST:
        from_zero = "" if least else ", zero or more"
        raise ValueError(f"{what} must be a whole number{from_zero}, of 64 bits at most, not {shown(number)}")


def checked_limit(limit: Any) -> int | None:
    """How many of a list are wanted; None for all of them.

    Raises:
        ValueError: if it is not a whole number.
    """
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise ValueError(f"limit must be a whole number, or None for all, not {limit!r}")  # noqa: TRY004 -- as above
    return None if limit < 0 else min(limit, LARGEST)


def shown(number: Any) -> str:
    """A value in an error; Python refuses to write out numbers of thousands of digits."""
    if isinstance(number, int) and abs(number) > 10**30:
        return f"one of {number.bit_length():,} bits"
    return repr(number)
