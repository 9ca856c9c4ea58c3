"""Bytes that only those who know a secret can have written."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from liteq.exceptions import BadSignature, ConfigurationError
from liteq.serializer.base import Serializer

_HEADER = b"HS256:"
"""Says that the bytes are signed, and how: HMAC with SHA-256."""
_DIGEST_SIZE = 32
_UNSIGNED = "it is not signed: it was written without a SignedSerializer"
_WRONG = "its signature is wrong: it was written with another secret or salt, or changed since"


class SignedSerializer(Serializer):
    """Signs what is written, and reads nothing but what is signed; checked before anything is decoded.

    A value is serialized, then compressed, then signed. For another format, name its class second:
    `class SignedJSON(SignedSerializer, JSONSerializer): pass`.

    Args:
        secret: whoever knows it can write to the queue; a long random text.
        salt: uses of the same secret with different salts do not read each other.
        fallback_secrets: others with which values may be signed, as while a secret is replaced; nothing is
            written with them.
        **kwargs: those of the serializer that is signed.

    Raises:
        ConfigurationError: for a secret or salt that is empty, or neither text nor bytes.
    """

    def __init__(
        self,
        secret: str | bytes | None = None,
        salt: str | bytes = "huey",
        *,
        fallback_secrets: Sequence[str | bytes] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(fallback_secrets, str | bytes):
            raise ConfigurationError("fallback_secrets must be a list of secrets, not a single one")
        bytes_of_salt = _bytes("salt", salt)
        self._keys = [
            _digest(_bytes("each of fallback_secrets" if number else "secret", one), bytes_of_salt)
            for number, one in enumerate((secret, *fallback_secrets))
        ]

        self._for_tasks: SignedSerializer | None = None

    def for_tasks(self) -> SignedSerializer:
        """The same with other keys: what a task returned may, by design, have the form of a task."""
        if self._for_tasks is None:
            self._for_tasks = copy.copy(self)
            self._for_tasks._keys = [_digest(key, b"task") for key in self._keys]  # noqa: SLF001 -- its own
        return self._for_tasks

    def seal(self, name: str, text: str) -> str:
        """The text, signed together with its name."""
        return f"{_HEADER.decode()}{_seal(self._keys[0], name, text)}:{text}"

    def unseal(self, name: str, sealed: str) -> str:
        """The text that was sealed under this name.

        Raises:
            BadSignature: if it is not signed, or not with one of the secrets.
        """
        header, signature, text = (*sealed.split(":", 2), "", "")[:3]
        if f"{header}:".encode() != _HEADER:
            raise BadSignature(_UNSIGNED)
        given = signature.encode()
        if not any(_same(_seal(key, name, text).encode(), given) for key in self._keys):
            raise BadSignature(_WRONG)
        return text

    def serialize(self, data: Any) -> bytes:
        """The bytes of a value, signed."""
        payload = super().serialize(data)
        return _HEADER + _digest(self._keys[0], payload) + payload

    def deserialize(self, data: bytes) -> Any:
        """The value of signed bytes.

        Raises:
            BadSignature: if they are not signed, or not with one of the secrets.
        """
        if not data.startswith(_HEADER):
            raise BadSignature(_UNSIGNED)
        body = data[len(_HEADER) :]
        signature, payload = body[:_DIGEST_SIZE], body[_DIGEST_SIZE:]
        if not any(_same(_digest(key, payload), signature) for key in self._keys):
            raise BadSignature(_WRONG)
        return super().deserialize(payload)


# hmac and the hashes of OpenSSL that it loads are needed by few; `import liteq` does without.


def _digest(key: bytes, data: bytes) -> bytes:
    import hmac

    return hmac.digest(key, data, "sha256")


def _seal(key: bytes, name: str, text: str) -> str:
    return _digest(_digest(key, b"text"), f"{len(name)}:{name}{text}".encode()).hex()


def _same(a: bytes, b: bytes) -> bool:
    import hmac

    return hmac.compare_digest(a, b)


def _bytes(name: str, value: Any) -> bytes:
    if not isinstance(value, str | bytes) or not value:
        raise ConfigurationError(f"SignedSerializer: {name} must be a text or bytes that are not empty")
    return value.encode() if isinstance(value, str) else value
