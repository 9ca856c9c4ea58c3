"""Names of huey 0.3 to 1.x that applications still use."""

from __future__ import annotations

from typing import Any


class OlderNames:
    """What a queue was told and asked by other names."""

    immediate: Any

    @property
    def always_eager(self) -> bool:
        """`immediate`, by its name in huey 0.3 to 1.x; may be set at any time."""
        return bool(self.immediate)

    @always_eager.setter
    def always_eager(self, value: bool) -> None:
        self.immediate = value


def older_options(options: dict[str, Any], results: bool, immediate: bool) -> tuple[bool, bool]:
    """Take `result_store` and `always_eager` out of a queue's options; what they say of the other two."""
    return bool(options.pop("result_store", results)), bool(options.pop("always_eager", immediate))
