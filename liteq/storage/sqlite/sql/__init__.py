"""Every SQL statement of the engine, by name; the modules divide them by concern.

`?1`, `?2` … are the parameters, as the callers pass them.
"""
# ruff: noqa: F403 -- one namespace of statements, whichever module a statement stands in

from __future__ import annotations

from liteq.storage.sqlite.sql.chords import *
from liteq.storage.sqlite.sql.consumers import *
from liteq.storage.sqlite.sql.file import *
from liteq.storage.sqlite.sql.inspection import *
from liteq.storage.sqlite.sql.limits import *
from liteq.storage.sqlite.sql.locks import *
from liteq.storage.sqlite.sql.messages import *
from liteq.storage.sqlite.sql.pauses import *
from liteq.storage.sqlite.sql.periodic import *
from liteq.storage.sqlite.sql.records import *
from liteq.storage.sqlite.sql.results import *
from liteq.storage.sqlite.sql.revocations import *
from liteq.storage.sqlite.sql.upkeep import *
