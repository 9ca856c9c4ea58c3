"""Stands between a server and those who use it, and cuts connections in the middle of replies."""

from __future__ import annotations

import random
import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

_AT_ONCE = 65_536


class Proxy:
    """Passes bytes on, until it is told to cut.

    Args:
        front: the path of the socket at which it is found.
        server: that of the server.
    """

    def __init__(self, front: Path, server: Path) -> None:
        self._server = server
        self._cuts = 0
        self._lock = threading.Lock()
        self._chance = random.Random(str(front))
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(front))
        self._listener.listen(100)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut the connection on which the next reply comes: it was done, and nobody hears of it."""
        with self._lock:
            self._cuts += 1

    @property
    def is_done(self) -> bool:
        """Whether all cuts have been made."""
        return not self._cuts

    def close(self) -> None:
        """Accept nobody any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server, suppress(OSError):
            server.connect(str(self._server))
            with selectors.DefaultSelector() as selector:
                selector.register(client, selectors.EVENT_READ, server)
                selector.register(server, selectors.EVENT_READ, client)
                while all(self._pass_on(key.fileobj, key.data, server) for key, _ in selector.select()):
                    pass

    def _pass_on(self, source: Any, target: socket.socket, server: socket.socket) -> bool:
        """False if the connection has come to its end."""
        piece = source.recv(_AT_ONCE)
        if source is server and piece and self._is_to_cut():
            target.sendall(piece[: self._chance.randrange(len(piece))])
            return False
        target.sendall(piece)
        return bool(piece)

    def _is_to_cut(self) -> bool:
        with self._lock:
            cuts = self._cuts > 0
            self._cuts -= cuts
        return cuts
