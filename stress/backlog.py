"""A producer that fills a queue before its consumer starts: `python -m stress.backlog SEED NUMBER`.

Single calls and bulks, of random priorities.
"""

from __future__ import annotations

import random
import sys

from stress import history as h
from stress.app import again, history, huey

PRIORITIES = range(-3, 10)


def main() -> None:
    """Enqueue at least so many tasks."""
    seed, number = sys.argv[1], int(sys.argv[2])
    chance = random.Random(f"backlog {seed}")
    made = 0
    while made < number:
        tasks = []
        for _ in range(chance.choice([1, 1, 1, 40])):
            tasks.append(again.s(made, priority=chance.choice(PRIORITIES)))
            made += 1
        huey.enqueue_many(tasks)
        for task in tasks:
            history.note(
                h.ACKNOWLEDGED, task.id, kind="backlog", wait=0, expected=task.args[0], once=False,
                priority=task.priority, ordered=True, backlog=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
