"""The life of a child process: every transition, every deadline, and what is impossible."""

import pytest

from liteq.workers import child as child_module
from liteq.workers.child import Action, Child, Policy, State

NEW, STARTING, READY = State.NEW, State.STARTING, State.READY
STOPPING, BACKOFF, FAILED, GONE = State.STOPPING, State.BACKOFF, State.FAILED, State.GONE
QUICK, BORNE = child_module._QUICK, child_module._QUICK_DEATHS


def child_in(state, **policy):
    """A child that has come to a state by itself, at time 0."""
    child = Child(Policy(**{"start_budget": 1 if state is FAILED else 5, **policy}))
    steps = {
        NEW: (),
        STARTING: ("started",),
        READY: ("started", "ready"),
        STOPPING: ("started", "ready", "stop"),
        BACKOFF: ("started", "exited"),
        FAILED: ("started", "exited"),
        GONE: ("stop",),
    }[state]
    for step in steps:
        happen(child, step, 0)
    assert child.state is state
    return child


def happen(child, event, now):
    if event == "stop":
        child.stop(now, None)
    elif event == "limit":
        child.limit(now, 1)
    else:
        getattr(child, event)(now)


# Transitions

LEGAL = {
    (NEW, "started"): STARTING,
    (NEW, "stop"): GONE,
    (STARTING, "ready"): READY,
    (STARTING, "stop"): STOPPING,
    (STARTING, "exited"): BACKOFF,
    (READY, "stop"): STOPPING,
    (READY, "replace"): STOPPING,
    (READY, "exited"): NEW,
    (STOPPING, "exited"): GONE,
    (BACKOFF, "started"): STARTING,
    (BACKOFF, "stop"): GONE,
}
"""What changes the state."""

IGNORED = {
    "ready": [state for state in State if state is not STARTING],
    "stop": [STOPPING, FAILED, GONE],
    "replace": [state for state in State if state is not READY],
    "limit": list(State),
    "exited": [NEW, BACKOFF, FAILED, GONE],
}
"""What comes too late, or early, and changes nothing."""

IMPOSSIBLE = {"started": [STARTING, READY, STOPPING, FAILED, GONE]}


@pytest.mark.parametrize(("state", "event"), LEGAL)
def test_transitions(state, event):
    child = child_in(state)
    happen(child, event, 5)
    assert child.state is LEGAL[state, event]


@pytest.mark.parametrize(
    ("event", "state"), [(event, state) for event in IGNORED for state in IGNORED[event]]
)
def test_what_changes_nothing(event, state):
    child = child_in(state)
    happen(child, event, 5)
    assert child.state is state


@pytest.mark.parametrize("state", IMPOSSIBLE["started"])
def test_a_process_cannot_be_started_in_the_place_of_another(state):
    child = child_in(state)
    with pytest.raises(ValueError, match=f"{state.value} can't become starting"):
        child.started(5)
    assert child.state is state


def test_all_cases_are_covered():
    events = {"started", "ready", "stop", "replace", "limit", "exited"}
    covered = set(LEGAL) | {
        (s, e) for table in (IGNORED, IMPOSSIBLE) for e, states in table.items() for s in states
    }
    assert covered == {(state, event) for state in State for event in events}


def test_over_means_that_no_process_is_or_will_be_there():
    assert {state for state in State if child_in(state).is_over} == {FAILED, GONE}


def test_a_whole_life():
    child = Child(Policy())
    assert child.due(0) is Action.START
    child.started(0)
    child.ready(1)
    child.exited(100)  # it died
    assert child.due(100) is Action.START
    child.started(100)
    child.ready(101)
    child.stop(200, None)
    assert child.due(300) is Action.NONE
    child.exited(301)
    assert child.is_over
    assert child.due(302) is Action.NONE


# Starting


def test_a_new_one_is_to_be_started_until_it_is():
    child = child_in(NEW)
    assert [child.due(0), child.due(1)] == [Action.START] * 2
    assert child.next_deadline() is None
    child.started(1)
    assert child.due(1) is Action.NONE


def test_a_start_that_takes_too_long_is_killed():
    child = child_in(STARTING, start_timeout=60, kill_after=5)
    assert child.next_deadline() == 60
    assert child.due(59.9) is Action.NONE
    assert child.due(60) is Action.KILL
    assert child.due(60.1) is Action.NONE
    assert child.next_deadline() == 65
    assert child.due(65) is Action.KILL
    child.exited(66)
    assert child.state is BACKOFF


def test_one_that_is_ready_in_time_has_no_deadline():
    child = child_in(READY)
    assert child.next_deadline() is None
    assert child.due(10**9) is Action.NONE


def test_failed_starts_back_off_longer_and_longer_up_to_a_limit():
    child = Child(Policy(start_budget=100))
    now, pauses = 0.0, []
    for _ in range(99):
        child.started(now)
        child.exited(now)
        pauses.append(round(child.next_deadline() - now, 6))
        assert child.due(now) is Action.NONE
        now = child.next_deadline()
        assert child.due(now) is Action.START
    first = child_module._FIRST_BACKOFF
    assert pauses[:4] == pytest.approx([first, 2 * first, 4 * first, 8 * first])
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(child_module._LONGEST_BACKOFF)


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_the_budget_of_starts(budget):
    child = Child(Policy(start_budget=budget))
    for number in range(1, budget + 1):
        child.started(0)
        child.exited(0)
        assert child.failed_starts == number
        assert child.state is (FAILED if number == budget else BACKOFF)
    assert child.due(10**9) is Action.NONE


def test_one_that_becomes_ready_restores_the_budget():
    child = Child(Policy(start_budget=3))
    for _ in range(10):
        child.started(0)
        child.exited(0)
        child.started(0)
        child.exited(0)
        child.started(0)
        child.ready(0)
        assert child.failed_starts == 0
        child.exited(100)
        assert child.state is NEW


def test_a_start_during_the_back_off_is_asked_for_until_it_happens():
    child = child_in(BACKOFF)
    now = child.next_deadline()
    assert [child.due(now), child.due(now)] == [Action.START] * 2


# Dying


def test_one_that_dies_is_replaced_at_once():
    child = child_in(READY)
    child.exited(100)
    assert child.state is NEW
    assert child.due(100) is Action.START


def test_one_that_is_not_to_be_restarted_is_gone():
    child = child_in(READY, restart=False)
    child.exited(100)
    assert child.state is GONE


def die(child, now, lived):
    child.started(now)
    child.ready(now)
    child.exited(now + lived)


def test_quick_deaths_are_borne_for_a_while():
    child = Child(Policy())
    for _ in range(BORNE):
        die(child, 0, QUICK / 2)
        assert child.state is NEW
    pauses = []
    for _ in range(20):
        die(child, 0, QUICK / 2)
        assert child.state is BACKOFF
        pauses.append(child.next_deadline() - QUICK / 2)
    assert pauses[0] == pytest.approx(child_module._FIRST_BACKOFF)
    assert pauses[1] == pytest.approx(2 * pauses[0])
    assert pauses == sorted(pauses)
    assert pauses[-1] == pauses[-2]


def test_a_crash_loop_may_go_on_for_days():
    child = Child(Policy())
    for _ in range(5000):
        die(child, 0, 0)
    assert child.state is BACKOFF
    assert 0 < child.next_deadline() <= child_module._LONGEST_BACKOFF


def test_one_that_lives_longer_starts_the_count_anew():
    child = Child(Policy())
    for _ in range(BORNE + 5):
        die(child, 0, QUICK / 2)
    die(child, 0, QUICK)
    assert child.state is NEW
    for _ in range(BORNE):
        die(child, 0, QUICK / 2)
        assert child.state is NEW
    die(child, 0, QUICK / 2)
    assert child.state is BACKOFF


def test_a_life_that_was_of_use_is_not_a_quick_one():
    child = Child(Policy(lives=1))
    for _ in range(10 * BORNE):
        child.started(0)
        child.ready(0)
        child.exited(0, useful=True)
        assert child.state is NEW


def test_a_child_has_so_many_lives():
    child = Child(Policy(lives=3))
    for _ in range(BORNE):
        die(child, 0, 0)
    for _ in range(3):
        die(child, 0, 0)
        assert child.state is BACKOFF
    die(child, 0, 0)
    assert child.state is FAILED
    assert child.is_over


# Stopping


def test_one_that_stops_in_its_own_time_is_left_alone():
    child = child_in(STOPPING)
    assert child.next_deadline() is None
    assert child.due(10**9) is Action.NONE
    child.exited(10**9)
    assert child.state is GONE


@pytest.mark.parametrize("state", [STARTING, READY])
def test_term_then_kill_and_kill_again(state):
    child = child_in(state, kill_after=5)
    child.stop(10, 30)
    assert child.state is STOPPING
    assert child.next_deadline() == 40
    assert child.due(39.9) is Action.NONE
    assert child.due(40) is Action.TERMINATE
    assert child.due(40) is Action.NONE
    assert child.next_deadline() == 45
    assert child.due(45) is Action.KILL
    assert child.due(45) is Action.NONE
    assert child.due(50) is Action.KILL
    child.exited(51)
    assert child.state is GONE
    assert child.next_deadline() is None


def test_no_grace_is_now():
    child = child_in(READY)
    child.stop(10, 0)
    assert child.due(10) is Action.TERMINATE


def test_a_second_request_may_only_shorten_the_time():
    child = child_in(READY)
    child.stop(0, 100)
    child.stop(10, 20)
    assert child.next_deadline() == 30
    child.stop(11, 100)
    assert child.next_deadline() == 30
    child.limit(12, 1)
    assert child.next_deadline() == 13
    child.stop(12, None)
    assert child.next_deadline() == 13


def test_a_limit_comes_to_one_that_stops_in_its_own_time():
    child = child_in(STOPPING)
    child.limit(10, 5)
    assert child.next_deadline() == 15
    assert child.due(15) is Action.TERMINATE


def test_after_term_only_the_kill_counts():
    child = child_in(READY, kill_after=5)
    child.stop(0, 0)
    assert child.due(0) is Action.TERMINATE
    child.stop(1, 100)
    child.limit(1, 0)
    assert child.next_deadline() == 5
    assert child.due(5) is Action.KILL


@pytest.mark.parametrize("state", [NEW, BACKOFF])
def test_where_there_is_no_process_a_stop_is_the_end(state):
    child = child_in(state)
    child.stop(5, 10)
    assert child.state is GONE
    assert child.next_deadline() is None
    assert child.due(100) is Action.NONE


def test_one_that_is_stopped_while_it_starts_may_say_that_it_is_ready():
    child = child_in(STARTING)
    child.stop(5, None)
    child.ready(6)
    assert child.state is STOPPING
    child.exited(7)
    assert child.state is GONE


# Replacing


def test_replacing_ends_one_and_starts_another():
    child = child_in(READY)
    child.replace(10)
    assert child.state is STOPPING
    assert child.due(10**6) is Action.NONE
    child.exited(20)
    assert child.state is NEW
    assert child.due(20) is Action.START
    child.started(20)
    child.ready(21)
    child.exited(1000)
    assert child.state is NEW


def test_a_stop_overrides_a_replacement():
    child = child_in(READY)
    child.replace(10)
    child.stop(11, 5)
    assert child.next_deadline() == 16
    child.exited(12)
    assert child.state is GONE


def test_a_replacement_does_not_override_a_stop():
    child = child_in(STOPPING)
    child.replace(11)
    child.exited(12)
    assert child.state is GONE


def test_a_replacement_that_does_not_obey_is_terminated_and_killed():
    child = child_in(READY, kill_after=5)
    child.replace(0)
    child.limit(0, 10)
    assert child.due(10) is Action.TERMINATE
    assert child.due(15) is Action.KILL
    child.exited(16)
    assert child.state is NEW


def test_the_next_process_gets_its_own_term_and_kill():
    child = child_in(READY, kill_after=5)
    child.replace(0)
    child.limit(0, 0)
    assert child.due(0) is Action.TERMINATE
    child.exited(1)
    child.started(1)
    child.ready(2)
    child.stop(3, 0)
    assert child.due(3) is Action.TERMINATE
    assert child.due(8) is Action.KILL


def test_a_replacement_is_not_a_quick_death():
    child = Child(Policy())
    for _ in range(5 * BORNE):
        child.started(0)
        child.ready(0)
        child.replace(0)
        child.exited(0)
        assert child.state is NEW


def test_the_defaults():
    assert Policy() == Policy(restart=True, start_budget=5, start_timeout=60, kill_after=5)


def test_one_that_hangs_before_it_is_ready_does_not_hold_up_a_stop():
    child = child_in(STARTING, start_timeout=60, kill_after=5)
    child.stop(10, None)
    assert child.next_deadline() == 60
    assert child.due(59) is Action.NONE
    assert child.due(60) is Action.TERMINATE
    assert child.due(65) is Action.KILL


def test_one_that_is_ready_has_its_own_time_to_stop():
    child = child_in(READY, start_timeout=60)
    child.stop(10, None)
    assert child.next_deadline() is None
