"""Take back what dead consumers, and those that stand still for too long, hold."""

from __future__ import annotations

import logging

from liteq import clock
from liteq import signals as s
from liteq.api import Huey
from liteq.identity import Identity
from liteq.messages import Attempted, Claim, Disposition, Outcome, Settlement
from liteq.outcomes import dead_outcome
from liteq.storage.base import Storage

logger = logging.getLogger("huey.consumer")


def crashed(huey: Huey, claim: Claim, how: str, max_crashes: int) -> Outcome:
    """The end of an attempt whose worker died: the task runs again, or is dead if it has no chance left."""
    crashes = claim.crashes + 1
    if claim.at_most_once or crashes >= max_crashes:
        reason = f"its worker {how} (attempt {claim.attempt}, crash {crashes})"
        logger.error("Task %s (%s) is dead: %s", claim.id, claim.name, reason)
        dead = dead_outcome(huey, claim, reason)
        return dead._replace(status="crashed", events=_crash(huey, claim, how) + dead.events)
    logger.warning("Task %s (%s): its worker %s; it runs again", claim.id, claim.name, how)
    return Outcome(Disposition.CRASHED, "crashed", reason=how, events=_crash(huey, claim, how))


def _crash(huey: Huey, claim: Claim, how: str) -> tuple[bytes, ...]:
    return huey.emitter.of_claim(claim, s.SIGNAL_WORKER_DIED, s.SIGNAL_CRASHED, message=f"its worker {how}")


def returned(huey: Huey, claim: Claim, why: str, attempted: Attempted | None = None) -> Settlement:
    """A claim given back to the queue, or to the dead if the task runs at most once and may have started."""
    if claim.at_most_once:
        outcome = dead_outcome(huey, claim, f"{why}, and it runs at most once")
    else:
        events = huey.emitter.of_claim(claim, s.SIGNAL_INTERRUPTED, message=why)
        outcome = Outcome(Disposition.BACK, "interrupted", reason=why, events=events)
    return Settlement(claim.key, outcome, attempted)


def recover(huey: Huey, owner: int) -> int:
    """Settle the claims of consumers that are gone, and of those whose lease has ended; how many.

    A process is recognised by its boot, pid and start time, so that nothing has to be waited for.
    """
    recovered = 0
    unseen = False
    for other, (supervisor, dispatcher) in huey.storage.consumers().items():
        unseen = unseen or huey.storage.is_gone(supervisor) is None
        if other != owner and _is_over(huey.storage, supervisor, dispatcher):
            claims = huey.storage.held(other, inline=0)
            recovered += _give_back(huey, claims, "its consumer died")
            huey.storage.unregister(other)
            logger.warning(
                "Consumer %d (pid %d) is gone: %d tasks recovered", other, supervisor.pid, len(claims)
            )
    if _late(huey, owner):
        with huey.storage.batch():  # whose owner has just extended them are none
            late = _give_back(huey, _late(huey, owner), "its consumer stood still")
        if late:
            logger.warning("%d tasks recovered from consumers that stood still", late)
        recovered += late
    if unseen:
        _strike_off(huey.storage)
    return recovered


def _strike_off(storage: Storage) -> None:
    """Forget the consumers of machines that died; what they had came back when its leases were over."""
    for other, process in storage.unregister_lapsed().items():
        logger.warning(
            "Consumer %d (pid %d of another machine or container) was silent for too long: it counts as dead",
            other,
            process.pid,
        )


def _late(huey: Huey, owner: int) -> list[Claim]:
    return [claim for claim in huey.storage.expired(clock.monotonic()) if claim.owner != owner]


def _is_over(storage: Storage, supervisor: Identity, dispatcher: Identity | None) -> bool:
    """Whether nobody works for a consumer any more; a dispatcher outlives its supervisor by a grace."""
    return storage.is_gone(supervisor) is True and (dispatcher is None or storage.is_gone(dispatcher) is True)


def _give_back(huey: Huey, claims: list[Claim], why: str) -> int:
    settlements = [returned(huey, claim, why) for claim in claims]
    events = [event for settlement in settlements for event in settlement.outcome.events]
    with huey.emitter.announced(events):
        held = huey.storage.settle(settlements, clock.now())
    return sum(held)
