"""The options of queues on a Redis server, and of all others: what is wrong is refused, and told without secrets."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import redis

from liteq import (
    BlackHoleHuey,
    ConfigurationError,
    FileHuey,
    Huey,
    MemoryHuey,
    PriorityRedisExpireHuey,
    PriorityRedisHuey,
    RedisExpireHuey,
    RedisHuey,
    SqliteHuey,
)
from liteq.storage import RedisStorage
from liteq.storage.contract.misspelt import OF_THE_QUEUE

A_POOL = redis.ConnectionPool(password="secret")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        # Values
        ({"port": "abc"}, "port must be a number from 1 to 65535, not 'abc'"),
        ({"port": 99_999}, "port must be a number from 1 to 65535"),
        ({"host": 7}, "host must be the name of a host, not 7"),
        ({"db": -1}, "db must be the number of a database, 0 or more, not -1"),
        ({"db": "x"}, "db must be the number of a database"),
        ({"db": True}, "db must be the number of a database"),
        ({"socket_timeout": -1}, "socket_timeout must be a number of seconds above 0"),
        ({"socket_connect_timeout": "x"}, "socket_connect_timeout must be a number of seconds"),
        ({"retry": 3}, "retry must be a Retry of redis-py, or None, not 3"),
        ({"client_name": "two words"}, "client_name must be a text without spaces"),
        ({"decode_responses": True}, "decode_responses must be False"),
        ({"read_timeout": "long"}, "read_timeout must be a number of seconds, not 'long'"),
        ({"expire_time": 0}, "expire_time must be more than 0"),
        ({"history": -1}, "history must be a number of entries"),
        ({"max_connections": "x"}, "redis-py refuses the options of the queue: .*max_connections"),
        # Names
        ({"pasword": "secret"}, "has no option pasword; did you mean password"),
        ({"expire_tme": 7}, "has no option expire_tme; did you mean expire_time"),
        ({"imediate": True}, "did you mean immediate"),
        ({"filename": "queue.db"}, "has no option filename; it has blocking, .*, url, "),
        # One server, said once
        ({"url": "redis://localhost", "host": "other"}, "name the server once: the url says host, or should"),
        ({"url": "redis://localhost/1", "db": 2}, "name the server once: the url says db"),
        ({"url": "redis://:secret@h", "password": "s2"}, "name the server once: the url says password"),
        (
            {"url": "redis://h", "unix_socket_path": "/s"},
            "name the server once: the url says unix_socket_path",
        ),
        ({"url": "rediss://h", "ssl": False}, "ssl is said by the url"),
        ({"unix_socket_path": "/s", "port": 1}, "name the server once: a unix_socket_path has no port"),
        ({"connection_pool": A_POOL, "db": 3}, "name the server once: a connection_pool has all options, db"),
        ({"connection_pool": A_POOL, "url": "redis://h"}, "name the server once: .* url among them"),
        (
            {"connection_pool": redis.ConnectionPool(client_name="web"), "client_name": "me"},
            "name the server once: .* client_name among them",
        ),
        # Pools
        (
            {"connection_pool": 7},
            "connection_pool must be a ConnectionPool of redis-py, .* not a builtins.int",
        ),
        ({"connection_pool": redis.Redis(password="secret")}, "no client .* not a redis.client.Redis"),
        ({"connection_pool": redis.ConnectionPool(decode_responses=True)}, "decode_responses must be False"),
    ],
    ids=range(31),
)
def test_options_that_cannot_be_are_refused_at_once(options, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        RedisHuey("q", **options)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://u:secret@host", "begins with redis:// or rediss:// or unix://"),
        ("localhost:6379", "begins with redis://"),
        ("redis//u:secret@host", "begins with redis://"),
        ("", "begins with redis://"),
        (b"redis://:secret@host", "url must be a text, .* not a value of type bytes"),
        ("redis://h:secret/0", "the port in the url is no number from 1 to 65535"),
        ("redis://u:secret@h:0", "the port in the url is no number"),
        ("redis://u:secret@h:65536", "the port in the url is no number"),
        ("redis://[u:secret@h", "the host in the url is none"),
        ("redis://u:se/secret@host", "percent-encode"),
        ("redis://:12?secret@host:6379", "percent-encode"),
        ("redis://:12#secret@host:6379", "percent-encode"),
        ("redis://u:secret@h/shop", "what follows the host in the url is no number of a database"),
        ("redis://u:secret@h/1.5", "what follows the host in the url is no number"),
        ("redis://u:secret@h/-1", "what follows the host in the url is no number"),
        ("redis://u:secret@h/0/1", "what follows the host in the url is no number"),
        ("unix://", "the url lacks the path of the socket"),
        ("redis://u:secret@h?socket_timeout=secret", "redis-py refuses what the url says of socket_timeout"),
        ("redis://u:secret@h?sokcet_timeout=3", "sokcet_timeout"),
    ],
    ids=range(19),
)
def test_a_wrong_url_is_not_told_for_there_may_be_a_password_in_it(url, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        RedisHuey("q", url=url)
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "redis://u:p%40%2F@host:7/3?socket_timeout=2", "blocking": False},
        {"url": "redis://[::1]", "db": 3},
        {"url": "redis://host/", "password": "secret", "username": "me"},
        {"url": "unix:///path?db=3", "client_name": "me"},
        {"unix_socket_path": "/path", "db": 3},
        {"host": "host", "port": "6379", "db": "3", "ssl": True, "read_timeout": None},
        {"connection_pool": A_POOL, "blocking": False, "history": 0, "client_name": "me"},
        {"notify_result": True, "notify_result_ttl": 60, "clean_name": "q"},
    ],
    ids=range(8),
)
def test_options_that_can_be(options):
    assert RedisHuey("q", **options).storage.describe().startswith("Redis at ")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SqliteHuey("q", filname="x"), "SqliteStorage has no option filname; did you mean filename"),
        (
            lambda: SqliteHuey("q", url="redis://:secret@h"),
            "SqliteStorage has no option url; it has cache_mb,",
        ),
        (lambda: FileHuey("q", path="x", fsnc=1), "FileStorage has no option fsnc; did you mean fsync"),
        (lambda: FileHuey("q", path="x", expire_tme=1), "did you mean expire_time"),
        (lambda: MemoryHuey("q", histry=1), "MemoryStorage has no option histry; did you mean history"),
        (lambda: MemoryHuey("q", imediate=True), "did you mean immediate"),
        (lambda: BlackHoleHuey("q", expire_tme=1), "BlackHoleStorage has no option expire_tme; did you mean"),
        (
            lambda: Huey("q", storage_class=RedisStorage, prt=1),
            "RedisStorage has no option prt; did you mean port",
        ),
    ],
    ids=range(8),
)
def test_every_backend_names_the_option_that_was_meant(make, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        make()
    assert "secret" not in str(caught.value)


def test_options_of_the_queue_itself_are_known():
    parameters = [*inspect.signature(Huey.__init__).parameters][1:-1]
    assert sorted(OF_THE_QUEUE) == sorted(parameters)


@pytest.mark.parametrize("flavour", [RedisHuey, PriorityRedisHuey, RedisExpireHuey, PriorityRedisExpireHuey])
def test_a_backend_of_one_s_own(flavour, tmp_path):
    from liteq.storage import SqliteStorage

    huey = flavour("q", storage_class=SqliteStorage, filename=tmp_path / "queue.db")
    assert isinstance(huey.storage, SqliteStorage)


def test_a_pool_of_the_application_s_own_is_used(shared_redis, make_redis):
    pool = redis.ConnectionPool.from_url(shared_redis.url)
    assert make_redis(connection_pool=pool, url=None).pending_count() == 0


def test_making_a_queue_opens_nothing():
    huey = RedisHuey("q", host="192.0.2.1", port=1, password="secret")
    assert "192.0.2.1:1, database 0" in huey.storage.describe()
    assert "secret" not in huey.storage.describe()


# redis-py


def ends(code: str) -> str:
    """The last words of a program."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


def test_without_redis_py_it_says_what_to_install():
    code = "import sys; sys.modules['redis'] = None; import liteq; liteq.RedisHuey()"
    assert "RedisHuey needs redis-py: install liteq[redis]" in ends(code)


@pytest.mark.parametrize("version", ["2.10.6", "4.6.0", "5.2.1"])
def test_an_old_redis_py_is_refused(version):
    code = f"import sys, types; old = types.ModuleType('redis'); old.__version__ = {version!r}"
    code = f"{code}; sys.modules['redis'] = old; import liteq; liteq.RedisHuey()"
    assert f"redis-py {version} is too old: liteq needs 5.3 or newer; install liteq[redis]" in ends(code)
