"""When things happen again and again: crontab expressions and intervals, pure; nothing here reads a clock."""

from __future__ import annotations

from liteq.schedules.base import Schedule
from liteq.schedules.cron import Crontab, crontab
from liteq.schedules.interval import Every, every
from liteq.schedules.missed import Missed

__all__ = ["Crontab", "Every", "Missed", "Schedule", "crontab", "every"]
