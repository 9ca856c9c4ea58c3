"""Live events by a Redis server."""

from __future__ import annotations

import pytest

from liteq import StorageError

from .consumer import PATIENCE, kill, wait_until
from .test_events import APPLICATION, ENDS, RUN, listen
from .test_redis import client, server

__all__ = ["client", "listen", "server"]


@pytest.fixture
def app(declare, server):  # noqa: F811 -- the server must be there
    del server
    return declare(APPLICATION)


def test_the_events_of_each_end_for_two_listeners(app, consume, listen):  # noqa: F811 -- fixtures are so
    consume("-w", "2")
    listeners = listen(), listen()
    ids = {name: getattr(app, name)().id for name in ENDS}
    for listener in listeners:
        for name, expected in ENDS.items():
            listener.wait_for(ids[name], expected)


def test_a_crash(app, consume, listen):  # noqa: F811 -- the same
    consume("--max-crashes", "2")
    died = ["started", "worker-died", "crashed"]
    listen().wait_for(app.kill_itself().id, ["enqueued", *died, *died, "dead"])


def test_a_killed_listener_is_forgotten(app, listen):  # noqa: F811 -- the same
    listener = listen()
    assert app.huey.storage.has_subscribers()
    kill(listener.process.pid)
    listener.process.wait()
    wait_until(lambda: not app.huey.storage.has_subscribers())


def test_a_connection_that_the_server_ended_is_made_anew(app, consume, client):  # noqa: F811 -- the same
    consume()
    with app.huey.events(timeout=PATIENCE) as events:
        client.client_kill_filter(_type="pubsub")
        assert next(events) == {"status": "dropped", "count": 1, "queue": app.huey.name}
        app.nothing()
        assert [next(events)["status"] for _ in range(3)] == ["enqueued", *RUN]


def test_a_server_that_is_gone(app, server):  # noqa: F811 -- the same
    with app.huey.events(timeout=PATIENCE) as events:
        server.end()
        for _ in range(2):
            with pytest.raises(StorageError, match="Redis at"):
                next(events)
        server.start()
        assert next(events) == {"status": "dropped", "count": 1, "queue": app.huey.name}
        wait_until(app.huey.emitter.is_listened)
        app.nothing()
        assert next(events)["status"] == "enqueued"
