"""What the death of a worker leaves to be done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from liteq import signals as s
from liteq.api import Huey
from liteq.messages import Attempted, Claim, Disposition, Settlement, Verdict
from liteq.workers.notices import Gone
from liteq.workers.pool import Attempt, Pool
from liteq.workers.recovery import crashed, returned
from liteq.workers.wire import Announcement, Report, pack_announcement


class Aftermath:
    """Ends the attempts of dead workers, and has other workers do what needs the application's code.

    Args:
        huey: the application's queue.
        max_crashes: how often the death of its worker may end a task before it is dead.
    """

    def __init__(self, huey: Huey, max_crashes: int) -> None:
        self._huey = huey
        self._max_crashes = max_crashes
        self._stopped: deque[Claim] = deque()
        self._verdicts: dict[Attempt, tuple[Verdict, Attempted]] = {}
        self._announcements: deque[Announcement] = deque()

    @property
    def is_clear(self) -> bool:
        """Whether no attempt waits for a worker to conclude it."""
        return not self._stopped

    @property
    def is_concluded(self) -> bool:
        """Whether the end of every attempt that was stopped is known; only here is it known why they were."""
        return not self._verdicts

    def take(self, claims: Iterable[Claim], gone: Gone, attempted: Attempted) -> list[Settlement]:
        """The ends of the attempts that a worker was at when it died.

        Those that were stopped on purpose are kept: another worker says what their end causes.
        """
        claims = list(claims)
        for claim in claims:
            self._verdicts.pop(claim.key[:2], None)
        if gone.verdict:
            self._stopped.extend(claims)
            self._verdicts.update({claim.key[:2]: (gone.verdict, attempted) for claim in claims})
            return []
        if gone.requested:
            return [returned(self._huey, claim, "interrupted", attempted) for claim in claims]
        return [self._crashed(claim, gone.how, attempted) for claim in claims]

    def died_idle(self, gone: Gone) -> None:
        """A process has died that was at no task: receivers of signals hear of it as well."""
        if gone.exit_code and not (gone.verdict or gone.requested):
            self._announce(None, s.SIGNAL_WORKER_DIED)
            events = self._huey.emitter.of_claim(None, s.SIGNAL_WORKER_DIED, message=f"a worker {gone.how}")
            self._huey.emitter.send(events)

    def attempted(self, report: Report, worker: int | None) -> Attempted:
        """What is known of the attempt that a report ends, which another worker may have begun."""
        attempt = (report.seq, report.attempt)
        verdict = self._verdicts.pop(attempt, None)
        if verdict is None:
            return report.attempted(worker)
        self.concluding(attempt)
        return verdict[1]

    def concluding(self, attempt: Attempt) -> Claim | None:
        """A worker is at it, or was, as the dispatcher before this one told it; the claim."""
        found = next((claim for claim in self._stopped if claim.key[:2] == attempt), None)
        if found is not None:
            self._stopped.remove(found)
        return found

    def taken_back(self, claim: Claim) -> bool:
        """Keep what a worker has not begun to conclude for another one; False if it is no such thing."""
        if claim.key[:2] not in self._verdicts:
            return False
        self._stopped.appendleft(claim)
        return True

    def _crashed(self, claim: Claim, how: str, attempted: Attempted) -> Settlement:
        outcome = crashed(self._huey, claim, how, self._max_crashes)
        dead = (s.SIGNAL_DEAD,) if outcome.disposition is Disposition.DEAD else ()
        self._announce(claim, s.SIGNAL_WORKER_DIED, s.SIGNAL_CRASHED, *dead)
        return Settlement(claim.key, outcome, attempted)

    def _announce(self, claim: Claim | None, *signals: str) -> None:
        if any(self._huey.signals.has_receivers(signal) for signal in signals):
            self._announcements.append(Announcement(signals, None if claim is None else claim.data))

    def hand_out(self, pool: Pool, now: int) -> None:
        """Give workers that have room what they are to conclude and to tell."""
        while self._stopped and (worker := pool.freest()) is not None:
            claim = self._stopped[0]
            verdict, _ = self._verdicts[claim.key[:2]]
            if not worker.hand_out([claim], now, verdict):
                self._stopped.popleft()
        while self._announcements and (worker := pool.freest()) is not None:
            if worker.send(pack_announcement(self._announcements[0])):
                self._announcements.popleft()

    def give_up(self) -> list[Settlement]:
        """Nobody will be there to conclude them: what is kept goes back to the queue."""
        given_up = []
        for claim in self._stopped:
            _, attempted = self._verdicts.pop(claim.key[:2])
            given_up.append(returned(self._huey, claim, "interrupted", attempted))
        self._stopped.clear()
        return given_up
