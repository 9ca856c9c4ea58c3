"""Measure the core on this machine: `python stress/bench/run.py [--rounds N] [--idle SECONDS]`.

Only ratios between rows of one run mean something: machines differ, and one differs from hour to hour.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import apsw

from stress.bench.consumer import consumer, cpu_seconds, wait_until

Row = tuple[str, str, str]

_BATCH = 64


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def spread(values: list[float], form: str = "{:,.0f}") -> str:
    """Median and range."""
    return f"{form.format(median(values))} ({form.format(min(values))} … {form.format(max(values))})"


def bare_loop(durability: str, tasks: int = 30_000) -> float:
    """Tasks a second of the bare SQL: one transaction settles 64 and claims the next 64."""
    with tempfile.TemporaryDirectory() as folder:
        db = apsw.Connection(f"{folder}/bare.db")
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", durability)
        db.execute("CREATE TABLE ready (seq INTEGER PRIMARY KEY, data BLOB)").fetchall()
        db.execute("CREATE TABLE claim (seq INTEGER PRIMARY KEY, data BLOB)").fetchall()
        with db:
            db.executemany("INSERT INTO ready (data) VALUES (?)", [(b"x" * 80,)] * tasks)
        began = time.perf_counter()
        held: list[tuple[Any]] = []
        while True:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("DELETE FROM claim WHERE seq = ?", held)
            rows = db.execute("SELECT seq, data FROM ready ORDER BY seq LIMIT ?", (_BATCH,)).fetchall()
            held = [(seq,) for seq, _ in rows]
            db.executemany("DELETE FROM ready WHERE seq = ?", held)
            db.executemany("INSERT INTO claim VALUES (?, ?)", rows)
            db.execute("COMMIT")
            if not rows:
                break
        rate = tasks / (time.perf_counter() - began)
        db.close()
        return rate


def drained(durability: str, tasks: int = 30_000, history: int = 10_000) -> float:
    """No-op tasks a second, results stored, 2 process workers, from the moment in which all are committed."""
    with consumer(2, durability, history) as (app, _, _):
        app.noop().get(blocking=True, timeout=10)
        app.noop.map([()] * tasks)
        began = time.perf_counter()
        huey = app.huey
        wait_until(lambda: huey.pending_count() + huey.running_count() == 0, interval=0.01)
        return tasks / (time.perf_counter() - began)


def latency(idle: float, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from the return of a call to the start of its task, and to its result, after idle time."""
    starts, results = [], []
    with consumer(2) as (app, _, _):
        app.started().get(blocking=True, timeout=10)
        for _ in range(rounds):
            time.sleep(idle)
            handle = app.started()
            enqueued = time.time_ns()
            starts.append((handle.get(blocking=True, timeout=10) - enqueued) / 1e6)
            results.append((time.time_ns() - enqueued) / 1e6)
    return starts, results


def idle_cpu(seconds: float) -> float:
    """Percent of a core that an idle consumer with 8 workers takes."""
    with consumer(8) as (app, process, _):
        app.noop().get(blocking=True, timeout=10)
        time.sleep(1)
        before = cpu_seconds(process)
        time.sleep(seconds)
        return (cpu_seconds(process) - before) / seconds * 100


def rerun_after_kill(rounds: int) -> list[float]:
    """Milliseconds from `kill -9` of a busy worker, the only one, to the new start of its task."""
    times = []
    with consumer(1) as (app, _, _), tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            starts, gate = Path(folder, f"starts{number}"), Path(folder, f"gate{number}")
            handle = app.hold(str(starts), str(gate))
            pid = int(wait_until(partial(_lines, starts, 1))[0].split()[0])
            killed = time.time_ns()
            os.kill(pid, 9)
            again = wait_until(partial(_lines, starts, 2))[1]
            times.append((int(again.split()[1]) - killed) / 1e6)
            gate.touch()
            handle.get(blocking=True, timeout=10)
    return times


def _lines(path: Path, count: int) -> list[str]:
    """The lines of a file, once there are so many."""
    lines = path.read_text().splitlines() if path.exists() else []
    return lines if len(lines) >= count else []


def import_time(rounds: int) -> list[float]:
    """Milliseconds of `import liteq` in a new interpreter."""
    code = "import time; t = time.perf_counter(); import liteq; print((time.perf_counter() - t) * 1e3)"
    root = Path(__file__).resolve().parents[2]
    return [
        float(subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True).stdout)
        for _ in range(rounds)
    ]


def throughput_rows(rounds: int) -> list[Row]:
    """Drained tasks beside the bare loop, in turns."""
    rows = []
    for durability, goal in (("full", "15,000 a second where the bare loop makes 96,000"), ("normal", "")):
        bare, ours, without = [], [], []
        for _ in range(rounds):
            bare.append(bare_loop(durability))
            ours.append(drained(durability))
            without.append(drained(durability, history=0))
        rows.append((f"bare loop, 64 a transaction, {durability.upper()}", f"{spread(bare)} a second", ""))
        rows.append((f"drained, 2 workers, {durability.upper()}", f"{spread(ours)} a second", goal))
        rows.append(("  the same with history=0", f"{spread(without)} a second", ""))
        rows.append(("  as a part of the bare loop", f"{median(ours) / median(bare):.2f}", "0.16"))
    return rows


def latency_row(idle: float, rounds: int) -> list[Row]:
    """Start and result after some idle time."""
    starts, results = latency(idle, rounds)
    return [
        (f"enqueued → started, idle {idle} s", _percentiles(starts), "p50 < 1 ms"),
        (f"enqueued → result, idle {idle} s", _percentiles(results), ""),
    ]


def _percentiles(values: list[float]) -> str:
    return f"p50 {percentile(values, 0.5):.2f} ms, p99 {percentile(values, 0.99):.2f} ms"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each throughput row (5)")
    parser.add_argument("--idle", type=float, default=10, help="seconds of the idle measurement (10)")
    arguments = parser.parse_args()
    steps: list[Callable[[], list[Row]]] = [
        lambda: [("import liteq", f"{spread(import_time(10), '{:.0f}')} ms", "< 80 ms")],
        lambda: [("consumer ready, from its command", f"{spread(_ready(5), '{:.0f}')} ms", "< 500 ms")],
        lambda: throughput_rows(arguments.rounds),
        lambda: latency_row(0.03, 200),
        lambda: latency_row(5, 4),
        lambda: [
            ("re-run after kill -9 of the only worker", _percentiles(rerun_after_kill(100)), "p99 < 50 ms")
        ],
        lambda: [("idle, 8 workers", f"{idle_cpu(arguments.idle):.2f} % of a core", "< 0.5 %")],
    ]
    print(f"{'what':<44} {'measured':<44} goal")
    for step in steps:
        for what, measured, goal in step():
            print(f"{what:<44} {measured:<44} {goal}", flush=True)


def _ready(rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        with consumer(2) as (_, _, ready):
            times.append(ready * 1e3)
    return times


if __name__ == "__main__":
    main()
