"""liteq backup: copy a queue's file while it is in use."""

from __future__ import annotations

import argparse
import sys

from liteq.cli.target import HELP as TARGET
from liteq.cli.target import file_of
from liteq.exceptions import StorageError

HELP = "copy a queue's file while it is in use"

EPILOG = """\
exit codes:
  0  the copy is there, and whole
  1  there is no copy; the reason is printed
  2  wrong usage
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Copy a queue's file as it is at one moment. Consumers and producers go on meanwhile."
    )
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", metavar="FILE", help=TARGET)
    parser.add_argument("destination", metavar="DEST", help="the copy; it must not exist yet")


def run(arguments: argparse.Namespace) -> int:
    """Make the copy; 1 if it can't be made."""
    from liteq.storage.sqlite.copies import backup

    try:
        backup(file_of(arguments.file), arguments.destination)
    except StorageError as error:
        sys.stderr.write(f"liteq: {error}\n")
        return 1
    sys.stdout.write(f"{arguments.destination}: written and checked\n")
    return 0
