"""Run the indexer once: start a consumer, feed it, show its progress, check what it did, stop it.

The exit code is 0 only if the index holds exactly what this program counts for itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app import FOLDER, SCHEMA, STDLIB, count, huey, open_index, read, report, write

from liteq import ResultGroup, ResultTimeout, Task

QUERY = "error OR exception"
LOG = FOLDER / "consumer.log"


def main() -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-w", "--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--limit", type=int, metavar="N", help="index about N files instead of all")
    arguments = parser.parse_args()
    paths = source_files(arguments.limit)
    lines = sum(count_lines(path) for path in paths)
    start_afresh()
    with consumer(arguments.workers) as process:
        started = time.monotonic()
        results = huey.enqueue_many(pipeline(path, stumble=path == paths[-1]) for path in paths)
        retries = sum(follow(results, process))
        seconds = time.monotonic() - started
        found = wait(report(QUERY), process)
    show(found, paths, retries, seconds)
    if (found["files"], found["lines"]) != (len(paths), lines):
        print(f"WRONG: {len(paths)} files and {lines} lines were to be indexed")
        return 1
    print(f"Checked: the same {len(paths)} files and {lines} lines as counted without the queue.")
    return 0


def source_files(limit: int | None) -> list[str]:
    """The library's source files, relative to its folder; with a limit, a sample of them."""
    found = (path.relative_to(STDLIB) for path in STDLIB.rglob("*.py") if path.is_file())
    paths = sorted(str(path) for path in found if not {"site-packages", "dist-packages"} & {*path.parts})
    return paths[:: max(1, len(paths) // limit)] if limit else paths


def count_lines(path: str) -> int:
    """Count the lines of a file, in another way than the task does."""
    with (STDLIB / path).open("rb") as file:
        return sum(1 for _ in file)


def start_afresh() -> None:
    """Remove what an earlier run left, and make an empty index."""
    for old in (*FOLDER.glob("queue.db*"), *FOLDER.glob("index.db*"), LOG):
        old.unlink(missing_ok=True)
    with open_index() as index:
        index.executescript(SCHEMA)


@contextmanager
def consumer(workers: int) -> Iterator[subprocess.Popen[bytes]]:
    """A consumer that runs meanwhile; it is stopped as a service manager would, by SIGTERM."""
    command = [sys.executable, "-m", "liteq", "consume", "app.huey", "-w", str(workers)]
    options = ["--logfile", str(LOG), "--shutdown-timeout", "10"]
    environment = {**os.environ, "INDEXER_DIR": str(FOLDER)}
    process = subprocess.Popen([*command, *options], cwd=Path(__file__).parent, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
    if code != 0:
        raise SystemExit(f"The consumer ended with exit code {code}; its log is {LOG}")


def pipeline(path: str, *, stumble: bool) -> Task:
    """The three tasks of a file. Modules at the top of the library go before packages and their tests."""
    first = 0 if os.sep in path else 10
    stages = read.s(path, priority=first).then(count, priority=first + 1)
    return stages.then(write, priority=first + 2, stumble=stumble)


def follow(results: list[ResultGroup], process: subprocess.Popen[bytes]) -> Iterator[int]:
    """Wait for all pipelines and show how many have ended; the value of each one's last task."""
    for done, result in enumerate(results, 1):
        yield wait(result, process)[-1]
        if sys.stdout.isatty():
            print(f"\r{done} of {len(results)} files", end="", flush=True)
        elif done % 200 == 0 or done == len(results):
            print(f"{done} of {len(results)} files", flush=True)
    if sys.stdout.isatty():
        print()


def wait(result: Any, process: subprocess.Popen[bytes]) -> Any:
    """Wait for a result, as long as there is a consumer that could bring it."""
    for _ in range(60):
        try:
            return result.get(blocking=True, timeout=1)
        except ResultTimeout:
            if process.poll() is not None:
                break
    raise SystemExit(f"No result came; the consumer's log is {LOG}")


def show(found: dict[str, Any], paths: list[str], retries: int, seconds: float) -> None:
    """Print the report."""
    tasks = 3 * len(paths)
    top = [path for path in paths if os.sep not in path]
    places = {path: place for place, path in enumerate(found["order"], 1)}
    last = max((places.get(path, 0) for path in top), default=0)
    print(f"Indexed {found['files']} files, {found['lines']} lines")
    print(f"Ran {tasks} tasks in {seconds:.1f} seconds: {tasks / seconds:.0f} tasks per second")
    print(f"Retries: {retries}, one of them provoked")
    print(f"Priority: the {len(top)} modules at the top of the library were among the first {last} written")
    print("Most frequent names: " + ", ".join(f"{name} {uses}" for name, uses in found["names"]))
    print(f"Search for {QUERY!r}: {len(found['hits'])} files, the best being")
    for path, snippet in found["hits"][:3]:
        print(f"  {path}: {' '.join(snippet.split())}")


if __name__ == "__main__":
    sys.exit(main())
