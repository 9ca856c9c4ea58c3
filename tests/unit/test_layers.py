"""The architecture, as the design states it: which module may import which, and how large anything may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from .running import ROOT

PACKAGE = ROOT / "liteq"
LARGEST_FILE = 350
LARGEST_FUNCTION = 40

LAYERS = (
    ("liteq.bounds", "liteq.exceptions", "liteq.greenlets", "liteq.identity"),
    ("liteq.clock",),
    (
        "liteq.messages",
        "liteq.serializer",
        "liteq.retry",
        "liteq.schedules",
        "liteq.signals",
        "liteq.hooks",
        "liteq.status",
        "liteq.meter",
    ),
    ("liteq.options",),
    ("liteq.functions",),
    ("liteq.misuse",),
    ("liteq.asynchronous",),
    ("liteq.storage",),
    ("liteq.tasks", "liteq.waiting", "liteq.awaiting"),
    ("liteq.registry", "liteq.current"),
    ("liteq.emitter",),
    ("liteq.outcomes",),
    ("liteq.failure",),
    ("liteq.slots",),
    ("liteq.execution", "liteq.results", "liteq.locks", "liteq.limits"),
    ("liteq.result_groups",),
    ("liteq.canvas",),
    ("liteq.wrapper",),
    (
        "liteq.declarations",
        "liteq.control",
        "liteq.records",
        "liteq.pauses",
        "liteq.direct",
        "liteq.enqueueing",
        "liteq.payloads",
        "liteq.entries",
        "liteq.events",
        "liteq.timetable",
        "liteq.utils",
        "liteq.older",
        "liteq.submission",
    ),  # fmt: skip
    ("liteq.api",),
    ("liteq.executor",),
    ("liteq",),
    ("liteq.workers", "liteq.contrib", "liteq.testing"),
    ("liteq.cli",),
    ("liteq.__main__",),
)
"""From the bottom up. A module belongs to the entry that is the longest beginning of its name."""

INSIDE_LAYERS = {
    # storage: the contract, then what the backends share, then the backends
    "liteq.storage": (
        (
            "liteq.storage.contract",
            "liteq.storage.inotify",
            "liteq.storage.companion",
            "liteq.storage.drops",
            "liteq.storage.frames",
            "liteq.storage.readable",
        ),
        ("liteq.storage.base",),
        ("liteq.storage.bell", "liteq.storage.pipes"),
        ("liteq.storage.memory",),
        (
            "liteq.storage.file",
            "liteq.storage.blackhole",
        ),  # the memory, kept in files, and the one that forgets
        ("liteq.storage.redis",),
        ("liteq.storage.sqlite",),
        ("liteq.storage",),  # the package itself names the backends, and loads them when they are asked for
    ),
}
"""Layers within a layer."""

ALLOWED_DOWN_TO = {
    # These see messages, and nothing of what stores or runs them.
    "liteq.tasks": {"liteq.clock", "liteq.exceptions", "liteq.messages", "liteq.meter", "liteq.schedules"},
    # Decide first, store after: an attempt is a value until somebody else stores it.
    "liteq.outcomes": {"liteq.hooks", "liteq.messages", "liteq.serializer", "liteq.signals", "liteq.tasks"},
    "liteq.failure": {
        "liteq.clock", "liteq.exceptions", "liteq.messages", "liteq.outcomes", "liteq.retry", "liteq.signals",
        "liteq.tasks",
    },
    "liteq.execution": {
        "liteq.asynchronous", "liteq.current", "liteq.exceptions", "liteq.failure", "liteq.messages", "liteq.outcomes",
        "liteq.signals",
        "liteq.tasks",
    },
}  # fmt: skip


class Import(NamedTuple):
    module: str
    lazy: bool
    """Inside a function: it happens when the function is called."""
    line: int


def modules() -> dict[str, Path]:
    """Every module of liteq, by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports_of(name: str) -> list[Import]:
    """What a module imports, wherever in its text; of liteq's own, the modules and not the names in them."""
    return list(_imports(ast.parse(MODULES[name].read_text()), name, lazy=False))


def _imports(node: ast.AST, name: str, *, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, inside, child.lineno)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{name}:{child.lineno}: imports are absolute"
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                yield Import(whole if whole in MODULES else str(child.module), inside, child.lineno)
        else:
            yield from _imports(child, name, lazy=inside)


IMPORTS = {name: imports_of(name) for name in MODULES}


def rank(name: str, layers: tuple[tuple[str, ...], ...]) -> int | None:
    """The layer that a module belongs to."""
    best = max(
        (
            (len(entry), index)
            for index, layer in enumerate(layers)
            for entry in layer
            if name == entry or name.startswith(f"{entry}.")
        ),
        default=None,
    )
    return None if best is None else best[1]


def own(imports: list[Import]) -> list[Import]:
    return [one for one in imports if one.module == "liteq" or one.module.startswith("liteq.")]


def reach(name: str, *, lazy: bool) -> set[str]:
    """Everything of liteq that importing a module imports, directly or not."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        waiting.extend(one.module for one in own(IMPORTS[current]) if lazy or not one.lazy)
    return seen - {name}


def test_every_module_belongs_to_a_layer():
    # `liteq` itself matches every name: only the package's own __init__ may belong to it.
    stray = [n for n in MODULES if LAYERS[rank(n, LAYERS)] == ("liteq",) and n != "liteq"]
    assert stray == []


def test_every_layer_is_used():
    unused = [
        e for layer in LAYERS for e in layer if not any(n == e or n.startswith(f"{e}.") for n in MODULES)
    ]
    assert unused == []


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    wrong = []
    for one in own(IMPORTS[name]):
        above, below = rank(name, LAYERS), rank(one.module, LAYERS)
        for entry, layers in INSIDE_LAYERS.items():
            if name.startswith(entry) and one.module.startswith(entry):
                above, below = rank(name, layers), rank(one.module, layers)
        if below > above:
            wrong.append(f"{name}:{one.line} imports {one.module}, which stands above it")
    assert wrong == []


@pytest.mark.parametrize("name", ALLOWED_DOWN_TO)
def test_what_sees_little(name):
    assert {one.module for one in own(IMPORTS[name])} <= ALLOWED_DOWN_TO[name]


def test_the_bottom_imports_nothing_of_ours():
    for name in LAYERS[0]:
        assert own(IMPORTS[name]) == []


def test_there_is_no_cycle():
    """Not even one that an import inside a function would hide."""
    graph = {name: {one.module for one in own(IMPORTS[name])} - {name} for name in MODULES}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_imports_for_types_alone_are_not_hidden():
    """TYPE_CHECKING would hide an arrow from this test; the package itself has names that load when used."""
    hiding = [name for name, path in MODULES.items() if "TYPE_CHECKING" in path.read_text()]
    assert hiding == ["liteq"]
    assert {one.module for one in own(IMPORTS["liteq"]) if one.lazy} == {"liteq.executor"}


def test_only_the_sqlite_backend_imports_apsw():
    users = {name for name in MODULES for one in IMPORTS[name] if one.module.split(".")[0] == "apsw"}
    assert users
    assert all(name.startswith("liteq.storage.sqlite") for name in users), users


def test_only_the_redis_backend_imports_redis_py():
    users = {name for name in MODULES for one in IMPORTS[name] if one.module.split(".")[0] == "redis"}
    assert users
    assert all(name.startswith("liteq.storage.redis") for name in users), users


def test_the_standard_library_s_sqlite_is_not_used():
    """Two SQLite libraries in one process on one file are unsafe."""
    assert [name for name in MODULES for one in IMPORTS[name] if one.module.split(".")[0] == "sqlite3"] == []


def test_only_the_identity_of_processes_needs_psutil_to_recognise_them():
    users = {name for name in MODULES for one in IMPORTS[name] if one.module == "psutil"}
    assert not any(name.startswith("liteq.storage") for name in users)
    assert all(one.lazy for name in users for one in IMPORTS[name] if one.module == "psutil")


@pytest.mark.parametrize("name", ["liteq.workers.supervisor", "liteq.workers.child"])
def test_the_supervisor_and_the_child_import_no_storage(name):
    assert [one.module for one in IMPORTS[name] if one.module.startswith("liteq.storage")] == []


def test_the_child_is_pure():
    """A state machine that knows no process, no clock, no storage."""
    assert reach("liteq.workers.child", lazy=True) == set()
    assert {one.module for one in IMPORTS["liteq.workers.child"]} <= {"__future__", "dataclasses", "enum"}


@pytest.mark.parametrize(
    "name", ["liteq.retry", *(name for name in MODULES if name.startswith("liteq.schedules"))]
)
def test_pure_modules(name):
    assert all(one.module.startswith("liteq.schedules") for one in own(IMPORTS[name]))
    outside = {one.module.split(".")[0] for one in IMPORTS[name]}
    assert outside <= {
        "__future__", "abc", "collections", "dataclasses", "datetime", "enum", "functools", "liteq", "re",
        "typing", "zoneinfo",
    }  # fmt: skip


def test_time_zones_are_loaded_only_where_one_is_named():
    assert all(one.lazy for name in MODULES for one in IMPORTS[name] if one.module == "zoneinfo")


def test_inspect_is_loaded_only_where_a_call_or_an_option_is_refused():
    """And with redis-py, which loads it by itself. Even where something else has loaded it already, as `dataclasses` does in some versions of Python."""
    users = {name: one.lazy for name in MODULES for one in IMPORTS[name] if one.module == "inspect"}
    assert users == {"liteq.functions": True, "liteq.storage.contract.misspelt": True}


def test_execution_knows_no_storage_and_no_process():
    assert not any(
        name.startswith(("liteq.storage", "liteq.workers")) for name in reach("liteq.execution", lazy=True)
    )
    outside = {one.module.split(".")[0] for one in IMPORTS["liteq.execution"]}
    assert outside.isdisjoint(
        {"multiprocessing", "os", "signal", "socket", "subprocess", "threading", "apsw"}
    )


def test_nothing_below_the_workers_imports_them():
    users = [n for n in MODULES for one in own(IMPORTS[n]) if one.module.startswith("liteq.workers")]
    assert all(name.startswith(("liteq.workers", "liteq.cli")) for name in users), users


def test_the_backends_do_not_know_each_other():
    backends = {f"liteq.storage.{name}" for name in ("memory", "sqlite", "redis", "file", "blackhole")}
    built_on_memory = ("liteq.storage.file", "liteq.storage.blackhole")
    for name in MODULES:
        known = {backend for backend in backends if name.startswith(backend)}
        if known:
            known |= {"liteq.storage.memory"} if name.startswith(built_on_memory) else set()
            for one in own(IMPORTS[name]):
                assert not one.module.startswith(tuple(backends - known)), name


def test_sql_stands_in_one_place():
    wrong = []
    for name, path in MODULES.items():
        if name.startswith(("liteq.storage.sqlite.sql", "liteq.storage.sqlite.schema")):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = node.value.split()
                if (
                    words[:1]
                    and words[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE"}
                    and len(words) > 2
                ):
                    wrong.append(f"{name}:{node.lineno} {node.value[:60]!r}")
    assert [one for one in wrong if "sqlite_schema" not in one] == []


# Sizes

STRESS = (ROOT / "stress").rglob("*.py")
EVERYTHING = MODULES | {str(path.relative_to(ROOT)): path for path in sorted(STRESS)}


@pytest.mark.parametrize("name", EVERYTHING)
def test_no_file_is_too_long(name):
    assert len(EVERYTHING[name].read_text().splitlines()) <= LARGEST_FILE


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many lines a function has, without its docstring and its decorators."""
    first = function.body[0]
    length = int(function.end_lineno or 0) - function.lineno + 1
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        length -= int(first.end_lineno or 0) - first.lineno + 1
    return length


@pytest.mark.parametrize("name", EVERYTHING)
def test_no_function_is_too_long(name):
    functions = [
        node
        for node in ast.walk(ast.parse(EVERYTHING[name].read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {f"{f.name}:{f.lineno}": lines_of(f) for f in functions if lines_of(f) > LARGEST_FUNCTION}
    assert long == {}
