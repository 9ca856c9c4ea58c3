"""The supervisor's lines to its children: one wait for all of them."""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable, Iterator
from typing import Any

from liteq.workers.control import Control
from liteq.workers.wire import Garbled

logger = logging.getLogger("huey.consumer")


class Lines:
    """Controls, and what is called when one of them has something to say."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, line: Control | int, callback: Callable[[], None]) -> None:
        """Call back when the line, or another descriptor, can be read."""
        self._selector.register(line, selectors.EVENT_READ, callback)

    def wait(self, timeout: float | None) -> None:
        """Wait until a line has something to say, for `timeout` seconds at the most, and call back."""
        for key, _ in self._selector.select(timeout):
            key.data()

    def messages(self, control: Control) -> Iterator[Any]:
        """All that has been said on a line; one whose other side is gone is forgotten."""
        while control.fileno() >= 0:
            try:
                received = control.receive()
            except BlockingIOError:
                return
            except Garbled as error:
                logger.error("A child has sent rubbish, which is ignored: %s", error)  # noqa: TRY400 -- it says all
                continue
            if received is None:
                self.forget(control)
                return
            yield received[0]

    def forget(self, control: Control) -> None:
        """Close a line, if it is open."""
        if control.fileno() >= 0:
            self._selector.unregister(control)
            control.close()

    def close(self) -> None:
        """Close the wait, not the lines."""
        self._selector.close()
