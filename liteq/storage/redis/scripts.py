"""The one program that runs on the server: all verbs, assembled from the files in `lua`."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_FILES: Final = (
    "base",
    "messages",
    "results",
    "lines",
    "claims",
    "records",
    "locks",
    "settle",
    "inspection",
    "limits",
    "consumers",
    "main",
)
"""Each uses what stands before it."""


class Program(NamedTuple):
    """A text that the server runs, and the digest by which it knows it."""

    text: bytes
    digest: bytes


@cache
def program() -> Program:
    """The program, read once."""
    folder = Path(__file__).with_name("lua")
    text = b"\n".join((folder / f"{name}.lua").read_bytes() for name in _FILES)
    return Program(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())
