"""What is too long, too large or no text at all is refused in the caller, by each backend, and nothing is stored."""
# ruff: noqa: DTZ001, DTZ901 -- naive datetimes are a part of what is tested

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest

from liteq import ConfigurationError, MemoryHuey, RetryTask, SqliteHuey, TaskException, crontab
from liteq.bounds import LARGEST, LONGEST_NAME, LONGEST_PIPELINE
from liteq.exceptions import SerializationError
from liteq.serializer import JSONSerializer

LONG, SURROGATE = "x" * 10_000_000, "a\ud800b"
CONTROL = ("a\0b", "a\nb", "\x1b[31mred", "a\x9bb", "a\u2028b", "\r")


@pytest.fixture(params=["sqlite", "memory"])
def huey(request, filename):
    huey = MemoryHuey() if request.param == "memory" else SqliteHuey(filename=filename, durability="off")
    yield huey
    huey.storage.close()


@pytest.fixture
def echo(huey):
    @huey.task()
    def echo(value=None):
        return value

    return echo


def is_empty(huey):
    return not any(huey.counts()) and not huey.result_count() and not len(huey.schedules)


# Names

LINES = {
    "a task's id": lambda huey, echo, name: echo(id=name),
    "the id of a task that was made by hand": lambda huey, echo, name: huey.enqueue(echo.task_class(id=name)),
    "the id of a later stage": lambda huey, echo, name: huey.enqueue(echo.s().then(echo.task_class(id=name))),
    "the id of an error handler": lambda huey, echo, name: huey.enqueue(
        echo.s().error(echo.task_class(id=name))
    ),
    "a revoked id": lambda huey, echo, name: huey.revoke_by_id(name),
    "a task's name": lambda huey, echo, name: huey.task(name=name)(lambda: 1),
    "a schedule": lambda huey, echo, name: huey.schedules.add(name, echo, crontab()),
    "a queue": lambda huey, echo, name: type(huey)(name),
}
NAMES = {
    "a lock": lambda huey, echo, name: huey.lock_task(name).acquire(),
    "a rate limit": lambda huey, echo, name: huey.rate_limit(name, 1, 1).acquire(),
    "a counter": lambda huey, echo, name: huey.incr(name),
    "a key": lambda huey, echo, name: huey.put(name, 1),
    "a key of a result": lambda huey, echo, name: huey.put_result(name, 1),
    "a key that is empty": lambda huey, echo, name: huey.put_if_empty(name, 1),
}


@pytest.mark.parametrize("what", [*LINES, *NAMES])
@pytest.mark.parametrize(
    "name", [LONG, SURROGATE, "é" * (LONGEST_NAME + 1)], ids=["long", "surrogate", "characters"]
)
def test_a_name_that_cannot_be_stored(huey, echo, what, name):
    with pytest.raises(
        (ValueError, ConfigurationError), match=r"characters, and may have 4,000|lone surrogate"
    ) as caught:
        {**LINES, **NAMES}[what](huey, echo, name)
    assert len(str(caught.value)) < 200
    assert is_empty(huey)


@pytest.mark.parametrize("what", LINES)
@pytest.mark.parametrize("name", CONTROL, ids=ascii)
def test_control_characters_in_what_people_read(huey, echo, what, name):
    with pytest.raises((ValueError, ConfigurationError), match="must have no control characters"):
        LINES[what](huey, echo, name)
    assert is_empty(huey)


@pytest.mark.parametrize("what", [*LINES, *NAMES])
@pytest.mark.parametrize(
    "name", ["x" * 3_900, "名前", "a b\u00a0c", "\U0001f600"], ids=["long", "kanji", "spaces", "face"]
)
def test_names_that_can(huey, echo, what, name):
    {**LINES, **NAMES}[what](huey, echo, name)


@pytest.mark.parametrize("what", NAMES)
@pytest.mark.parametrize("name", CONTROL, ids=ascii)
def test_keys_and_locks_may_be_any_text(huey, echo, what, name):
    NAMES[what](huey, echo, name)
    assert huey.incr(name) == (2 if what == "a counter" else 1)


@pytest.mark.parametrize("id", [5, b"x", ("a",)])
def test_an_id_that_is_no_text(huey, echo, id):
    with pytest.raises(ValueError, match="must be a text"):
        huey.enqueue(echo.task_class(id=id))
    assert is_empty(huey)


# Numbers


def number_in_words(number):
    return str(number)[:9] if abs(number) != 10**5000 else "huge"


@pytest.mark.parametrize(
    "priority",
    [LARGEST + 1, -LARGEST - 1, 10**5000, 1.5, float("inf"), float("nan"), True],
    ids=number_in_words,
)
def test_a_priority_that_cannot_be_stored(huey, echo, priority):
    for call in (lambda: echo(priority=priority), lambda: huey.enqueue(echo.task_class(priority=priority))):
        with pytest.raises(ValueError, match="priority must be a whole number, of 64 bits at most") as caught:
            call()
        assert len(str(caught.value)) < 200
    assert is_empty(huey)


def test_priorities_to_the_very_end(huey, echo):
    for priority in (0, -LARGEST, LARGEST, 1 - LARGEST, LARGEST - 1):
        echo(priority=priority)
    taken = [huey.dequeue().priority for _ in range(5)]
    assert taken == [LARGEST, LARGEST - 1, 0, 1 - LARGEST, -LARGEST]


DURATIONS = ("delay", "expires", "timeout", "retry_delay", "retry_backoff")


@pytest.mark.parametrize("option", [*DURATIONS, "retries"])
@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -1, 2**63, 10**400, 10**5000],
    ids=number_in_words,
)
def test_numbers_that_mean_nothing(huey, echo, option, value):
    with pytest.raises(ValueError, match=rf"{option} must be") as caught:
        echo(**{option: value})
    assert len(str(caught.value)) < 200
    assert is_empty(huey)


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda huey, number: huey.rate_limit("r", number, 1), "limit must be"),
        (lambda huey, number: huey.rate_limit("r", 1, number), "per must be"),
        (lambda huey, number: huey.lock_task("l", ttl=number), "ttl must be"),
        (lambda huey, number: huey.put_if_empty("k", 1, ttl=number), "ttl must be"),
        (lambda huey, number: huey.incr("c", number), "amount must be"),
        (lambda huey, number: huey.delete_dead(older_than=number), "older_than must be"),
    ],
)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**5000], ids=["nan", "inf", "huge"])
def test_numbers_elsewhere(huey, echo, use, told, number):
    with pytest.raises(ValueError, match=told):
        use(huey, number)
    assert is_empty(huey)


@pytest.mark.parametrize("look", ["pending", "scheduled", "running", "dead", "history"])
def test_how_many_of_a_list(huey, echo, look):
    echo()
    for limit in (None, -1, LARGEST, 10**400):
        assert len(getattr(huey, look)(limit)) == (look == "pending")
    assert getattr(huey, look)(0) == []
    for limit in (1.5, float("inf"), "1", True):
        with pytest.raises(ValueError, match="limit must be a whole number"):
            getattr(huey, look)(limit)


# Times


@pytest.mark.parametrize(
    "eta",
    [
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_a_time_outside_of_the_calendar(huey, echo, eta):
    for call in (
        lambda: echo(eta=eta),
        lambda: echo.schedule((), eta=eta),
        lambda: echo(expires=eta),
        lambda: echo.revoke(revoke_until=eta),
    ):
        with pytest.raises(ValueError, match="is not in the years 1 to 9999 everywhere"):
            call()
    assert is_empty(huey)


def test_the_last_moment_of_the_calendar(huey, echo):
    echo(eta=datetime.max.replace(tzinfo=UTC), expires=10**9)
    [task] = huey.scheduled()
    assert (task.eta, task.expires_resolved) == (datetime.max, datetime.max)


@pytest.mark.parametrize(
    "asked", [{"delay": float("inf")}, {"delay": 10**400}, {"delay": timedelta.max}, {"eta": datetime.max}]
)
def test_a_retry_that_never_comes_is_a_failure(huey, asked):
    @huey.task()
    def again():
        raise RetryTask(**asked)

    result = again()
    huey.execute(huey.dequeue())
    # From Python 3.13 on the last moment of all has no local time even in UTC.
    with pytest.raises(
        TaskException, match="delay must be a finite number of seconds|eta .* is not in the years"
    ):
        result()


# Length


@pytest.mark.parametrize("attribute", ["on_complete", "on_error"])
def test_a_pipeline_that_is_too_long(huey, echo, attribute):
    def pipeline(number):
        first = last = echo.s()
        for _ in range(number - 1):
            setattr(last, attribute, echo.s())
            last = getattr(last, attribute)
        return first

    huey.enqueue(pipeline(LONGEST_PIPELINE))
    assert huey.execute(huey.dequeue()) is None
    huey.flush()
    endless = pipeline(2)
    setattr(getattr(endless, attribute), attribute, endless)
    for task in (pipeline(LONGEST_PIPELINE + 1), pipeline(100_000), endless):
        with pytest.raises(ValueError, match=r"echo leads to more than 500 stages and error handlers"):
            huey.storage.put([huey.message_of(task)], 0)
    assert is_empty(huey)


# Depth, and expressions that take long


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def test_values_that_are_nested_too_deeply_are_refused_or_come_back(filename):
    huey = SqliteHuey(filename=filename, durability="off", serializer=JSONSerializer())

    @huey.task()
    def take(value): ...

    take(nested(200))
    with pytest.raises(
        SerializationError, match="argument 1, of type list, does not serialize: RecursionError"
    ):
        take(nested(100_000))
    message = huey.message_of(take.s(1))
    huey.storage.put([message._replace(data=b"[" * 1_000_000)], 0)
    huey.dequeue()
    with pytest.raises(RecursionError):
        huey.dequeue()
    [dead] = huey.dead()
    assert dead.reason.startswith("can't be decoded: RecursionError")
    huey.storage.close()


@pytest.mark.parametrize(
    "field",
    [
        "1," * 500_000 + "1",
        "a" * 1_000_000,
        "1-" * 500_000,
        "9" * 4_000,
        "*/" + "9" * 4_000,
        "1-5/" + "9" * 4_000,
        "٣",
    ],
    ids=["many", "word", "dashes", "digits", "step", "step of a span", "foreign digit"],
)
def test_a_crontab_is_read_in_time_that_grows_with_its_length(field):
    started = time.perf_counter()
    with suppress(ValueError):
        crontab(minute=field)
    assert time.perf_counter() - started < 10  # it takes 0.2 s; what is not linear would take hours
