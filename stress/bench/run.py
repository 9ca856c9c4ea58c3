"""Measure liteq beside its peers and the limit: `python stress/bench/run.py [--full] [MEASURE …]`.

Contenders take turns, round by round. Machines differ, and one differs from hour to hour: only the ratios of
contenders in one run mean something.
"""

from __future__ import annotations

import argparse
import compileall
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from stress.bench import report, system
from stress.bench.context import Context, tell
from stress.bench.figure import Figure
from stress.bench.measures import MEASURES, load

DOCUMENT = system.ROOT / "docs" / "performance.md"
PLOTS = system.ROOT / "docs" / "plots"

KINDS = "Workers are processes, but for the figures that name threads or greenlets."


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measures", nargs="*", choices=[[], *MEASURES], help="only these (all)")
    parser.add_argument(
        "--full", action="store_true", help="longer measurements, five rounds (about an hour)"
    )
    parser.add_argument("--rounds", type=int, help="how many (3; with --full 5)")
    parser.add_argument("--huge", action="store_true", help="deep queues of 10,000,000")
    parser.add_argument("--no-peers", action="store_true", help="only liteq and the limit")
    parser.add_argument("--folder", type=Path, help="where the files are written: on the disk to be measured")
    parser.add_argument("--docs", action="store_true", help="put table and plots into docs/")
    return parser.parse_args()


def main() -> int:
    """Measure, print, write."""
    arguments = parse()
    system.BUILD.mkdir(parents=True, exist_ok=True)
    # As an installation does; else, where writing bytecode is off, each start would compile everything anew.
    compileall.compile_dir(system.ROOT / "liteq", quiet=2)
    notes = [KINDS]
    loads = [system.load()]
    figures: list[Figure] = []
    failed = False
    with ExitStack() as stack:
        context = _context(stack, arguments, notes)
        for name in arguments.measures or MEASURES:
            tell(f"{name}: load average {loads[-1]:.1f}")
            try:
                measured = load(name)(context)
            except subprocess.CalledProcessError as error:  # the others may have taken an hour
                notes.append(f"{name} was not measured: {error}.")
                tell(notes[-1])
                failed = True
                continue
            for figure in measured:
                report.show(figure)
            figures += measured
            loads.append(system.load())
    circumstances = report.conditions(loads, notes, full=arguments.full, rounds=context.rounds)
    _write(figures, circumstances, context, docs=arguments.docs)
    report.summary(figures)
    return int(failed)


def _context(stack: ExitStack, arguments: argparse.Namespace, notes: list[str]) -> Context:
    """What there is to compare with; what is missing is noted."""
    made = stack.enter_context(
        tempfile.TemporaryDirectory(dir=arguments.folder or system.BUILD, prefix="run")
    )
    context = Context(
        Path(made), arguments.full, arguments.huge, arguments.rounds or (5 if arguments.full else 3)
    )
    if arguments.no_peers:
        return context
    try:
        context.peers = system.peers()
    except (OSError, subprocess.CalledProcessError) as error:
        notes.append(f"huey could not be installed, so it was not measured: {error}.")
    context.redis = stack.enter_context(system.redis(context.folder))
    if context.redis is None:
        notes.append("No redis-server is installed, so huey on Redis was not measured.")
    for note in notes:
        tell(note)
    return context


def _write(figures: list[Figure], circumstances: dict[str, object], context: Context, *, docs: bool) -> None:
    table = report.markdown(figures, circumstances)
    (system.BUILD / "table.md").write_text(f"{table}\n")
    path = report.write(system.BUILD, figures, circumstances)
    plots = PLOTS if docs else system.BUILD / "plots"
    if docs:
        report.put_into(DOCUMENT, table)
    if context.peers:
        drawer = Path(__file__).with_name("plots.py")
        subprocess.run([str(context.peers), str(drawer), str(path), str(plots)], check=True)
    tell(f"written: {path}, {system.BUILD / 'table.md'}, {plots}")


if __name__ == "__main__":
    sys.exit(main())
