"""Markdown documents: their code blocks, tables and links, and running the blocks as a reader would."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import liteq

ROOT = Path(__file__).parents[2]
PATIENCE = 60
"""Seconds that a test waits for what must happen; far more than it takes."""

ANYTHING = "…\n"
"""Stands in a document for output that is not told."""

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(liteq.__file__).parents[1]),
    "PYTHONDONTWRITEBYTECODE": "1",
}

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)\)")


class Block(NamedTuple):
    language: str
    text: str

    @property
    def filename(self) -> str | None:
        """The name in the first line's comment."""
        found = re.match(r"# ([\w/]+\.py)\n", self.text)
        return found and found[1]


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(document: Path) -> list[Block]:
    return [Block(language, text) for language, text in _BLOCK.findall(document.read_text())]


def links(document: Path) -> list[Path]:
    """The files that it links to."""
    return [document.parent / target for target in _LINK.findall(document.read_text())]


def table(document: Path, first: str) -> list[list[str]]:
    """The rows of the table whose first heading is `first`."""
    lines = iter(document.read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            next(lines)
            return [_cells(row) for row in _while_table(lines)]
    raise AssertionError(f"{document.name} has no table of {first}")


def _while_table(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield line


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


class Reader:
    """Does what a document says, in a folder of its own: saves its files, and enters its commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands = 0
        self._consumers: list[subprocess.Popen[bytes]] = []

    def follow(self, document: Path) -> None:
        for block in blocks(document):
            if block.language == "python":
                assert block.filename, f"this block is nobody's file:\n{block.text}"
                (self.folder / block.filename).write_text(block.text)
            elif block.language == "console":
                self._enter(block)

    def _enter(self, block: Block) -> None:
        """Enter the lines after a `$`; what stands below one is its output. A consumer stays running."""
        for entry in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            line, _, expected = entry.partition("\n")
            if " consume " in line:
                self._consumers.append(self._start(line))
                continue
            done = subprocess.run(
                _arguments(line),
                check=False,
                cwd=self.folder,
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            printed = expected if expected == ANYTHING else done.stdout
            assert (printed, done.returncode) == (expected, 0), (
                f"{line}\n{done.stdout}{done.stderr}\n{self.log}"
            )
            self.commands += 1

    def _start(self, line: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                _arguments(line),
                cwd=self.folder,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def _log(self) -> Path:
        return self.folder / "consumer.log"

    @property
    def log(self) -> str:
        """What consumers have written."""
        return self._log.read_text() if self._log.exists() else ""

    def stop(self) -> list[int]:
        """Stop the consumers; their exit codes."""
        codes = []
        for consumer in self._consumers:
            consumer.send_signal(signal.SIGTERM)
            try:
                codes.append(consumer.wait(PATIENCE))
            finally:
                consumer.kill()
        return codes


def _arguments(line: str) -> list[str]:
    program, *arguments = shlex.split(line)
    return {"python": [sys.executable], "liteq": [sys.executable, "-m", "liteq"]}[program] + arguments
