"""What the children of a consumer run, once they have the application."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time

from liteq import clock
from liteq.api import Huey
from liteq.exceptions import StorageBusy, StorageError, StorageFull, StorageUnreachable
from liteq.identity import Identity, identify
from liteq.workers import wire
from liteq.workers.chores import flush_locks
from liteq.workers.control import Control
from liteq.workers.dispatcher import Dispatcher
from liteq.workers.options import ConsumerOptions
from liteq.workers.outage import Outage
from liteq.workers.process import ignore
from liteq.workers.shared import Board, Journal
from liteq.workers.template import ChildSpec
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
    journal: Journal,
) -> int:
    """Claim and settle until told to stop, or until the supervisor is gone and the workers have ended."""
    signal.signal(signal.SIGTERM, ignore)  # its end is the supervisor's to say, and after the workers'
    try:
        if owner is None:  # the first dispatcher of this consumer
            flush_locks(huey, options)
            with huey.storage.batch():
                owner = huey.storage.register(supervisor)
                huey.storage.attend(owner, identify())
        else:
            _attend(huey, owner)
        dispatcher = Dispatcher(huey, options, owner, control, board, journal)
    except StorageBusy as error:
        if owner is None and isinstance(error, StorageUnreachable):
            control.send(wire.Failed(str(error)))
        else:  # another try may do better
            logger.error("%s", error)  # noqa: TRY400 -- the text says it all
        return 1
    except StorageError as error:
        control.send(wire.Failed(str(error)))
        return 1
    control.send(wire.Ready(owner, os.getpid()))
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
    huey: Huey,
    options: ConsumerOptions,
    spec: ChildSpec,
    control: Control,
    line: socket.socket,
    board: Board,
) -> int:
    """Run tasks until told to stop, or until nobody is left who could give any."""
    os.setsid()  # what a task sends to its process group, it sends to its own processes
    worker = Worker(huey, spec, line, board, int(options.lease * clock.SECOND), options.max_memory)
    huey.registry.in_worker = True
    huey.hooks.startup.run()
    control.send(wire.WorkerReady(os.getpid()))
    control.close()  # the rest is said by its end; tasks are not to write into it
    logging.getLogger("huey.worker").debug("Worker %d is ready, pid %d", spec.place + 1, os.getpid())
    worker.work()
    huey.hooks.shutdown.run()
    huey.storage.close()
    return 0
