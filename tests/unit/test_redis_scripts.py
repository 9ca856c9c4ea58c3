"""The programs that run on the server: each has what it needs, and no more of it than that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import liteq
from liteq.storage.redis import scripts

FOLDER = Path(liteq.__file__).parent / "storage" / "redis"
FILES = sorted(path.stem for path in (FOLDER / "lua").glob("*.lua"))
VERBS = sorted(scripts._files_by_verb())
_NAME = re.compile(r"^local function (\w+)", re.MULTILINE)


def code(name: str) -> str:
    """A file without its comments and texts."""
    text = (FOLDER / "lua" / f"{name}.lua").read_text()
    return re.sub(r"'[^']*'", "''", re.sub(r"--.*", "", text))


DEFINED = {function: name for name in FILES for function in _NAME.findall(code(name))}


def test_no_function_has_the_name_of_another():
    every = [function for name in FILES for function in _NAME.findall(code(name))]
    assert sorted(set(every)) == sorted(every)


@pytest.mark.parametrize("name", FILES)
def test_a_file_names_those_that_it_uses(name):
    chosen: dict[str, None] = {"base": None}
    scripts._choose(name, chosen)
    words = set(re.findall(r"(?<![.\w])(\w+)(?=\()", code(name)))
    missing = {word: DEFINED[word] for word in words & DEFINED.keys() if DEFINED[word] not in chosen}
    assert missing == {}


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_what_it_is_about_and_is_short(name):
    text = (FOLDER / "lua" / f"{name}.lua").read_text()
    assert text.startswith("-- ")
    assert len(text.splitlines()) <= 200
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", FILES)
def test_each_verb_says_what_it_does(name):
    text = (FOLDER / "lua" / f"{name}.lua").read_text()
    verbs = re.findall(r"^function (?:read|write)\.(\w+)", text, re.MULTILINE)
    told = re.findall(r"^-- (\w+): .*\n(?:--.*\n)*function (?:read|write)\.\1\(", text, re.MULTILINE)
    assert told == verbs


@pytest.mark.parametrize("verb", VERBS)
def test_a_program_knows_its_verb(verb):
    text = scripts.program(frozenset([verb])).text.decode()
    assert re.search(rf"^function (read|write)\.{verb}\(", text, re.MULTILINE)
    assert text.count("-- What all verbs use") == 1


def test_each_verb_is_called_and_each_call_has_its_verb():
    sources = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    called = set(re.findall(r'(?:_call|_store|verb)\(\s*"(\w+)"', sources))
    called |= {"turn", "take"}  # one of the two, by a condition
    assert called == set(VERBS)


def test_they_are_parts_of_the_package():
    """The wheel has all files of the folder; this is where they are looked for."""
    assert {"base", "main", "turn"} <= set(FILES)
