"""Servers that can't be used: calls, consumers and `liteq status` say what is wrong, and no password."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from liteq import StorageError
from tests.servers import RedisServer, need_redis

from .consumer import PATIENCE, ROOT, get, wait_until


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Starts servers, which are ended with the test."""
    need_redis()
    servers = []

    def start(*options: str) -> RedisServer:
        folder = tmp_path / f"redis{len(servers)}"
        folder.mkdir()
        servers.append(RedisServer(folder, *options).start())
        return servers[-1]

    yield start
    for server in servers:
        server.remove()


def two_ports() -> int:
    """A port that is free, and so is the one that a node of a cluster opens beside it."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port + 10_000 < 2**16 and second.connect_ex(("127.0.0.1", port + 10_000)):
                return port


def cluster_node(serve: Callable[..., RedisServer]) -> RedisServer:
    return serve("--cluster-enabled", "yes", "--bind", "127.0.0.1", "--port", str(two_ports()))


def no_server(serve: Callable[..., RedisServer]) -> str:
    server = serve()
    server.end()
    return server.url


REFUSALS: dict[str, tuple[Callable[[Any], str], str]] = {
    "no server": (no_server, "the server can't be reached; check that it runs, and the url"),
    "no password": (lambda serve: serve("--requirepass", "secret").url, "refuses the user or the password"),
    "wrong password": (
        lambda serve: serve("--requirepass", "secret").url.replace("unix://", "unix://:topsecret@"),
        "refuses the user or the password, or wants one; correct the url",
    ),
    "no such database": (lambda serve: f"{serve().url}?db=99", "the server has no database of that number"),
    "replica": (lambda serve: serve("--replicaof", "127.0.0.1", "1").url, "the server is a replica; name"),
    "cluster that is not complete": (lambda serve: cluster_node(serve).url, "the cluster is not complete"),
    "cluster, database 1": (
        lambda serve: f"{cluster_node(serve).url}?db=1",
        "a cluster has the database 0 only",
    ),
}


def status(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "liteq", "status", "app.huey"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize("what", REFUSALS)
def test_a_server_that_cannot_be_used(serve, declare, launch, tmp_path, monkeypatch, what):
    make, text = REFUSALS[what]
    monkeypatch.setenv("LITEQ_TEST_REDIS", make(serve))
    app = declare("")  # making a queue opens nothing
    with pytest.raises(StorageError, match=text) as caught:
        app.add(1, 2)
    consumer = launch()
    shown = status(tmp_path)
    assert (consumer.wait(), shown.returncode) == (3, 1)
    for told in (str(caught.value), consumer.log, shown.stderr):
        assert text in told
        assert "secret" not in told
        assert "Traceback" not in told
    assert consumer.log.splitlines()[-1].startswith("liteq: Redis at ")


def test_a_node_that_has_all_slots_of_its_cluster_serves_a_queue(serve, declare, consume, monkeypatch):
    server = cluster_node(serve)
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        for first in range(0, 16_384, 2_048):  # Redis 6.2 has no command for a range
            client.execute_command("CLUSTER", "ADDSLOTS", *range(first, first + 2_048))
        wait_until(
            lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO").replace(b"\r", b"")
        )
    monkeypatch.setenv("LITEQ_TEST_REDIS", server.url)
    app = declare("")
    consumer = consume("-w", "2")
    assert get(app.add.map([(n, n) for n in range(50)])) == [2 * n for n in range(50)]
    assert consumer.stop() == 0


def test_a_mistake_in_the_application_is_shown_without_its_line(launch, tmp_path):
    (tmp_path / "app.py").write_text(
        "from liteq import RedisHuey\n\nhuey = RedisHuey('shop', url='redis://:secret@host:x')\n"
    )
    consumer = launch()
    assert (consumer.wait(), status(tmp_path).returncode) == (1, 2)
    for told in (consumer.log, status(tmp_path).stderr):
        assert "the port in the url is no number from 1 to 65535" in told
        assert 'app.py", line 3' in told
        assert "secret" not in told
