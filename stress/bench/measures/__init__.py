"""A module for each thing that is measured, each with `measure(context) -> list[Figure]`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from stress.bench.context import Context
from stress.bench.figure import Figure

MEASURES = (
    "drain", "enqueue", "bulk", "latency", "idle", "depth", "cpu_bound", "producers", "payloads", "memory",
    "start", "crash", "kinds",
)  # fmt: skip


def load(name: str) -> Callable[[Context], list[Figure]]:
    """The function of a measure."""
    found: Callable[[Context], list[Figure]] = import_module(f"stress.bench.measures.{name}").measure
    return found
