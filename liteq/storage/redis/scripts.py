"""The programs that run on the server: of the files in `lua`, those that the verbs of a call need.

A server makes all functions of a program anew for each call, so a program has no more of them than it needs.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).with_name("lua")
_USES = re.compile(r"^-- Uses: (.+)$", re.MULTILINE)
_VERB = re.compile(r"^function (?:read|write)\.(\w+)", re.MULTILINE)


class Program(NamedTuple):
    """A text that the server runs, and the digest by which it knows it."""

    text: bytes
    digest: bytes


@cache
def program(verbs: frozenset[str]) -> Program:
    """The program that has these verbs.

    Raises:
        KeyError: if there is none of such a name.
    """
    chosen: dict[str, None] = {}
    for name in ("base", *sorted(_files_by_verb()[verb] for verb in verbs)):
        _choose(name, chosen)
    text = "\n".join(_text(name) for name in (*chosen, "main")).encode()
    return Program(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())


def _choose(name: str, chosen: dict[str, None]) -> None:
    """Add a file to those that are chosen, behind all that it uses."""
    for used in _USES.findall(_text(name)):
        for other in used.split():
            _choose(other, chosen)
    chosen.setdefault(name)


@cache
def _text(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


@cache
def _files_by_verb() -> dict[str, str]:
    names = (path.stem for path in sorted(_FOLDER.glob("*.lua")))
    return {verb: name for name in names for verb in _VERB.findall(_text(name))}
