"""What the children of a consumer run, once they have the application."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time

from liteq import clock
from liteq.api import Huey
from liteq.exceptions import StorageBusy, StorageError, StorageFull, StorageUnreachable
from liteq.greenlets import is_patched
from liteq.identity import Identity, identify
from liteq.workers import notices
from liteq.workers.chores import flush_locks
from liteq.workers.control import Control, adopt
from liteq.workers.dispatcher import Dispatcher
from liteq.workers.greenlets import CooperativeLine, begin
from liteq.workers.host import Host
from liteq.workers.memory import PrivateMemory
from liteq.workers.options import ConsumerOptions
from liteq.workers.outage import Outage
from liteq.workers.process import ignore
from liteq.workers.rings import Rings
from liteq.workers.shared import Board
from liteq.workers.template import ChildSpec
from liteq.workers.timer import Timer
from liteq.workers.worker import Worker

logger = logging.getLogger("huey.consumer")

_RETRY_STORAGE_AFTER = 0.25
"""Seconds."""


def dispatcher_main(
    huey: Huey,
    options: ConsumerOptions,
    supervisor: Identity,
    owner: int | None,
    control: Control,
    board: Board,
    rings: Rings,
) -> int:
    """Claim and settle until told to stop, or until the supervisor is gone and the workers have ended."""
    signal.signal(signal.SIGTERM, ignore)  # its end is the supervisor's to say, and after the workers'
    # What it makes for each task has no cycles, and goes with the last reference to it. To look for cycles
    # now and then among the tasks in hand, and in all of the application's modules, would be in vain.
    gc.freeze()
    gc.set_threshold(100_000)
    huey.emitter.silence = board
    try:
        if owner is None:  # the first dispatcher of this consumer
            flush_locks(huey, options)
            with huey.storage.batch():
                owner = huey.storage.register(supervisor)
                huey.storage.attend(owner, identify())
        else:
            _attend(huey, owner)
        dispatcher = Dispatcher(huey, options, owner, control, board, rings)
    except StorageBusy as error:
        if owner is None and isinstance(error, StorageUnreachable):
            control.send(notices.Failed(str(error)))
        else:  # another try may do better
            logger.error("%s", error)  # noqa: TRY400 -- the text says it all
        return 1
    except StorageError as error:
        control.send(notices.Failed(str(error)))
        return 1
    control.send(notices.Ready(owner, os.getpid()))
    return dispatcher.run()


def _attend(huey: Huey, owner: int) -> None:
    """Take over from a dispatcher that died; the workers go on meanwhile, even while there is no storage."""
    outage = Outage(huey.storage)
    while True:
        try:
            huey.storage.attend(owner, identify())
        except (StorageFull, StorageUnreachable) as error:
            outage.goes_on(error, clock.monotonic())
            time.sleep(_RETRY_STORAGE_AFTER)
        else:
            outage.is_over(clock.monotonic())
            return


def worker_main(
    huey: Huey, options: ConsumerOptions, spec: ChildSpec, control: Control, board: Board, rings: Rings
) -> int:
    """Run tasks until told to stop, or until nobody is left who could give any."""
    os.setsid()  # what a task sends to its process group, it sends to its own processes
    huey.registry.in_worker = True
    huey.emitter.silence = board
    lines: list[int] = []
    while len(lines) < options.per_process:
        received = control.receive()
        if received is None:
            return 1  # the supervisor is gone
        lines += received[1]
    first = spec.place * options.per_process
    if options.worker_type == "process":
        _be_worker(huey, options, control, adopt(lines[0]), first, board, rings)
    else:
        _be_host(huey, options, control, lines, first, board, rings)
    huey.storage.close()
    return 0


def _be_worker(
    huey: Huey,
    options: ConsumerOptions,
    control: Control,
    line: socket.socket,
    index: int,
    board: Board,
    rings: Rings,
) -> None:
    """Be one worker."""
    timer = Timer(board, index)
    timer.install()
    memory = None if options.max_memory is None else PrivateMemory(os.getpid(), options.max_memory)
    worker = Worker(huey, index, line, board, rings, int(options.lease * clock.SECOND), timer, memory)
    huey.hooks.startup.run()
    control.send(notices.WorkerReady(os.getpid()))
    control.close()  # the rest is said by its end; tasks are not to write into it
    logging.getLogger("huey.worker").debug("Worker %d is ready, pid %d", index + 1, os.getpid())
    timer.take_stock()
    worker.work()
    huey.hooks.shutdown.run()


def _be_host(
    huey: Huey,
    options: ConsumerOptions,
    control: Control,
    lines: list[int],
    first: int,
    board: Board,
    rings: Rings,
) -> None:
    """Be a process of several workers."""
    patched = is_patched()
    if patched:
        begin()
    ends = [CooperativeLine(fd) if patched else adopt(fd) for fd in lines]
    host = Host(huey, options, control, ends, first, board, rings)
    host.install()
    host.start()
    control.send(notices.WorkerReady(os.getpid()))
    logging.getLogger("huey.worker").debug("%d workers are ready, pid %d", len(lines), os.getpid())
    host.run()
