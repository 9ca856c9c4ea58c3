"""Holds the history of a run against the promises."""

from __future__ import annotations

from stress.rules.claims import (
    a_claim_ends_once,
    a_message_is_settled_once,
    an_attempt_is_claimed_before_it_starts,
    an_attempt_starts_once,
    no_claim_is_taken_before_its_lease_ends,
    nothing_runs_after_its_end,
    what_is_lost_is_not_begun,
)
from stress.rules.delivery import (
    a_bulk_is_whole_or_not_there,
    a_task_ends_once,
    at_most_once_is_at_most_once,
    everything_acknowledged_has_an_end,
    it_ended_as_it_had_to,
    no_result_is_there_twice,
    nothing_runs_twice,
    what_ended_well_has_started,
)
from stress.rules.order import (
    one_worker_keeps_the_order,
    one_worker_keeps_the_priorities,
)
from stress.rules.restarts import (
    an_exit_code_tells_of_interruptions,
    new_code_is_in_force,
)
from stress.rules.run import DEAD, ERROR, Rule, Run
from stress.rules.sharing import (
    a_chord_calls_back_once,
    a_slot_fires_once,
    locks_hold,
    rate_limits_hold,
)

__all__ = ["DEAD", "ERROR", "RULES", "Rule", "Run", "check"]

_EXAMPLES = 3

RULES: tuple[Rule, ...] = (
    everything_acknowledged_has_an_end,
    it_ended_as_it_had_to,
    no_result_is_there_twice,
    a_message_is_settled_once,
    a_bulk_is_whole_or_not_there,
    a_task_ends_once,
    a_claim_ends_once,
    an_attempt_starts_once,
    nothing_runs_twice,
    new_code_is_in_force,
    an_exit_code_tells_of_interruptions,
    an_attempt_is_claimed_before_it_starts,
    nothing_runs_after_its_end,
    at_most_once_is_at_most_once,
    what_ended_well_has_started,
    one_worker_keeps_the_order,
    one_worker_keeps_the_priorities,
    locks_hold,
    no_claim_is_taken_before_its_lease_ends,
    what_is_lost_is_not_begun,
    rate_limits_hold,
    a_slot_fires_once,
    a_chord_calls_back_once,
)


def check(run: Run) -> list[str]:
    """What is broken: for each rule that is, in how many cases, with examples."""
    broken = []
    for rule in RULES:
        found = list(rule(run))
        if found:
            examples = ", ".join(found[:_EXAMPLES])
            broken.append(f"{rule.__name__.replace('_', ' ')}: {len(found)} times not, such as {examples}")
    return broken
