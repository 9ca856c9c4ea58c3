"""How long it takes until something works."""

from __future__ import annotations

import subprocess
from functools import partial

from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.system import ROOT, System, huey


def measure(context: Context) -> list[Figure]:
    """`import liteq`, and a consumer from its command to ready."""
    systems = [context.liteq, *([huey(context.peers, "full")] if context.peers else [])]
    contenders = {f"import {_package(it)}": partial(_python, it, f"import {_package(it)}") for it in systems}
    imports = in_turns(context.several(7, 15), contenders)
    ready = in_turns(context.several(5, 10), {"liteq": lambda: {"s": _ready(context)}})
    goal = (Goal(60, of="import liteq", at_most=True),)
    return [
        Figure("start-import", "import, within the interpreter", "ms", imports.of("ms"), goal),
        Figure("start-import-cpu", "import, its CPU time", "ms", imports.of("cpu")),
        Figure(
            "start-ready",
            "consumer of 2 ready, from its command",
            "s",
            ready.of("s"),
            (Goal(0.3, at_most=True),),
        ),
    ]


def _package(it: System) -> str:
    return "liteq" if it.name == "liteq" else "huey"


def _python(it: System, statement: str) -> dict[str, float]:
    """Time and CPU time that a statement takes in a new interpreter, in ms."""
    code = (
        "import time; wall, cpu = time.perf_counter(), time.process_time()\n"
        f"{statement}\n"
        "print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)"
    )
    done = subprocess.run([it.python, "-c", code], cwd=ROOT, capture_output=True, check=True)
    ms, cpu = map(float, done.stdout.split())
    return {"ms": ms, "cpu": cpu}


def _ready(context: Context) -> float:
    with context.session(context.liteq) as queue, queue.consumer(2) as consumer:
        return consumer.wait_until_ready()
