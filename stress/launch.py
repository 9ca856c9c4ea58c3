"""A consumer as `liteq consume` starts it, with what has no option there.

python -m stress.launch LEASE APPLICATION [option …]
"""

from __future__ import annotations

import functools
import sys

from liteq.__main__ import main
from liteq.workers import options


def launch() -> int:
    """Be a consumer whose claims last LEASE seconds, and that is quick to kill what does not end."""
    lease, *rest = sys.argv[1:]
    given = functools.partial(options.ConsumerOptions, lease=float(lease))
    options.ConsumerOptions = given  # type: ignore[misc, assignment]  # whoever makes them now gets these
    return main(["consume", *rest])


if __name__ == "__main__":
    sys.exit(launch())
