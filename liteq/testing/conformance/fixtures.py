"""What the tests of the suite are given; all of it stands on the fixture `make_storage` of the backend's owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from liteq.messages import ClaimKey, Disposition
from liteq.storage.base import Storage, Subscription, WakeSource
from liteq.testing.conformance.building import NOW, identity, settle, settlement

MakeStorage = Callable[[str], Storage]
OpenQueue = Callable[..., Storage]


@pytest.fixture
def open_queue(make_storage: MakeStorage) -> Iterator[OpenQueue]:
    """Opens handles, each closed at the end of the test; the same name again is the same queue, if shared."""
    opened: list[Storage] = []

    def open_(name: str = "huey") -> Storage:
        opened.append(make_storage(name))
        return opened[-1]

    yield open_
    for storage in opened:
        storage.close()


@pytest.fixture
def storage(open_queue: OpenQueue) -> Storage:
    """An empty queue."""
    return open_queue()


@pytest.fixture
def second(storage: Storage, open_queue: OpenQueue) -> Storage:
    """Another connection to the same queue, open already."""
    if not storage.capabilities.shared:
        pytest.skip("this backend has no second connection")
    handle = open_queue()
    assert handle.pending_count() == 0
    return handle


@pytest.fixture
def many() -> int:
    """How many messages there are where it matters that they are many.

    The default is more than our backends look at in one step. A backend that looks at all of them with each
    verb has no such steps, and may do with fewer, by a fixture of the same name in its test module.
    """
    return 5_000


@pytest.fixture
def neighbour(storage: Storage, open_queue: OpenQueue) -> Storage:
    """Another queue in the same place."""
    return open_queue("neighbour")


@pytest.fixture
def owner(storage: Storage) -> int:
    """A registered consumer."""
    return storage.register(identity(1))


@pytest.fixture
def stranger(storage: Storage, owner: int) -> int:
    """Another registered consumer."""
    return storage.register(identity(2))


@pytest.fixture
def listen(storage: Storage) -> Iterator[Callable[[Storage], Subscription]]:
    """Subscribes to the live events of a queue; what is left open is closed."""
    if not storage.capabilities.events:
        pytest.skip("this backend has no live events")
    opened: list[Subscription] = []

    def subscribe(queue: Storage) -> Subscription:
        opened.append(queue.subscribe())
        return opened[-1]

    yield subscribe
    for subscription in opened:
        subscription.close()


@pytest.fixture
def source(storage: Storage) -> Iterator[WakeSource]:
    """What a consumer waits for."""
    found = storage.work_source()
    if found is None:
        pytest.skip("this backend is polled")
    yield found
    found.close()


Change = Callable[[Storage, ClaimKey], object]

_CHANGES: dict[str, Change] = {
    "done": lambda storage, key: settle(storage, key, results=(("key", b"value"),)),
    "done without a result": settle,
    "dead": lambda storage, key: settle(storage, key, Disposition.DEAD, results=(("key", b"value"),)),
    "apply": lambda storage, key: storage.apply(settlement(key, results=(("key", b"value"),)), NOW),
    "put_result": lambda storage, _: storage.put_result("key", b"value"),
    "put_if_empty": lambda storage, _: storage.put_if_empty("key", b"value", now=NOW),
    "flush": lambda storage, _: storage.flush(),
}


@pytest.fixture(params=_CHANGES)
def change(request: pytest.FixtureRequest) -> Change:
    """Something after which a waiter has to look again."""
    return _CHANGES[request.param]
