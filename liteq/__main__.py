"""python -m liteq, and the console script liteq."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from liteq import __version__
from liteq.cli import backup, consume, events, restore, status, verify
from liteq.exceptions import ConfigurationError

_COMMANDS: dict[str, Any] = {
    "consume": consume,
    "status": status,
    "events": events,
    "backup": backup,
    "restore": restore,
    "verify": verify,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code. Wrong usage is one line on standard error, and 2."""
    parser = argparse.ArgumentParser(prog="liteq", description="A task queue that needs no server.")
    parser.add_argument("--version", action="version", version=f"liteq {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in _COMMANDS.items():
        module.configure(commands.add_parser(name, help=module.HELP))
    arguments = parser.parse_args(argv)
    try:
        code: int = _COMMANDS[arguments.command].run(arguments)
    except ConfigurationError as error:
        sys.stderr.write(f"liteq: {error}\n")
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
