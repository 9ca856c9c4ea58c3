"""When a failed task comes back, in each of the ways in which tasks are run."""

from datetime import UTC

import pytest

from liteq import RetryTask


def eta_of_the_retry(app, clock):
    """Seconds from now until the one task that is scheduled; 0 if it is ready."""
    scheduled = app.huey.scheduled()
    return (scheduled[0].eta.replace(tzinfo=UTC).timestamp() - clock.now / 1e6) if scheduled else 0


def waits(stored, clock, **options):
    """The seconds before each retry of a task that always fails."""

    @stored.huey.task(**options)
    def fail():
        raise ValueError("no")

    fail()
    stored.run()
    found = []
    while stored.huey.scheduled_count():
        found.append(eta_of_the_retry(stored, clock))
        clock.advance(found[-1])
        stored.run()
    return found


def test_the_delay_grows(stored, clock):
    assert waits(stored, clock, retries=4, retry_delay=2, retry_backoff=3) == pytest.approx([2, 6, 18, 54])


def test_the_delay_grows_to_its_bound(stored, clock):
    options = {"retries": 5, "retry_delay": 2, "retry_backoff": 3, "retry_max_delay": 20}
    assert waits(stored, clock, **options) == pytest.approx([2, 6, 18, 20, 20])


def test_jitter_spreads_the_retries_of_tasks_that_failed_together(app, clock):
    @app.huey.task(retries=1, retry_delay=100, retry_jitter=0.5)
    def fail():
        raise ValueError("no")

    for _ in range(20):
        fail()
    app.run()
    found = [task.eta.replace(tzinfo=UTC).timestamp() - clock.now / 1e6 for task in app.huey.scheduled()]
    assert len(set(found)) > 10
    assert 49.9 < min(found) < 75 < max(found) < 100.1


def test_jitter_does_not_touch_a_delay_that_was_asked_for(app, clock):
    @app.huey.task(retry_jitter=1, retry_max_delay=5)
    def wait():
        raise RetryTask(delay=60)

    wait()
    app.run()
    assert eta_of_the_retry(app, clock) == pytest.approx(60)


def test_the_number_of_retries_that_are_left(app):
    @app.huey.task(retries=2, retries_as_argument=True)
    def fail(retries):
        app.note(retries)
        raise ValueError("no")

    fail()
    app.run()
    assert app.log == [2, 1, 0]


def test_the_task_by_either_name(app):
    for number, options in enumerate(({"context": True}, {"include_task": True})):
        app.huey.task(name=f"t{number}", **options)(lambda a, task: app.note((a, task.name)))(number)
    app.run()
    assert app.log == [(0, "t0"), (1, "t1")]
