"""Where the log goes and what it says."""

from __future__ import annotations

import re

from .consumer import get, wait_until


def test_a_log_file(app, launch, tmp_path):
    consumer = launch("-l", "consumer.log")
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0
    written = (tmp_path / "consumer.log").read_text()
    assert "Ready" in written
    assert "Stopped" in written
    assert consumer.log == ""


def test_a_log_file_gets_the_errors_of_tasks(app, launch, tmp_path):
    launch("-l", "consumer.log")
    app.fail()
    wait_until(
        lambda: (
            (tmp_path / "consumer.log").exists() and "went wrong" in (tmp_path / "consumer.log").read_text()
        )
    )


def test_quiet(app, launch):
    consumer = launch("-q")
    assert get(app.add(1, 2)) == 3
    assert consumer.log == ""
    app.fail()
    consumer.wait_log("it went wrong")
    assert consumer.stop() == 0
    assert "INFO" not in consumer.log


def test_simple(app, consume):
    consumer = consume("-S")
    assert consumer.stop() == 0
    for line in consumer.log.splitlines():
        assert re.match(r"[\d-]{10} [\d:,]{12} \w", line), line
    assert "huey.consumer" not in consumer.log
    assert "INFO" not in consumer.log


def test_usual(app, consume):
    consumer = consume()
    assert get(app.add(1, 2)) == 3
    assert consumer.stop() == 0
    for line in consumer.log.splitlines():
        assert re.match(r"\[[^]]+\] INFO:huey\.consumer:\d+:\w", line), line
    assert "app.add" not in consumer.log


def test_verbose(app, consume):
    consumer = consume("-v")
    result = app.add(1, 2)
    assert get(result) == 3
    assert re.search(rf"DEBUG.*Executing app\.add: {result.id}", consumer.log)
    consumer.wait_log("executed in")
    assert re.search(r"Tasks: .*app\.add", consumer.log)
