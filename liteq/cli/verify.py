"""liteq verify: check that a queue's file is whole."""

from __future__ import annotations

import argparse
import sys

from liteq.cli.target import HELP as TARGET
from liteq.cli.target import file_of
from liteq.exceptions import StorageError

HELP = "check that a queue's file is whole"

EPILOG = """\
exit codes:
  0  the file is whole
  1  it is not; what is wrong is printed
  2  wrong usage
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = "Check the structures of the database, and that every task is in one state."
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", metavar="FILE", help=TARGET)


def run(arguments: argparse.Namespace) -> int:
    """Print what the file holds, or what is wrong with it; 1 in that case."""
    from liteq.storage.sqlite.verify import verify

    path = file_of(arguments.file)
    try:
        found = verify(path)
    except StorageError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    for problem in found.problems:
        sys.stdout.write(f"{path}: {problem}\n")
    if not found.problems:
        states = [f"{number} {name}" for name, number in found.named_states().items() if number]
        tasks = ", ".join(states) or "none"
        sys.stdout.write(f"{path}: whole; tasks: {tasks}; results: {found.results}\n")
    return 1 if found.problems else 0
