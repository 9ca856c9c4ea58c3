"""The serializers: cloudpickle, pickle, JSON, and the base of an application's own."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar

from liteq.exceptions import ConfigurationError
from liteq.serializer import compression as compressed
from liteq.serializer import plain, simple


class Serializer:
    """Pickles with cloudpickle, so that lambdas, closures and classes of `__main__` travel too.

    Unpickling runs code: only trusted processes may write to the queue.

    A subclass of an application's own replaces `_serialize` and `_deserialize`. They are given lists, tuples,
    dicts with texts as keys, texts, numbers, None, and what the application's tasks take and return. What
    they make is compressed here.

    Args:
        compression: compress what is written. What is read may be compressed or not, by gzip or zlib, so
            that this can be switched while a queue is in use.
        compression_level: 0 to 9.
        use_zlib: zlib in place of gzip.
        pickle_protocol: pickle's protocol; the highest by default.
        max_decompressed: bytes that a compressed value may have when it is decompressed. More is neither
            written nor read: a thousand bytes can be compressed from a million.

    Raises:
        ConfigurationError: for a level or a protocol that there is not, or no number of bytes.
    """

    _takes_any_value: ClassVar[bool] = True
    """Values of liteq's own come back as they are; otherwise they are written as plain values."""

    def __init__(
        self,
        compression: bool = False,
        compression_level: int = 6,
        use_zlib: bool = False,
        pickle_protocol: int = pickle.HIGHEST_PROTOCOL,
        max_decompressed: int = 1_000_000_000,
    ) -> None:
        _check_range("max_decompressed", max_decompressed, 1, 2**62)
        _check_range("compression_level", compression_level, 0, 9)
        _check_range("pickle_protocol", pickle_protocol, 0, pickle.HIGHEST_PROTOCOL)
        self.comp = compression
        self.comp_level = compression_level
        self.use_zlib = use_zlib
        self.pickle_protocol = pickle_protocol
        self.max_decompressed = max_decompressed

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._takes_any_value = cls._serialize is Serializer._serialize

    def _serialize(self, data: Any) -> bytes:
        return self._dumps(data)

    def _deserialize(self, data: bytes) -> Any:
        return pickle.loads(data)

    def _dumps(self, data: Any) -> bytes:
        if self.pickle_protocol == pickle.HIGHEST_PROTOCOL:
            try:
                return simple.dumps(data)
            except simple.NotSimple:
                pass
        # cloudpickle takes a fifth of the time that `import liteq` may take, so it is imported when needed.
        import cloudpickle

        pickled: bytes = cloudpickle.dumps(data, self.pickle_protocol)
        return pickled

    def serialize(self, data: Any) -> bytes:
        """The bytes of a value."""
        raw = self._serialize(data if self._takes_any_value else plain.lower(data))
        if not isinstance(raw, bytes):
            raise TypeError(f"{type(self).__name__}._serialize() must return bytes, not {type(raw).__name__}")
        if not self.comp:
            return raw
        compressed.check_size(len(raw), self.max_decompressed)
        return compressed.compress(raw, self.comp_level, self.use_zlib)

    def deserialize(self, data: bytes) -> Any:
        """The value of bytes."""
        if data.startswith(compressed.MAGIC):
            value = compressed.read(
                self._deserialize, data, written_compressed=self.comp, most=self.max_decompressed
            )
        else:
            value = self._deserialize(data)
        return value if self._takes_any_value else plain.lift(value)

    def for_tasks(self) -> Serializer:
        """The serializer of tasks; where bytes are signed, it reads no result for a task, nor the reverse."""
        return self

    def seal(self, name: str, text: str) -> str:
        """A text that is stored as such under a name; signed, if bytes are."""
        del name
        return text

    def unseal(self, name: str, sealed: str) -> str:
        """The text that was sealed."""
        del name
        return sealed


class PickleSerializer(Serializer):
    """Pickles with the standard library's `pickle`: faster, and without what only cloudpickle can do."""

    def _dumps(self, data: Any) -> bytes:
        return pickle.dumps(data, self.pickle_protocol)


class JSONSerializer(Serializer):
    """Writes JSON, so that reading a queue runs no code and other programs can do it.

    Arguments and results are what JSON has: tuples come back as lists, the keys of dicts as texts. Tasks
    whose arguments it can't take are refused in the caller.
    """

    def _serialize(self, data: Any) -> bytes:
        import json  # `import liteq` does without

        return json.dumps(data, separators=(",", ":")).encode()

    def _deserialize(self, data: bytes) -> Any:
        import json

        return json.loads(data)


def _check_range(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(f"{name} must be {least} to {most}, not {value!r}")
