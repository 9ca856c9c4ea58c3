"""Break a queue while it works, and check that it keeps its promises.

    python stress/run.py [hazard …] --seconds N --seed S --workers W [--json FILE]

A line for each hazard: the load in tasks a second, faults, tasks acknowledged, attempts run, tasks settled,
lost and settled twice, the longest that a producer's call took, and what was broken. The exit code is 1 if a
promise was broken. A seed repeats the choices of a run, not its timing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from liteq.workers.options import WORKER_TYPES
from stress.hazards import HAZARDS, load, of_storage
from stress.report import Report
from stress.settings import KIND, LAST, STORAGE


def run(name: str, seed: int, seconds: float, workers: int) -> Report:
    """Run one hazard; one that can't be run to its end counts as broken."""
    try:
        return load(name)(seed, seconds, workers)
    except Exception as error:  # noqa: BLE001 -- the other hazards are still to be run
        traceback.print_exc()
        return Report(name, broken=[f"it ended with {error!r}"])


def main() -> int:
    """Run the hazards; 1 if a promise was broken."""
    arguments = _arguments()
    if arguments.last:
        os.environ[LAST] = arguments.last
    os.environ[KIND] = arguments.worker_type
    os.environ[STORAGE] = arguments.storage
    print(f"seed {arguments.seed}", flush=True)
    reports = []
    for name in (
        name for name in arguments.hazards or of_storage(arguments.storage) if name not in arguments.without
    ):
        reports.append(run(name, arguments.seed, arguments.seconds, arguments.workers))
        print(reports[-1].line(), flush=True)
        if arguments.json:
            text = json.dumps(
                {"seed": arguments.seed, "hazards": [asdict(report) for report in reports]}, indent=2
            )
            Path(arguments.json).write_text(text, encoding="utf-8")
    return 1 if any(report.broken for report in reports) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("hazards", nargs="*", metavar="hazard", help=", ".join(HAZARDS))
    parser.add_argument("--without", action="append", default=[], metavar="HAZARD", help="leave this one out")
    parser.add_argument(
        "--storage", default="sqlite", choices=("sqlite", "redis"), help="where the queue is (sqlite)"
    )
    parser.add_argument("--seconds", type=float, default=60, help="load of each hazard (60)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument(
        "--worker-type", default="process", choices=WORKER_TYPES, help="what the workers are (process)"
    )
    parser.add_argument(
        "--last", metavar="VERSION",
        help="of the hazard versions: a wheel, a folder with liteq in it, or a git revision (HEAD)",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the reports to a file")
    arguments = parser.parse_args()
    known = of_storage(arguments.storage)
    unknown = {*arguments.hazards, *arguments.without} - set(known)
    if unknown:
        parser.error(f"no hazard {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
