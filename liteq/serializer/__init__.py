"""How tasks and results become bytes."""

from __future__ import annotations

from liteq.serializer.base import JSONSerializer, PickleSerializer, Serializer
from liteq.serializer.signed import SignedSerializer

__all__ = ["JSONSerializer", "PickleSerializer", "Serializer", "SignedSerializer"]
