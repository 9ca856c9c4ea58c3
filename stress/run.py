"""Break a queue while it works, and check that it keeps its promises.

    python stress/run.py [hazard …] --seconds N --seed S --workers W [--json FILE]

The exit code is 1 if a promise was broken. A seed repeats the choices of a run, not its timing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stress import damage, disk_full, power_loss
from stress.hazards import HAZARDS, Consumer, wait_until
from stress.history import Report, check, note

OF_THE_FILE = {"power": power_loss.run, "full": disk_full.run, "damage": damage.run}
"""Hazards that make a load of their own: `run(seed, seconds)`."""


class Producer(threading.Thread):
    """Enqueues tasks until told to stop, and notes those whose call returned."""

    def __init__(self, folder: str, seed: int) -> None:
        super().__init__(name="producer")
        self._folder = folder
        self._chance = random.Random(seed)
        self._stop_asked = threading.Event()
        self.ids: dict[str, int] = {}

    def run(self) -> None:
        """One task in ten runs at most once; its number is negative."""
        from stress.app import again, huey, once

        number = 0
        while not self._stop_asked.is_set():
            number += 1
            task, signed = (once, -number) if number % 10 == 0 else (again, number)
            self.ids[task(signed, self._chance.choice([0, 0, 0, 1, 5])).id] = signed
            note(self._folder, "acknowledged", signed)
            while huey.pending_count() > 500:
                time.sleep(0.005)

    def stop(self) -> None:
        """Enqueue nothing more."""
        self._stop_asked.set()
        self.join()


def run(name: str, seconds: float, seed: int, workers: int) -> Report:
    """Run one hazard; what came of it."""
    if name in OF_THE_FILE:
        return OF_THE_FILE[name](seed, seconds)
    fault, pause = HAZARDS[name]
    chance = random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory(prefix="liteq-stress-") as folder:
        os.environ["LITEQ_STRESS"] = folder
        for module in [m for m in sys.modules if m == "stress.app"]:
            del sys.modules[module]
        from stress.app import huey

        consumer = Consumer(folder, workers)
        producer = Producer(folder, seed)
        producer.start()
        faults, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(chance.expovariate(1 / pause))
            faults += fault(consumer, chance)
        producer.stop()
        wait_until(lambda: not any(huey.counts()._replace(dead=0)), timeout=120)
        code = consumer.stop()
        report = _check(name, folder, producer.ids, huey)
        report.faults = faults
        if code:
            report.broken.append(f"the consumer ended with code {code}")
        huey.storage.close()
        return report


def _check(name: str, folder: str, ids: dict[str, int], huey: object) -> Report:
    from liteq import TaskException

    results: Counter[int] = Counter()
    for id, number in ids.items():
        for _ in range(2):
            try:
                results[number] += huey.result(id) == number  # type: ignore[attr-defined]
            except TaskException:
                break
    dead = {ids[task.id] for task in huey.dead()}  # type: ignore[attr-defined]
    return check(folder, name, {n: times for n, times in results.items() if times}, dead)


def main() -> int:
    """Run the hazards; 1 if a promise was broken."""
    known = [*HAZARDS, *OF_THE_FILE]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("hazards", nargs="*", metavar="hazard", help=", ".join(known))
    parser.add_argument("--seconds", type=float, default=60, help="load of each hazard (60)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    unknown = set(arguments.hazards) - set(known)
    if unknown:
        parser.error(f"no hazard {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    print(f"seed {arguments.seed}", flush=True)
    reports = []
    for name in arguments.hazards or known:
        reports.append(run(name, arguments.seconds, arguments.seed, arguments.workers))
        print(reports[-1].line(), flush=True)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(report) for report in reports], indent=2))
    return 1 if any(report.broken for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
