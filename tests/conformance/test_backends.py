"""The suite, for each of the backends that `conftest.py` names: `pytest tests/conformance -k sqlite` runs one."""

from __future__ import annotations

from liteq.testing.conformance import *  # noqa: F403 -- all its tests, and the fixtures that they use
