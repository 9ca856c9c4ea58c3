"""What is compared: liteq, and the peers, which are installed into an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stress.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"

PACKAGES = ("huey==3.5.4", "redis==5.2.1", "pygal==3.1.3", "gevent==26.9.0")
"""The peer, its client of Redis, what draws the plots, and greenlets."""


@dataclass(frozen=True, slots=True)
class System:
    """A task queue with its settings."""

    name: str
    python: str
    consume: tuple[str, ...]
    """The command of a consumer, without its options."""
    environment: dict[str, str] = field(default_factory=dict)


def liteq(durability: str) -> System:
    """This very checkout."""
    environment = {"BENCH_SYSTEM": "liteq", "BENCH_DURABILITY": durability, "PYTHONPATH": str(ROOT)}
    return System("liteq", sys.executable, (sys.executable, "-m", "liteq", "consume"), environment)


def liteq_on_redis(url: str) -> System:
    """This very checkout, with its queue on the same server as huey's."""
    environment = {"BENCH_SYSTEM": "liteq-redis", "BENCH_REDIS": url, "PYTHONPATH": str(ROOT)}
    return System("liteq, Redis", sys.executable, (sys.executable, "-m", "liteq", "consume"), environment)


def huey(python: Path, durability: str) -> System:
    """SqliteHuey; with durability "full" as it is by default, else with `fsync=False`."""
    name = "huey, SQLite" if durability == "full" else "huey, SQLite, fsync=False"
    environment = {"BENCH_SYSTEM": "huey-sqlite", "BENCH_DURABILITY": durability}
    return System(name, str(python), (str(python), str(python.with_name("huey_consumer"))), environment)


def huey_on_redis(python: Path, url: str) -> System:
    """RedisHuey, with the settings that it and the server have by default."""
    environment = {"BENCH_SYSTEM": "huey-redis", "BENCH_REDIS": url}
    command = (str(python), str(python.with_name("huey_consumer")))
    return System("huey, Redis", str(python), command, environment)


def peers() -> Path:
    """The interpreter of the environment that has the peers, which is made if need be.

    Raises:
        OSError, subprocess.CalledProcessError: if it can't be made, for example without a network.
    """
    folder = BUILD / "peers"
    done = folder / "installed"
    python = folder / "bin" / "python"
    wanted = "\n".join(PACKAGES)
    if not done.exists() or done.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True, symlinks=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
        done.write_text(wanted)
    return python


@contextmanager
def redis(folder: Path) -> Iterator[str | None]:
    """A Redis server of our own on a Unix socket, as it comes; None if none is installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    path = folder / "redis.sock"
    # Nothing but where it is: what it saves, and when, is its own default (snapshots, no append-only file).
    where = ["--port", "0", "--unixsocket", str(path), "--dir", str(folder)]
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen([program, *where], stdout=log, stderr=log)
    try:
        wait_until(lambda: path.exists() or server.poll() is not None)
        yield f"unix://{path}" if server.poll() is None else None
    finally:
        server.terminate()
        server.wait(30)


def load() -> float:
    """How many processes want to run, on average of the last minute."""
    return os.getloadavg()[0]
