"""Is the redis-py that is installed one that this backend can work with?"""

from __future__ import annotations

import redis

from liteq.exceptions import ConfigurationError

_OLDEST = (5, 3)


def check_client() -> None:
    """Refuse a redis-py that is too old.

    Raises:
        ConfigurationError: if it is.
    """
    version = str(getattr(redis, "__version__", "of an unknown version"))
    numbers = [int(part) if part.isdigit() else 0 for part in version.split(".")[:2]]
    if tuple(numbers) < _OLDEST:
        raise ConfigurationError(
            f"redis-py {version} is too old: liteq needs 5.3 or newer; install liteq[redis]"
        )
