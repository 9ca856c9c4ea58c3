"""liteq restore: put a backup in the place of a queue's file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from liteq.cli.target import HELP as TARGET
from liteq.cli.target import file_of
from liteq.exceptions import StorageError

HELP = "put a backup in the place of a queue's file"

EPILOG = """\
exit codes:
  0  the backup is in place
  1  the file is as it was; the reason is printed
  2  wrong usage
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Put a backup in the place of a queue's file, and keep what was there. Stop the consumers first."
    )
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", metavar="FILE", help=TARGET)
    parser.add_argument("backup", metavar="BACKUP", help="a copy that `liteq backup` made")


def run(arguments: argparse.Namespace) -> int:
    """Restore; 1 if that is refused or fails."""
    from liteq.storage.sqlite.restore import restore

    path = file_of(arguments.file)
    try:
        restored = restore(path, arguments.backup)
    except StorageError as error:
        sys.stderr.write(f"liteq: {error}\n")
        return 1
    kept = f"; what was there is {_shown(restored.kept)}" if restored.kept else ""
    sys.stdout.write(f"{path}: restored from {arguments.backup}{kept}\n")
    return 0


def _shown(path: str) -> Path:
    return Path(path).relative_to(Path.cwd()) if Path(path).is_relative_to(Path.cwd()) else Path(path)
