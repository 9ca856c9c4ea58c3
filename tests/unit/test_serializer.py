"""Values to bytes and back, compressed or not."""

import gzip
import json
import pickle
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liteq.exceptions import ConfigurationError
from liteq.messages import SKIPPED, Error
from liteq.serializer import Serializer

from .running import python

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
KINDS = {
    "plain": {},
    "gzip": {"compression": True},
    "zlib": {"compression": True, "use_zlib": True},
}


@pytest.fixture(params=KINDS)
def serializer(request):
    return Serializer(**KINDS[request.param])


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@given(value=VALUES)
def test_there_and_back(options, value):
    serializer = Serializer(**options)
    data = serializer.serialize(value)
    assert isinstance(data, bytes)
    assert serializer.deserialize(data) == value


def test_lambdas_and_closures_travel(serializer):
    def outer(n):
        return lambda x: x + n

    assert serializer.deserialize(serializer.serialize(outer(3)))(4) == 7


def test_a_class_of_a_main_module_travels(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from liteq.serializer import Serializer\n"
        "class Point:\n"
        "    def __init__(self, x): self.x = x\n"
        "    def twice(self): return 2 * self.x\n"
        "print(Serializer().serialize(Point(21)).hex())\n"
    )
    data = bytes.fromhex(python(script))
    assert Serializer().deserialize(data).twice() == 42


def test_what_cannot_be_serialized_raises(serializer):
    with pytest.raises((TypeError, pickle.PicklingError)):
        serializer.serialize(x for x in ())


def test_the_compressed_forms_are_those_of_the_standard():
    value = "a" * 1000
    assert Serializer().deserialize(gzip.decompress(Serializer(True).serialize(value))) == value
    assert (
        Serializer().deserialize(zlib.decompress(Serializer(True, use_zlib=True).serialize(value))) == value
    )


def test_compressed_is_smaller():
    value = "a" * 100_000
    plain = len(Serializer().serialize(value))
    assert len(Serializer(True).serialize(value)) < plain / 50
    assert len(Serializer(True, use_zlib=True).serialize(value)) < plain / 50


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("use_zlib", [False, True])
def test_every_level(level, use_zlib):
    serializer = Serializer(True, level, use_zlib)
    assert serializer.deserialize(serializer.serialize([1, "a"])) == [1, "a"]


@pytest.mark.parametrize("level", [-1, 10])
def test_a_level_that_there_is_not(level):
    with pytest.raises(ConfigurationError, match="0 to 9"):
        Serializer(True, level)


def test_compression_may_be_switched_on_for_a_queue_that_is_in_use():
    data = Serializer().serialize({"a": 1})
    assert Serializer(True).deserialize(data) == {"a": 1}
    assert Serializer(True, use_zlib=True).deserialize(data) == {"a": 1}


def test_either_compression_reads_the_other():
    assert Serializer(True).deserialize(Serializer(True, use_zlib=True).serialize(1)) == 1
    assert Serializer(True, use_zlib=True).deserialize(Serializer(True).serialize(1)) == 1


def test_the_protocol_of_pickle():
    assert Serializer(pickle_protocol=2).serialize(1)[:2] == b"\x80\x02"
    assert Serializer().serialize(1)[:2] == bytes([0x80, pickle.HIGHEST_PROTOCOL])


def test_plain_pickles_are_read(serializer):
    """Messages that another program, or huey's own serializer, has written."""
    assert serializer.deserialize(pickle.dumps((1, "a"), 2)) == (1, "a")


class JSON(Serializer):
    def _serialize(self, data):
        return json.dumps(data).encode()

    def _deserialize(self, data):
        return json.loads(data)


def test_a_serializer_of_ones_own():
    for options in KINDS.values():
        serializer = JSON(**options)
        assert serializer.deserialize(serializer.serialize({"a": [1, None]})) == {"a": [1, None]}


def test_errors_and_the_mark_of_a_skipped_member_travel(serializer):
    assert serializer.deserialize(serializer.serialize(Error({"error": "no"}))) == Error({"error": "no"})
    assert serializer.deserialize(serializer.serialize([SKIPPED]))[0] is SKIPPED
