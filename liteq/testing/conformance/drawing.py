"""What hypothesis draws for the state machine."""

from __future__ import annotations

import hypothesis.strategies as st

from liteq.messages import Disposition, EndKind, Revocation
from liteq.storage.base import Holder
from liteq.testing.conformance.building import NOW, SECOND, identity

NAMES = ("app.one", "app.two")
RECENT = 10

ids = st.integers(0, RECENT - 1).map(lambda number: f"recent{number}")
"""Stand for the ids that were used last; `Comparison.real` says which."""
due = st.none() | st.integers(-2, 8).map(lambda seconds: NOW + seconds * SECOND)
revocation = st.builds(
    Revocation, until=st.none() | st.integers(-2, 8).map(lambda s: NOW + s * SECOND), once=st.booleans()
)
keys = ids | st.sampled_from([f"rt:{name}" for name in NAMES])
columns = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "priority": st.integers(-1, 2),
        "due": due,
        "at_most_once": st.booleans(),
        "chain": st.lists(ids, max_size=2).map(tuple),
        "attempt": st.integers(0, 2),
        "joins": st.none() | st.tuples(ids, st.integers(0, 2)),
        "gathers": st.none() | st.integers(0, 2),
    }
)
locks = st.builds(
    Holder,
    name=st.sampled_from("ab"),
    token=st.sampled_from("xyz"),
    process=st.sampled_from([1, 2]).map(identity),
)
batches = st.lists(columns, max_size=4)
outcomes = st.fixed_dictionaries(
    {
        "disposition": st.sampled_from(Disposition),
        "status": st.sampled_from(["complete", "retrying", "crashed"]),
        "results": st.lists(st.tuples(ids, st.binary(max_size=3)), max_size=2).map(tuple),
    }
)


ends = st.tuples(st.integers(0, 2), st.sampled_from(EndKind), st.binary(max_size=3))
