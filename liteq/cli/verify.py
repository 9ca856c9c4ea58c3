"""liteq verify: check that a queue's file or folder is whole."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from liteq.cli.target import HELP_WITH_FOLDERS as TARGET
from liteq.cli.target import file_of, folders_of
from liteq.exceptions import StorageError

HELP = "check that a queue's file or folder is whole"

EPILOG = """\
exit codes:
  0  the file or folder is whole
  1  it is not; what is wrong is printed
  2  wrong usage
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Check the structures of the database, or the files of the folder, and that every task has one state."
    )
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", metavar="FILE", help=TARGET)


def run(arguments: argparse.Namespace) -> int:
    """Print what the file holds, or what is wrong with it; 1 in that case."""
    from liteq.storage.sqlite.verify import verify

    try:
        folders = folders_of(arguments.file)
        if folders:
            from liteq.storage.file.existing import verify as verify_folder

            return max([_tell(str(folder), verify_folder(folder)) for folder in folders])
        path = file_of(arguments.file)
        return _tell(path, verify(path))
    except StorageError as error:
        sys.stdout.write(f"{error}\n")
        return 1


def _tell(path: str, found: Any) -> int:
    for problem in found.problems:
        sys.stdout.write(f"{path}: {problem}\n")
    if not found.problems:
        states = [f"{number} {name}" for name, number in found.named_states().items() if number]
        tasks = ", ".join(states) or "none"
        sys.stdout.write(f"{path}: whole; tasks: {tasks}; results: {found.results}\n")
    return 1 if found.problems else 0
