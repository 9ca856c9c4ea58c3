"""The application and the consumers of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .consumer import Consumer, write_app

Consume = Callable[..., Consumer]
Declare = Callable[[str], Any]


@pytest.fixture
def declare(tmp_path: Path) -> Iterator[Declare]:
    """Writes the application with more source at its end; a later call replaces it."""
    written = []

    def write(more: str) -> Any:
        written.append(write_app(tmp_path, more))
        return written[-1]

    yield write
    for module in written:
        module.huey.storage.close()


@pytest.fixture
def app(declare: Declare) -> Any:
    """The application as it is."""
    return declare("")


@pytest.fixture
def kind() -> str:
    """What the workers of consumers are; `every_kind` and `shared_kinds` have a test run with others."""
    return "process"


@pytest.fixture
def launch(tmp_path: Path, kind: str) -> Iterator[Consume]:
    """Starts consumers and does not wait for them; what is left of them at the end of the test is killed."""
    consumers = []

    def start(*options: str, application: str = "app.huey") -> Consumer:
        options = options if kind == "process" else ("-k", kind, *options)
        consumers.append(Consumer(tmp_path, *options, application=application))
        return consumers[-1]

    yield start
    for consumer in consumers:
        consumer.clean_up()


@pytest.fixture
def consume(launch: Consume) -> Consume:
    """Starts consumers, and waits until they are ready."""

    def start(*options: str) -> Consumer:
        return launch(*options).wait_ready()

    return start
