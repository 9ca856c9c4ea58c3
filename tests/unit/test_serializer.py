"""Values to bytes and back: pickled or as JSON, compressed or not, signed or not."""

import gzip
import json
import math
import pickle
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liteq import SqliteHuey, crontab
from liteq.exceptions import BadSignature, ConfigurationError, PayloadTooLarge, TaskException
from liteq.messages import SKIPPED, Error
from liteq.serializer import JSONSerializer, PickleSerializer, Serializer, SignedSerializer
from liteq.serializer.plain import MARK, lift, lower

from .running import python


class OwnJSON(Serializer):
    """As applications write theirs, for huey."""

    def _serialize(self, data):
        return json.dumps(data).encode()

    def _deserialize(self, data):
        return json.loads(data)


class SignedJSON(SignedSerializer, JSONSerializer):
    """How the documentation says that two are put together."""


class Signed(SignedSerializer):
    """One that takes the options of the others."""

    def __init__(self, **options):
        super().__init__(secret="s3cret", **options)


class SignedJSONOfASecret(SignedJSON):
    def __init__(self, **options):
        super().__init__(secret="s3cret", **options)


COMPRESSIONS = {
    "plain": {},
    "gzip": {"compression": True},
    "zlib": {"compression": True, "use_zlib": True},
}
PICKLING = (Serializer, PickleSerializer, Signed)
JSONS = (JSONSerializer, OwnJSON, SignedJSONOfASecret)
KINDS = {f"{kind.__name__} {name}": kind(**COMPRESSIONS[name]) for kind in PICKLING for name in COMPRESSIONS}
JSON_KINDS = {
    f"{kind.__name__} {name}": kind(**COMPRESSIONS[name]) for kind in JSONS for name in COMPRESSIONS
}

every_compression = pytest.mark.parametrize("options", COMPRESSIONS.values(), ids=COMPRESSIONS)
every_pickling = pytest.mark.parametrize("serializer", KINDS.values(), ids=KINDS)
every_json = pytest.mark.parametrize("serializer", JSON_KINDS.values(), ids=JSON_KINDS)
every = pytest.mark.parametrize(
    "serializer", [*KINDS.values(), *JSON_KINDS.values()], ids=[*KINDS, *JSON_KINDS]
)


def there_and_back(serializer, value):
    data = serializer.serialize(value)
    assert type(data) is bytes
    return serializer.deserialize(data)


# Round trips

JSON_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
# Texts that the formats give a meaning, among them.
KEYS = st.text() | st.sampled_from([MARK, "error", "metadata", "items", "args"])
JSON_VALUES = st.recursive(
    JSON_LEAVES | KEYS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=10
)
VALUES = st.recursive(
    JSON_LEAVES | st.binary() | st.complex_numbers(allow_nan=False) | st.datetimes(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS | st.integers(), inner)
        | st.frozensets(st.text())
    ),
    max_leaves=10,
)
OURS = st.just(SKIPPED) | st.builds(Error, st.dictionaries(KEYS, JSON_LEAVES))
WITH_OURS = st.recursive(
    JSON_LEAVES | OURS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=10
)


@every_pickling
@given(value=VALUES)
def test_there_and_back(serializer, value):
    assert there_and_back(serializer, value) == value


@every_json
@given(value=JSON_VALUES)
def test_what_json_has_comes_back(serializer, value):
    assert there_and_back(serializer, value) == value


@every
@given(value=WITH_OURS)
def test_values_of_liteq_s_own_come_back_wherever_they_are(serializer, value):
    assert there_and_back(serializer, value) == value


@given(value=st.recursive(JSON_LEAVES | OURS, lambda inner: st.tuples(inner, inner) | st.lists(inner)))
def test_what_is_lowered_and_lifted_keeps_its_tuples(value):
    assert lift(lower(value)) == value


@every
def test_skipped_is_the_same_object(serializer):
    assert there_and_back(serializer, [SKIPPED])[0] is SKIPPED
    assert there_and_back(serializer, SKIPPED) is SKIPPED


@every
def test_the_exception_that_an_error_handler_is_given(serializer):
    (exception,) = there_and_back(serializer, [TaskException({"error": "no", "retries": 0}, "more")])
    assert type(exception) is TaskException
    assert exception.metadata == {"error": "no", "retries": 0}
    assert exception.args == ({"error": "no", "retries": 0}, "more")
    assert str(exception) == "no"


@every
def test_a_dict_that_reads_like_one_of_ours(serializer):
    for value in ({MARK: 1}, {MARK: {MARK: "skipped"}}, [{MARK: "error", "metadata": {}}], {MARK: "skipped"}):
        assert there_and_back(serializer, value) == value


@every_json
def test_json_has_no_tuples(serializer):
    assert there_and_back(serializer, (1, (2,), {"a": ()})) == [1, [2], {"a": []}]


@every_json
def test_what_is_written_without_ours_is_json_as_everybody_reads_it(serializer):
    if not serializer.comp and not isinstance(serializer, SignedSerializer):
        assert json.loads(serializer.serialize({"a": [1, "é"]})) == {"a": [1, "é"]}


def test_json_reads_numbers_that_are_none():
    serializer = JSONSerializer()
    assert math.isnan(there_and_back(serializer, float("nan")))
    assert there_and_back(serializer, float("-inf")) == float("-inf")


def test_a_value_of_a_kind_that_a_later_version_may_have():
    data = json.dumps({MARK: {MARK: "marvel"}}).encode()
    with pytest.raises(ValueError, match="marvel"):
        JSONSerializer().deserialize(data)


# What pickles can hold

every_cloudpickle = pytest.mark.parametrize("serializer", [Serializer(), Serializer(True), Signed()])


@every_cloudpickle
def test_lambdas_and_closures_travel(serializer):
    def outer(n):
        return lambda x: x + n

    assert there_and_back(serializer, outer(3))(4) == 7


@every_cloudpickle
def test_a_class_of_a_function_travels(serializer):
    class Point:
        def __init__(self, x):
            self.x = x

    assert there_and_back(serializer, Point(21)).x == 21


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


@every_pickling
def test_arrays_of_numpy_travel(serializer):
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(12.0).reshape(3, 4)
    assert (there_and_back(serializer, {"array": array})["array"] == array).all()


@every
def test_what_cannot_be_serialized_raises(serializer):
    with pytest.raises((TypeError, pickle.PicklingError)):
        serializer.serialize(x for x in ())


def test_pickle_alone_takes_no_lambdas():
    with pytest.raises((AttributeError, pickle.PicklingError)):
        PickleSerializer().serialize(lambda: 1)


@pytest.mark.parametrize("serializer", [Serializer(), PickleSerializer()])
def test_pickles_of_either_kind_and_of_huey_are_read(serializer):
    for data in (Serializer().serialize((1, "a")), PickleSerializer().serialize((1, "a"))):
        assert serializer.deserialize(data) == (1, "a")
    assert serializer.deserialize(pickle.dumps((1, "a"), 2)) == (1, "a")


@pytest.mark.parametrize("kind", [Serializer, PickleSerializer])
def test_the_protocol_of_pickle(kind):
    assert kind(pickle_protocol=2).serialize(1)[:2] == b"\x80\x02"
    assert kind().serialize(1)[:2] == bytes([0x80, pickle.HIGHEST_PROTOCOL])


@pytest.mark.parametrize("protocol", [-1, pickle.HIGHEST_PROTOCOL + 1, "5", None])
def test_a_protocol_that_there_is_not(protocol):
    with pytest.raises(ConfigurationError, match="pickle_protocol"):
        Serializer(pickle_protocol=protocol)


# Compression


def test_the_compressed_forms_are_those_of_the_standard():
    value = "a" * 1000
    assert Serializer().deserialize(gzip.decompress(Serializer(True).serialize(value))) == value
    written = Serializer(True, use_zlib=True).serialize(value)
    assert Serializer().deserialize(zlib.decompress(written)) == value


def test_compressed_is_smaller():
    value = "a" * 100_000
    plain = len(Serializer().serialize(value))
    assert len(Serializer(True).serialize(value)) < plain / 50
    assert len(Serializer(True, use_zlib=True).serialize(value)) < plain / 50


def test_what_compresses_badly_is_larger_and_comes_back():
    assert there_and_back(JSONSerializer(True), "") == ""


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("use_zlib", [False, True])
def test_every_level(level, use_zlib):
    assert there_and_back(Serializer(True, level, use_zlib), [1, "a"]) == [1, "a"]


@pytest.mark.parametrize("level", [-1, 10, "6", 1.5])
def test_a_level_that_there_is_not(level):
    with pytest.raises(ConfigurationError, match="0 to 9"):
        Serializer(True, level)


@pytest.mark.parametrize("kind", [*PICKLING, *JSONS])
@pytest.mark.parametrize("written", COMPRESSIONS.values(), ids=COMPRESSIONS)
@pytest.mark.parametrize("reader", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_compression_may_be_switched_in_a_queue_that_is_in_use(kind, written, reader):
    data = kind(**written).serialize({"a": 1})
    assert kind(**reader).deserialize(data) == {"a": 1}


class Text(Serializer):
    """Its bytes may begin like compressed ones."""

    def _serialize(self, data):
        return data.encode("latin-1")

    def _deserialize(self, data):
        return data.decode("latin-1")


@every_compression
@pytest.mark.parametrize("value", ["x", "x\x9c", "x^2 + 1", "\x1f\x8b", "\x1f\x8b\x08\x00 and more", ""])
def test_bytes_that_only_look_compressed(options, value):
    assert there_and_back(Text(**options), value) == value
    assert Text(**options).deserialize(Text().serialize(value)) == value


class Own(Serializer):
    """It compresses by itself."""

    def _serialize(self, data):
        return zlib.compress(json.dumps(data).encode())

    def _deserialize(self, data):
        return json.loads(zlib.decompress(data))


def test_a_serializer_of_ones_own_that_compresses():
    for written in COMPRESSIONS.values():
        for reader in COMPRESSIONS.values():
            assert Own(**reader).deserialize(Own(**written).serialize({"a": 1})) == {"a": 1}


@pytest.mark.parametrize("name", ["gzip", "zlib"])
def test_compressed_bytes_that_are_damaged_say_so(name):
    serializer = Serializer(**COMPRESSIONS[name])
    data = serializer.serialize("a" * 1000)
    with pytest.raises((EOFError, zlib.error)):
        serializer.deserialize(data[:-9])


# Serializers of an application's own


def test_one_that_writes_texts_is_told():
    class Careless(Serializer):
        def _serialize(self, data):
            return json.dumps(data)

    with pytest.raises(TypeError, match=r"Careless\._serialize\(\) must return bytes, not str"):
        Careless().serialize(1)


def test_one_that_takes_everything_for_a_text():
    """Values of ours come back, because it never sees them."""

    class Sloppy(OwnJSON):
        def _serialize(self, data):
            return json.dumps(data, default=str).encode()

    value = [Error({"error": "no"}), SKIPPED]
    assert there_and_back(Sloppy(), value) == value


def test_one_around_that_of_the_base():
    class Reversed(Serializer):
        def _serialize(self, data):
            return super()._serialize(data)[::-1]

        def _deserialize(self, data):
            return super()._deserialize(data[::-1])

    assert there_and_back(Reversed(), [{1, 2}, SKIPPED, (1,)]) == [{1, 2}, SKIPPED, (1,)]
    assert there_and_back(Reversed(), lambda: 1)() == 1


def test_one_that_gets_its_methods_from_elsewhere():
    class Mixin:
        _serialize = OwnJSON._serialize
        _deserialize = OwnJSON._deserialize

    class Mixed(Mixin, Serializer):
        pass

    assert there_and_back(Mixed(), [SKIPPED]) == [SKIPPED]


# Signed

SIGNED = {name: KINDS[f"Signed {name}"] for name in COMPRESSIONS} | {
    f"json {name}": JSON_KINDS[f"SignedJSONOfASecret {name}"] for name in COMPRESSIONS
}
every_signed = pytest.mark.parametrize("serializer", SIGNED.values(), ids=SIGNED)


class Bomb:
    """Goes off when it is unpickled."""

    exploded = False

    def __reduce__(self):
        return (setattr, (Bomb, "exploded", True))


@pytest.fixture
def bomb():
    Bomb.exploded = False
    yield Bomb()
    assert not Bomb.exploded


@every_signed
@given(data=st.data(), value=JSON_VALUES)
def test_a_change_of_any_bit_is_refused(serializer, data, value):
    signed = bytearray(serializer.serialize(value))
    index = data.draw(st.integers(0, len(signed) - 1))
    signed[index] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadSignature):
        serializer.deserialize(bytes(signed))


@every_signed
@given(value=JSON_VALUES, more=st.binary(min_size=1), less=st.integers(1, 10_000))
def test_bytes_that_are_longer_or_shorter_are_refused(serializer, value, more, less):
    signed = serializer.serialize(value)
    for changed in (signed + more, more + signed, signed[:-less], signed[less:]):
        with pytest.raises(BadSignature):
            serializer.deserialize(changed)


@every_signed
@given(data=st.binary())
def test_rubbish_is_refused(serializer, data):
    for rubbish in (data, b"HS256:" + data):
        with pytest.raises(BadSignature):
            serializer.deserialize(rubbish)


@every_signed
def test_nothing_is_unpickled_before_the_check(serializer, bomb):
    payload = pickle.dumps(bomb)
    stranger = SignedSerializer(secret="another").serialize(bomb)
    forged = serializer.serialize(1)[:38] + payload
    for data in (payload, stranger, forged, gzip.compress(payload), b"HS256:" + payload):
        with pytest.raises(BadSignature):
            serializer.deserialize(data)


def test_nothing_is_decompressed_before_the_check():
    """A few bytes may become more than there is memory."""
    with pytest.raises(BadSignature):
        Signed(compression=True).deserialize(b"HS256:" + bytes(32) + gzip.compress(b"a" * 1000)[:-9])


def test_the_signature_is_the_one_that_is_documented():
    import hashlib
    import hmac

    signed = SignedSerializer(secret="s", salt="p").serialize([1])
    key = hmac.new(b"s", b"p", hashlib.sha256).digest()
    payload = signed[38:]
    assert signed == b"HS256:" + hmac.new(key, payload, hashlib.sha256).digest() + payload
    assert pickle.loads(payload) == [1]


def test_what_is_not_signed_and_what_is_signed_otherwise_are_told_apart():
    reader = SignedSerializer(secret="s")
    with pytest.raises(BadSignature, match="not signed"):
        reader.deserialize(Serializer().serialize(1))
    for writer in (SignedSerializer(secret="t"), SignedSerializer(secret="s", salt="other")):
        with pytest.raises(BadSignature, match="another secret or salt"):
            reader.deserialize(writer.serialize(1))
    with pytest.raises(ValueError):  # what applications catch with huey
        reader.deserialize(b"")


def test_texts_and_bytes_are_the_same_secret():
    assert SignedSerializer(secret=b"s", salt=b"p").deserialize(SignedSerializer("s", "p").serialize(1)) == 1


def test_secrets_are_rotated_one_after_the_other():
    first, second = SignedSerializer(secret="one"), SignedSerializer(secret="two", fallback_secrets=["one"])
    third = SignedSerializer(secret="three", fallback_secrets=("two", b"one"))
    assert third.deserialize(first.serialize(1)) == 1
    assert third.deserialize(second.serialize(1)) == 1
    assert second.deserialize(first.serialize(1)) == 1
    for writer, reader in ((second, first), (third, second)):
        with pytest.raises(BadSignature):
            reader.deserialize(writer.serialize(1))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"secret": ""},
        {"secret": b""},
        {"secret": 7},
        {"secret": "s", "salt": ""},
        {"secret": "s", "salt": None},
        {"secret": "s", "fallback_secrets": "older"},
        {"secret": "s", "fallback_secrets": [""]},
        {"secret": "s", "fallback_secrets": [None]},
    ],
)
def test_secrets_that_are_none(options):
    with pytest.raises(ConfigurationError, match=r"secret|salt"):
        SignedSerializer(**options)


def test_the_secret_is_not_shown():
    serializer = SignedSerializer(secret="hunter2", fallback_secrets=["hunter1"])
    assert "hunter" not in repr(serializer)
    assert "hunter" not in repr(vars(serializer))


def test_it_takes_the_options_of_what_it_signs():
    assert len(Signed(compression=True).serialize("a" * 100_000)) < 500
    assert Signed(pickle_protocol=2).serialize(1)[38:40] == b"\x80\x02"
    assert json.loads(SignedJSON(secret="s").serialize({"a": 1})[38:]) == {"a": 1}


# What has much to say in few bytes


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("compression", [True, False])
def test_a_bomb_does_not_go_off(compress, compression):
    serializer = JSONSerializer(compression=compression, max_decompressed=1_000_000)
    data = compress(b'"' + b"a" * 50_000_000 + b'"')
    tracemalloc.start()
    with pytest.raises(ValueError, match="max_decompressed allows" if compression else "utf-8"):
        serializer.deserialize(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_bomb_of_many_parts_does_not_go_off():
    serializer = JSONSerializer(compression=True, max_decompressed=1_000_000)
    part = gzip.compress(b"1" * 600_000)
    assert serializer.deserialize(gzip.compress(b"1" * 60) + gzip.compress(b"1" * 40)) == int("1" * 100)
    with pytest.raises(PayloadTooLarge, match="max_decompressed allows"):
        serializer.deserialize(part * 2)


def test_what_could_not_be_read_again_is_not_written():
    serializer = PickleSerializer(compression=True, max_decompressed=1_000)
    assert serializer.deserialize(serializer.serialize("a" * 900)) == "a" * 900
    with pytest.raises(
        PayloadTooLarge, match=r"it has 1,\d+ bytes before compression, and max_decompressed is 1,000"
    ):
        serializer.serialize("a" * 1_000)
    plain = PickleSerializer(max_decompressed=1_000)
    assert plain.deserialize(plain.serialize("a" * 10_000)) == "a" * 10_000


@pytest.mark.parametrize("most", [0, -1, 2**63, 1.5, None, "1"])
def test_a_limit_of_decompression_that_is_none(most):
    with pytest.raises(ConfigurationError, match="max_decompressed must be"):
        Serializer(max_decompressed=most)


# Results are no tasks


@pytest.fixture(params=[SignedSerializer, SignedJSON])
def signed_queue(request, filename):
    huey = SqliteHuey(filename=filename, durability="off", serializer=request.param(secret="s"))
    yield huey
    huey.storage.close()


def test_a_signed_result_in_the_form_of_a_task_is_none(signed_queue):
    """Who may write to the file, and have any value returned, must not thereby call what he likes."""
    huey = signed_queue
    ran = []
    echo = huey.task(name="echo")(lambda value: value)
    forbidden = huey.task(name="forbidden")(lambda: ran.append(1))
    form = huey.registry.encode(forbidden.s(), utc=True)
    echo(form, id="a")
    huey.execute(huey.dequeue())
    signed = huey.storage.peek_result("a")
    huey.storage.put([huey.message_of(echo.s(1))._replace(data=signed)], 0)
    with pytest.raises(BadSignature):
        huey.dequeue()
    [dead] = huey.dead()
    assert dead.reason.startswith("can't be decoded: BadSignature: its signature is wrong")
    assert not ran
    forbidden()
    data = huey.message_of(forbidden.s()).data
    huey.storage.put_result("b", data)
    with pytest.raises(BadSignature):
        huey.get("b")
    huey.execute(huey.dequeue())
    assert ran == [1]


def test_secrets_are_rotated_for_tasks_too():
    old = SignedSerializer(secret="old").for_tasks()
    new = SignedSerializer(secret="new", fallback_secrets=["old"])
    assert new.for_tasks().deserialize(old.serialize(1)) == 1
    assert new.for_tasks() is new.for_tasks()
    with pytest.raises(BadSignature):
        new.deserialize(old.serialize(1))


# Schedules


def test_a_schedule_is_signed_as_tasks_are(signed_queue):
    """Consumers sign the calls that schedules make: else who writes to the file would have them signed."""
    huey = signed_queue
    report = huey.task(name="report")(lambda *args: args)
    huey.schedules.add("a", report.s(1, "é"), crontab())
    huey.schedules.pause("a")
    huey.schedules.resume("a")
    assert huey.schedules["a"].args == (1, "é")
    stored = huey.storage.entry("a")
    assert huey.schedules.add("a", report.s(1, "é"), crontab(), replace=True) == huey.schedules["a"]
    assert huey.storage.entry("a") == stored
    header, signature, text = stored.split(":", 2)
    forged = {
        "unsigned": text,
        "changed": stored.replace("[1,", "[2,"),
        "signature": f"{header}:{'0' * 64}:{text}",
        "none": f"{header}::{text}",
        "empty": "",
        "other": SignedSerializer(secret="other").seal("a", text),
    }
    for text in forged.values():
        assert huey.storage.replace_entry("a", stored, text)
        with pytest.raises(ValueError, match=r"schedule 'a' can't be read: it(s signature| is not signed)"):
            huey.schedules["a"]
        assert list(huey.schedules) == []
        stored = text
    other = SqliteHuey(filename=huey.storage.database.path, serializer=SignedSerializer(secret="s"))
    assert not list(other.schedules)
    other.storage.close()


def test_a_signed_schedule_stays_under_its_name(signed_queue):
    huey = signed_queue
    huey.schedules.add("a", huey.task(name="report")(lambda: 1), crontab())
    assert huey.storage.replace_entry("b", None, huey.storage.entry("a"))
    assert [entry.name for entry in huey.schedules] == ["a"]
    old = SignedSerializer(secret="old")
    both = SignedSerializer(secret="new", fallback_secrets=["old"])
    assert both.unseal("a", old.seal("a", "{}")) == "{}"
