"""liteq consume: run the tasks of an application."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Any

from liteq.cli import log

HELP = "run the tasks of an application"

EPILOG = """\
exit codes:
  0  stopped, nothing left undone
  1  the application raised while it was imported (its traceback is shown)
  2  a wrong option, module or attribute
  3  the storage can't be used
  4  a worker or the dispatcher could not be kept running
  5  stopped, but running tasks were interrupted; they are back in the queue

signals:
  TERM, INT  stop after the running tasks; a second one interrupts them
  HUP        load the application anew and replace the workers one by one
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("application", help="the queue, as module.attribute, from the current directory")
    _workers(parser.add_argument_group("workers"))
    _stopping(parser.add_argument_group("stopping"))
    _locks(parser.add_argument_group("locks"))
    _schedule(parser.add_argument_group("schedule and polling"))
    log.configure(parser.add_argument_group("logging"))


def _workers(group: Any) -> None:
    group.add_argument("-w", "--workers", type=int, default=1, metavar="N", help="how many (1)")
    group.add_argument(
        "-k", "--worker-type", default="process", metavar="TYPE",
        help="what they are: process (the default), thread or greenlet; the latter two share one process",
    )  # fmt: skip
    group.add_argument("-M", "--max-tasks", type=int, metavar="N", help="replace a worker after N tasks")
    group.add_argument(
        "--max-memory", type=_size, metavar="SIZE",
        help="replace a worker that has more memory for itself (512M, 1G); stop a task at twice as much",
    )  # fmt: skip
    group.add_argument("--max-age", type=float, metavar="SECONDS", help="replace a worker after so long")
    group.add_argument(
        "-C", "--disable-health-check", action="store_true", help="do not replace a worker that died"
    )
    group.add_argument(
        "-c", "--health-check-interval", type=float, default=10, metavar="SECONDS",
        help="accepted: a dead worker is noticed at once",
    )  # fmt: skip
    group.add_argument(
        "--max-crashes", type=int, default=3, metavar="N",
        help="give a task up after it ended N workers (3)",
    )  # fmt: skip
    group.add_argument(
        "--warn-after", type=float, default=600, metavar="SECONDS",
        help="warn of a task without a timeout that has run for so long; 0 is never (600)",
    )  # fmt: skip
    group.add_argument(
        "--start-timeout", type=float, default=60, metavar="SECONDS",
        help="what a worker has to get ready before it is killed (60)",
    )  # fmt: skip


def _size(text: str) -> int:
    from liteq.workers.memory import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _stopping(group: Any) -> None:
    group.add_argument(
        "-t", "--shutdown-timeout", type=float, metavar="SECONDS",
        help="how long a stop waits for running tasks before it interrupts them (for ever)",
    )  # fmt: skip
    group.add_argument(
        "--timeout-grace", type=float, default=2, metavar="SECONDS",
        help="what a task has to end after its timeout, before its worker is stopped (2)",
    )  # fmt: skip
    group.add_argument(
        "--kill-after", type=float, default=5, metavar="SECONDS",
        help="what a worker has to end after TERM, before KILL (5)",
    )  # fmt: skip
    group.add_argument(
        "-g",
        "--graceful-signal",
        metavar="INT|TERM",
        help="only this one drains, the other interrupts at once",
    )


def _locks(group: Any) -> None:
    group.add_argument(
        "-f", "--flush-locks", action="store_true",
        help="free all locks before the first task, whoever holds them",
    )  # fmt: skip
    group.add_argument(
        "-L", "--extra-locks", type=_names, metavar="NAMES",
        help="free these locks before the first task; names are separated by commas",
    )  # fmt: skip


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"a name is missing in {text!r}; write -L one,two")
    return names


def _schedule(group: Any) -> None:
    group.add_argument("-n", "--no-periodic", action="store_true", help="do not enqueue periodic tasks")
    group.add_argument(
        "-p",
        "--periodic",
        action="store_false",
        dest="no_periodic",
        default=False,
        help="enqueue them (the default)",
    )
    group.add_argument(
        "-s", "--scheduler-interval", type=float, default=1, metavar="SECONDS",
        help="accepted: a task starts when it is due",
    )  # fmt: skip
    group.add_argument(
        "-d", "--delay", type=float, metavar="SECONDS", help="first interval of the poll, where one is needed"
    )
    group.add_argument(
        "-m", "--max-delay", type=float, metavar="SECONDS", help="longest interval of the poll"
    )
    group.add_argument(
        "-b", "--backoff", type=float, default=1.15, metavar="FACTOR", help="its growth (1.15)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a consumer until it is stopped; its exit code.

    Raises:
        ConfigurationError: for options that can't work.
    """
    # Imported here, so that other commands do not pay for it.
    from liteq.workers.options import ConsumerOptions, check_open_files
    from liteq.workers.supervisor import Supervisor

    options = ConsumerOptions(
        workers=arguments.workers,
        worker_type=arguments.worker_type,
        periodic=not arguments.no_periodic,
        max_tasks=arguments.max_tasks,
        max_memory=arguments.max_memory,
        max_age=arguments.max_age,
        warn_after=arguments.warn_after,
        start_timeout=arguments.start_timeout,
        shutdown_timeout=arguments.shutdown_timeout,
        graceful_signal=arguments.graceful_signal,
        restart_workers=not arguments.disable_health_check,
        health_check_interval=arguments.health_check_interval,
        delay=arguments.delay,
        max_delay=arguments.max_delay,
        backoff=arguments.backoff,
        scheduler_interval=arguments.scheduler_interval,
        max_crashes=arguments.max_crashes,
        timeout_grace=arguments.timeout_grace,
        kill_after=arguments.kill_after,
        flush_locks=arguments.flush_locks,
        extra_locks=arguments.extra_locks or (),
    )
    check_open_files(options.workers)
    log.set_up(arguments)
    supervisor = Supervisor(arguments.application, options)
    code = supervisor.run()
    if supervisor.failure is not None:
        sys.stderr.write(f"liteq: {supervisor.failure}\n")
        if arguments.logfile:
            logging.getLogger("huey.consumer").error("%s", supervisor.failure)
    return code
