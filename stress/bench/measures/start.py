"""How long it takes until something works."""

from __future__ import annotations

import subprocess

from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.system import ROOT, System, huey


def measure(context: Context) -> list[Figure]:
    """`import liteq`, and a consumer from its command to ready."""
    systems = [context.liteq, *([huey(context.peers, "full")] if context.peers else [])]
    imports = in_turns(
        context.several(7, 15),
        {
            "python -c pass": lambda: {"ms": _python(context.liteq, "pass")},
            **{f"import {_package(it)}": lambda it=it: {"ms": _import(it)} for it in systems},  # type: ignore[misc]
        },
    )
    ready = in_turns(context.several(5, 10), {"liteq": lambda: {"s": _ready(context)}})
    goal = (Goal(60, of="import liteq", at_most=True),)
    return [
        Figure("start-import", "import, within the interpreter", "ms", imports.of("ms"), goal),
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


def _import(it: System) -> float:
    return _python(it, f"import {_package(it)}")


def _python(it: System, code: str) -> float:
    """ms that a statement takes in a new interpreter."""
    timed = f"import time; t = time.perf_counter(); {code}; print((time.perf_counter() - t) * 1e3)"
    done = subprocess.run([it.python, "-c", timed], cwd=ROOT, capture_output=True, check=True)
    return float(done.stdout)


def _ready(context: Context) -> float:
    with context.session(context.liteq) as queue, queue.consumer(2) as consumer:
        return consumer.wait_until_ready()
