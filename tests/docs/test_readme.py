"""The README: its first application runs, and what it says of the consumer is what the consumer says."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from liteq.cli import consume
from liteq.workers import supervisor

from .documents import ROOT, Reader, blocks, links, table

README = ROOT / "README.md"
CONSUMER = ROOT / "docs/reference/consumer.md"

both = pytest.mark.parametrize("document", [README, CONSUMER], ids=lambda path: path.stem)


def test_the_first_application_runs(tmp_path: Path):
    reader = Reader(tmp_path)
    try:
        reader.follow(README)
    finally:
        codes = reader.stop()
    assert (codes, reader.commands) == ([0], 1), reader.log


def test_the_first_application_has_twenty_lines():
    lines = [
        line for block in blocks(README) if block.language == "python" for line in block.text.splitlines()
    ]
    assert len([line for line in lines if line.strip()]) <= 20


def test_sections_stand_in_order():
    headings = re.findall(r"^## (.*)$", README.read_text(), re.MULTILINE)
    assert headings == [
        "Two commands",
        "A first application",
        "What is promised",
        "Running a consumer",
        "Stopping it",
        "How to",
        "What is not built yet",
        "License",
    ]


def test_every_page_is_linked_to():
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")}
    assert pages - {link.resolve() for link in links(README)} == set()


def test_the_two_commands_are_in_the_makefile():
    commands = [block.text for block in blocks(README) if "make" in block.text][0]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^make (\w+)", commands, re.MULTILINE) == ["demo", "test"]
    assert {"demo", "test"} <= set(targets)
    assert "make test" in (ROOT / ".ci/run").read_text().splitlines()


def options() -> dict[tuple[str, ...], object]:
    """The consumer's options and their defaults."""
    parser = argparse.ArgumentParser()
    consume.configure(parser)
    return {
        tuple(action.option_strings): action.default
        for action in parser._actions
        if action.option_strings and action.dest != "help"
    }


@both
def test_the_table_of_options_is_that_of_the_consumer(document: Path):
    documented = {
        tuple(re.findall(r"`(.+?)`", names)): default for names, _, default in table(document, "option")
    }
    real = options()
    assert set(documented) == set(real)
    for names, default in real.items():
        if default is False:
            assert documented[names] == "", names
        elif default is not None:
            assert documented[names] == str(default), names


@both
def test_the_table_of_exit_codes_is_that_of_the_consumer(document: Path):
    documented = {int(code) for code, _ in table(document, "exit code")}
    assert documented == {value for name, value in vars(supervisor).items() if name.startswith("EXIT_")}
    assert documented == {int(code) for code in re.findall(r"^  (\d)  ", consume.EPILOG, re.MULTILINE)}


@both
def test_the_table_of_signals_has_those_that_the_consumer_names(document: Path):
    documented = " ".join(name for name, *_ in table(document, "signal"))
    assert re.findall(r"^  ([A-Z, ]+)  ", consume.EPILOG, re.MULTILINE)
    for names in re.findall(r"^  ([A-Z]+(?:, [A-Z]+)*) ", consume.EPILOG, re.MULTILINE):
        for name in names.split(", "):
            assert f"`{name}`" in documented
