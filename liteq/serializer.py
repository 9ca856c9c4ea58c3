"""How tasks and results become bytes."""

from __future__ import annotations

import gzip
import pickle
import zlib
from typing import Any

from liteq.exceptions import ConfigurationError

_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_MAGIC = b"\x78"


class Serializer:
    """Pickles with cloudpickle, so that lambdas, closures and classes of `__main__` travel too.

    Subclasses replace `_serialize` and `_deserialize`; what they get are tuples, lists, dicts and the
    arguments and results of tasks. Unpickling runs code: only trusted processes may write to the queue.

    Args:
        compression: compress what is stored.
        compression_level: 0 to 9.
        use_zlib: zlib in place of gzip.
        pickle_protocol: pickle's protocol; the highest by default.
    """

    def __init__(
        self,
        compression: bool = False,
        compression_level: int = 6,
        use_zlib: bool = False,
        pickle_protocol: int = pickle.HIGHEST_PROTOCOL,
    ) -> None:
        if not 0 <= compression_level <= 9:
            raise ConfigurationError(f"compression_level must be 0 to 9, not {compression_level!r}")
        self.comp = compression
        self.comp_level = compression_level
        self.use_zlib = use_zlib
        self.pickle_protocol = pickle_protocol

    def _serialize(self, data: Any) -> bytes:
        # cloudpickle takes a fifth of the time that `import liteq` may take, so it is imported when needed.
        import cloudpickle

        return bytes(cloudpickle.dumps(data, self.pickle_protocol))

    def _deserialize(self, data: bytes) -> Any:
        return pickle.loads(data)

    def serialize(self, data: Any) -> bytes:
        """The bytes of a value."""
        raw = self._serialize(data)
        if not self.comp:
            return raw
        return zlib.compress(raw, self.comp_level) if self.use_zlib else gzip.compress(raw, self.comp_level)

    def deserialize(self, data: bytes) -> Any:
        """The value of bytes; what was stored before compression was switched on is read as it is."""
        if self.comp:
            if data[:2] == _GZIP_MAGIC:
                data = gzip.decompress(data)
            elif data[:1] == _ZLIB_MAGIC:
                data = zlib.decompress(data)
        return self._deserialize(data)
