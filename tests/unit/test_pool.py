"""What the dispatcher knows of its workers, with real lines to workers that are played by the test."""

import random
import sys
import threading
import time
from bisect import insort

import pytest

from liteq.messages import Claim, Outcome
from liteq.messages import Disposition as D
from liteq.workers import pool as pool_module
from liteq.workers.pool import Pool, Worker
from liteq.workers.rings import Rings
from liteq.workers.shared import Board
from liteq.workers.wire import (
    MAX_PACKET,
    MAX_PAYLOAD,
    Report,
    pack_report,
    pack_return,
    packet_pair,
    unpack,
    unpack_report,
)

STUCK = pool_module._STUCK_AFTER
PREFETCHED = pool_module._PREFETCHED_TIME
DEEPEST = pool_module._MAX_DEPTH


def claim(seq, priority=0, data=b"", attempt=1):
    return Claim(
        seq, attempt, 1, f"id{seq}", "app.task", data, priority, 0, at_most_once=False, revoked=False
    )


def hand_out(worker, one, now=0):
    """Give a worker one task; whether it has found room."""
    return not worker.hand_out([one], now)


class Played:
    """A worker's process, played by the test."""

    def __init__(self, end, board, rings, index):
        self.end = end
        self._board = board
        self._rings = rings
        self._index = index
        self._packet = []

    def receive(self):
        """The next task, and whether it may be begun; None for the order to stop."""
        if not self._packet:
            packet = unpack(self.end.recv(MAX_PACKET))
            if packet is None:
                return None
            self._packet = packet
        assignment = self._packet.pop(0)
        key = assignment.key
        return assignment, self._board.begin(self._index, key.seq, key.attempt, 1, assignment.epoch)

    def read(self):
        """Begin the next task, as a worker does; None for the order to stop."""
        received = self.receive()
        assert received is None or received[1]
        return received and received[0].key.seq

    def report(self, seq, duration=100, attempt=1):
        report = Report(seq, attempt, duration, Outcome(D.DONE, "complete"), started=1)
        assert self._rings.write(self._index, pack_report(report))
        self._board.clear(self._index)

    def say(self, packet):
        assert self._rings.write(self._index, packet)

    def give_back(self, assignment):
        self.say(pack_return(assignment.key))
        self._board.clear(self._index)
        self._packet.clear()


class Line:
    """A worker as the dispatcher sees it, and the played process at the other end."""

    def __init__(self, token=1):
        line, far = packet_pair()
        self.board = Board(token)
        self.worker = Worker(token, token - 1, 1000 + token, line, far, self.board)
        self.worker._duration = float(PREFETCHED)  # known by tasks of middling length
        self.rings = Rings(token)
        self.process = Played(far.dup(), self.board, self.rings, token - 1)

    def give(self, *claims, now=0):
        for one in claims:
            assert hand_out(self.worker, one, now)

    def run(self, seq, duration=100, now=0):
        """The process runs a task, and the dispatcher hears of it."""
        assert self.process.read() == seq
        self.process.report(seq, duration)
        (report,) = self.reports()
        return self.worker.reported(report, now)

    def reports(self):
        """What the dispatcher hears."""
        return [unpack_report(packet) for packet in self.rings.read(self.worker.index)]

    def take_back(self):
        """What the dispatcher takes back, as `Crew` does."""
        self.worker.end_epoch()
        at = self.board.read(self.worker.index)
        for report in self.reports():
            self.worker.reported(report, 0)
        return [one.seq for one in self.worker.take_back(at)]

    def close(self):
        self.worker.close()
        self.process.end.close()


@pytest.fixture
def lines():
    made = []

    def make(number):
        made.extend(Line(token) for token in range(1, number + 1))
        return made

    yield make
    for line in made:
        line.close()


@pytest.fixture
def line(lines):
    return lines(1)[0]


@pytest.fixture
def worker(line):
    return line.worker


def keys(claims):
    return [one.seq for one in claims]


def fast(line, count=60, duration=10):
    """Let it run many short tasks, so that it is known to be fast."""
    for seq in range(count):
        line.give(claim(10_000 + seq))
        line.run(10_000 + seq, duration)


# One worker


def test_a_task_is_handed_out_and_reported(line, worker):
    line.give(claim(1, data=b"data"))
    assert worker.in_hand == {(1, 1): claim(1, data=b"data")}
    assert worker.handed_out == 1
    assert unpack(line.process.end.recv(MAX_PACKET))[0].data == b"data"
    line.process.report(1)
    (report,) = line.reports()
    assert worker.reported(report, 5) == claim(1, data=b"data")
    assert worker.in_hand == {}
    assert worker.handed_out == 1
    assert worker.last_report == 5


def test_tasks_are_run_in_the_order_in_which_they_were_given(line):
    line.give(claim(1), claim(2), claim(3))
    assert [line.process.read() for _ in range(3)] == [1, 2, 3]


def test_a_report_of_what_it_did_not_have(line, worker):
    line.give(claim(1))
    assert worker.reported(Report(9, 1, 100, None), 0) is None
    assert worker.reported(Report(1, 2, 100, None), 0) is None, "another attempt is another task"
    assert list(worker.in_hand) == [(1, 1)]


def test_reports_are_taken_once(line, worker):
    line.process.report(1)
    line.process.report(2)
    assert [report.seq for report in line.reports()] == [1, 2]
    assert line.reports() == []


def test_what_a_process_leaves_is_heard_and_taken_back(line, worker):
    """The dispatcher's duplicate of its end keeps all that it had not read."""
    line.give(claim(1), claim(2), claim(3))
    line.process.read()
    line.process.report(1)
    line.process.end.close()
    assert line.take_back() == [2, 3]
    assert line.reports() == []


def test_what_a_process_reported_is_heard_even_if_nobody_has_its_end_any_more(line, worker):
    line.give(claim(1), claim(2))
    line.process.read()
    line.process.report(1)
    worker._far_end.close()
    line.process.end.close()  # with a task that it had not read
    assert [report.seq for report in line.reports()] == [1]
    assert line.reports() == []


# Taking back


def test_what_was_not_read_is_taken_back_and_can_not_be_started(line, worker):
    line.give(*(claim(seq) for seq in range(1, 6)))
    assert line.process.read() == 1
    assert line.take_back() == [2, 3, 4, 5]
    line.process.end.setblocking(False)
    with pytest.raises(BlockingIOError):
        line.process.end.recv(MAX_PACKET)


def test_what_was_read_and_not_begun_is_taken_back_and_can_not_be_begun(pool, line, worker):
    assert worker.hand_out([claim(1), claim(2), claim(3)], 0) == []
    assert line.process.read() == 1
    assert line.take_back() == [2, 3]
    line.process.report(1)
    _, may_begin = line.process.receive()
    assert not may_begin


def test_what_it_gives_back_of_what_was_taken_back_is_nothing(line, worker):
    assert worker.hand_out([claim(1), claim(2)], 0) == []
    assert line.take_back() == [1, 2]
    assert worker.handed_out == 0
    line.process.say(pack_return(claim(1).key))
    (report,) = line.reports()
    assert worker.reported(report, 0) is None
    assert worker.handed_out == 0


def test_what_was_begun_is_not_taken_back(line, worker):
    line.give(claim(1), claim(2))
    assert line.process.read() == 1
    line.process.report(1)
    assert line.process.read() == 2
    assert line.take_back() == []
    assert list(worker.in_hand) == [(2, 1)]


def test_taking_back_twice_finds_nothing(line, worker):
    line.give(claim(1), claim(2))
    assert line.take_back() == [1, 2]
    assert line.take_back() == []


@pytest.fixture
def restless():
    """Threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless")
def test_every_task_runs_once_and_nothing_overtakes_what_is_taken_back(line, worker):
    """However the two race: what the process comes to meanwhile it gives back, and gets no more until then."""
    total, ran, chance = 500, [], random.Random(1)

    def process():
        while len(ran) < total:
            assignment, may_begin = line.process.receive()
            if may_begin:
                ran.append(assignment.key.seq)
                line.process.report(assignment.key.seq, attempt=assignment.key.attempt)
            else:
                line.process.give_back(assignment)

    queue = [claim(seq) for seq in range(1, total + 1)]

    def take_back(one):
        insort(queue, one._replace(attempt=one.attempt + 1))  # as it is claimed anew

    def read():
        for report in line.reports():
            one = worker.reported(report, 0)
            if one is not None and report.is_return:
                take_back(one)

    threading.Thread(target=process, daemon=True).start()
    deadline = time.monotonic() + 120
    while len(ran) < total and time.monotonic() < deadline:
        read()
        worker._duration = 1.0  # as if they were short: what is in doubt is all that holds it back
        room = worker.room
        share, queue[:] = queue[:room], queue[room:]
        assert worker.hand_out(share, 0) == []
        time.sleep(chance.choice([0, 1e-5, 1e-4, 3e-4]))  # so that they meet at all places of the packet
        worker.end_epoch()
        at = line.board.read(0)
        read()
        for one in worker.take_back(at):
            take_back(one)
    assert ran == list(range(1, total + 1))


def test_until_it_is_known_what_it_had_read_it_gets_nothing(line, worker):
    line.give(claim(1), claim(2), claim(3))
    line.process.read()
    assert line.take_back() == [2, 3]
    worker._duration = 1.0
    assert worker.room == 0
    line.process.say(pack_return(claim(1).key))
    (report,) = line.reports()
    assert worker.reported(report, 0) == claim(1)
    assert worker.room > 0
    assert worker.handed_out == 0


def test_what_was_taken_back_is_not_counted_as_handed_out(line, worker):
    line.give(claim(1), claim(2), claim(3))
    line.process.read()
    line.take_back()
    assert worker.handed_out == 1


def test_an_order_to_stop_is_taken_back_with_the_tasks(line, worker):
    worker.stop()
    assert worker.stopped
    assert line.take_back() == []
    assert not worker.stopped
    worker.stop()
    assert line.process.read() is None


def test_it_is_told_to_stop_once(line, worker):
    worker.stop()
    worker.stop()
    assert line.process.read() is None
    line.process.end.setblocking(False)
    with pytest.raises(BlockingIOError):
        line.process.end.recv(MAX_PACKET)


def test_after_a_take_back_it_is_given_one_at_a_time(line, worker):
    """It runs something longer than it was measured by."""
    fast(line)
    assert worker.room > 10
    line.give(claim(1), claim(2))
    line.process.read()
    assert line.take_back() == [2]
    assert worker.room == 0
    line.process.report(1, duration=PREFETCHED * 50)
    (report,) = line.reports()
    worker.reported(report, 0)
    assert worker.room == 1


def test_a_task_of_the_dispatcher_before_this_one(line, worker):
    worker.is_running(claim(1), 500)
    assert worker.in_hand == {(1, 1): claim(1)}
    assert worker.last_report == 500
    line.process.report(1)
    (report,) = line.reports()
    assert worker.reported(report, 600) == claim(1)


def test_nothing_overtakes_what_another_dispatcher_gave_it(line, worker):
    worker.is_running(claim(1), 0)
    worker._duration = 1.0  # reports that it had sent before tell of short tasks
    assert worker.room == 0
    line.process.say(pack_return(claim(1).key))
    (report,) = line.reports()
    worker.reported(report, 0)
    assert worker.room > 0


# Room


def test_nothing_waits_behind_a_task_of_a_worker_that_is_new():
    worker = Worker(1, 0, 1001, *packet_pair(), Board(1))
    assert worker.room == 1
    assert hand_out(worker, claim(1))
    assert worker.room == 0
    worker.close()


def test_a_worker_of_long_tasks_gets_one_at_a_time(line, worker):
    for seq in range(40):
        line.give(claim(seq))
        line.run(seq, duration=10 * PREFETCHED)
    assert worker.room == 1
    line.give(claim(99))
    assert worker.room == 0


def test_a_worker_of_short_tasks_gets_many_up_to_a_limit(line, worker):
    fast(line, duration=0)
    assert worker.room == DEEPEST


def test_the_work_that_waits_is_bounded_in_time(line, worker):
    """What waits inside a worker is about as much as it does in the prefetched time, whatever its tasks take."""
    for duration in (500, 2000, 10_000, 50_000):
        for seq in range(80):
            line.give(claim(seq))
            line.run(seq, duration=duration)
        assert (worker.room - 1) * duration <= 1.1 * PREFETCHED


def test_a_worker_that_is_half_full_is_left_alone(line, worker):
    fast(line)
    room = worker.room
    line.give(*(claim(seq) for seq in range(room)))
    assert worker.room == 0
    seq = 0
    while worker.room == 0:
        line.run(seq, duration=10)
        seq += 1
    assert seq >= room // 2
    assert worker.room >= room // 2


def test_a_retiring_worker_gets_nothing(worker):
    worker.retiring = True
    assert worker.room == 0


def test_a_full_line_is_no_error(line, worker):
    seq = 0
    while hand_out(worker, claim(seq, data=b"x" * MAX_PAYLOAD)):
        seq += 1
    assert seq >= 1
    assert worker.room == 0
    assert (seq, 1) not in worker.in_hand
    assert worker.handed_out == seq
    line.run(0)
    assert hand_out(worker, claim(seq, data=b"x"))


def test_a_full_line_has_room_again_after_a_take_back(line, worker):
    seq = 0
    while hand_out(worker, claim(seq, data=b"x" * MAX_PAYLOAD)):
        seq += 1
    assert len(line.take_back()) == seq
    assert hand_out(worker, claim(seq))


def test_a_worker_whose_process_is_gone_takes_nothing(line, worker):
    worker._far_end.close()
    line.process.end.close()
    assert not hand_out(worker, claim(1))
    assert worker.in_hand == {}
    assert worker.room == 0
    worker.stop()
    assert not worker.stopped


# Stuck


def test_one_that_runs_a_long_task_before_others_is_stuck(line, worker):
    line.give(claim(1), now=0)
    assert not worker.is_stuck(10 * STUCK), "nothing waits behind it"
    line.give(claim(2), now=1000)
    assert worker.waiting == 1
    assert not worker.is_stuck(STUCK)
    assert worker.is_stuck(STUCK + 1)


def test_each_report_starts_the_time_anew(line, worker):
    line.give(claim(1), claim(2), claim(3))
    line.run(1, now=STUCK)
    assert not worker.is_stuck(2 * STUCK)
    assert worker.is_stuck(2 * STUCK + 1)


def test_an_idle_worker_is_not_stuck_by_what_it_gets_after_a_long_time(line, worker):
    line.give(claim(1), claim(2), now=100 * STUCK)
    assert not worker.is_stuck(100 * STUCK + 1)


def test_when_the_next_one_may_be_stuck(lines):
    one, two = lines(2)
    pool = Pool(None)
    pool.add(one.worker)
    pool.add(two.worker)
    assert pool.next_stuck() is None
    one.give(claim(1), now=500)
    assert pool.next_stuck() is None
    two.give(claim(2), claim(3), now=700)
    moment = pool.next_stuck()
    assert two.worker.is_stuck(moment)
    assert not two.worker.is_stuck(moment - 1)
    one.give(claim(4), now=800)
    assert one.worker.is_stuck(pool.next_stuck())


# The pool


@pytest.fixture
def pool(lines):
    pool = Pool(None)
    for line in lines(3):
        pool.add(line.worker)
    return pool


def test_a_pool_begins_empty():
    pool = Pool(None)
    assert pool.is_empty
    assert list(pool) == []
    assert (pool.room(), pool.idle(), pool.lowest_waiting(), pool.next_stuck()) == (0, 0, None, None)
    assert pool.hand_out([claim(1)], 0) == [claim(1)]
    pool.retire_spent()


def test_workers_come_and_go(pool, lines):
    assert not pool.is_empty
    assert [worker.token for worker in pool] == [1, 2, 3]
    assert pool.get(2).token == 2
    assert pool.get(9) is None
    pool.remove(pool.get(2))
    assert pool.get(2) is None
    assert [worker.token for worker in pool] == [1, 3]


def test_a_worker_that_goes_is_closed(pool):
    worker = pool.get(1)
    pool.remove(worker)
    assert worker.line.fileno() == -1


def test_workers_may_go_while_the_pool_is_walked_through(pool):
    for worker in pool:
        pool.remove(worker)
    assert pool.is_empty


def test_those_with_the_least_in_hand_get_the_next(pool):
    assert pool.idle() == 3
    assert pool.hand_out([claim(seq) for seq in range(3)], 0) == []
    assert [len(worker.in_hand) for worker in pool] == [1, 1, 1]
    assert pool.idle() == 0


def test_the_first_tasks_are_those_that_start(pool, lines):
    pool.hand_out([claim(seq) for seq in range(6)], 0)
    assert sorted(next(iter(worker.in_hand))[0] for worker in pool) == [0, 1, 2]


def test_no_more_than_there_is_room_for(pool):
    assert pool.room() == 6
    left = pool.hand_out([claim(seq) for seq in range(8)], 0)
    assert keys(left) == [6, 7]
    assert pool.room() == 0


def test_a_retiring_worker_is_passed_over(pool):
    pool.get(2).retiring = True
    assert pool.idle() == 2
    assert pool.room() == 4
    assert pool.hand_out([claim(seq) for seq in range(4)], 0) == []
    assert pool.get(2).in_hand == {}


def test_a_worker_whose_line_is_full_is_passed_over_and_nothing_is_lost(pool, lines):
    worker = pool.get(1)
    seq = 1000
    while hand_out(worker, claim(seq, data=b"x" * MAX_PAYLOAD)):
        seq += 1
    before = len(worker.in_hand)
    tasks = [claim(number) for number in range(6)]
    left = pool.hand_out(tasks, 0)
    handed = [one.seq for other in (pool.get(2), pool.get(3)) for one in other.in_hand.values()]
    assert sorted(handed + keys(left)) == list(range(6))
    assert len(handed) == 4
    assert len(worker.in_hand) == before


def test_a_worker_that_died_is_passed_over_and_nothing_is_lost(pool, lines):
    made = lines(0)
    made[0].worker._far_end.close()
    made[0].process.end.close()
    left = pool.hand_out([claim(number) for number in range(5)], 0)
    handed = [one.seq for worker in pool for one in worker.in_hand.values()]
    assert sorted(handed + keys(left)) == list(range(5))
    assert pool.get(1).in_hand == {}
    assert len(handed) == 4


# Priorities


def test_the_lowest_priority_that_waits(pool):
    assert pool.lowest_waiting() is None
    one, two, _ = pool
    hand_out(one, claim(1, priority=5))
    assert pool.lowest_waiting() is None, "what runs does not wait"
    hand_out(one, claim(2, priority=4))
    hand_out(two, claim(3, priority=9))
    hand_out(two, claim(4, priority=7))
    assert pool.lowest_waiting() == 4


def test_the_priority_of_what_runs_does_not_count(pool):
    """A task of priority 5 has nothing to overtake if only tasks of 10 wait behind one of 0."""
    one = pool.get(1)
    hand_out(one, claim(1, priority=0))
    hand_out(one, claim(2, priority=10))
    assert pool.lowest_waiting() == 10


# A number of tasks for each worker


@pytest.fixture
def limited(lines):
    pool = Pool(3)
    for line in lines(2):
        pool.add(line.worker)
    return pool


def test_a_worker_gets_no_more_than_its_number(limited, lines):
    fast_line = lines(0)[0]
    worker = fast_line.worker
    assert limited.room() == 4
    limited.hand_out([claim(seq) for seq in range(4)], 0)
    assert limited.room() == 0
    seq = next(iter(worker.in_hand))[0]
    fast_line.run(seq)
    assert limited.room() == 1, "two it had, one is left of three"
    assert limited.hand_out([claim(10), claim(11)], 0) == [claim(11)]


def test_a_fast_worker_gets_what_is_left_of_its_number(lines):
    line = lines(1)[0]
    pool = Pool(65)
    pool.add(line.worker)
    fast(line, 60)
    assert line.worker.room > 5
    assert pool.room() == 5
    assert keys(pool.hand_out([claim(seq) for seq in range(7)], 0)) == [5, 6]
    assert pool.room() == 0


def test_a_worker_that_has_had_its_number_retires_when_it_is_done(limited, lines):
    line = lines(0)[0]
    worker = line.worker
    hand_out(worker, claim(1))
    hand_out(worker, claim(2))
    hand_out(worker, claim(3))
    limited.retire_spent()
    assert not worker.retiring
    for seq in (1, 2, 3):
        line.run(seq)
    limited.retire_spent()
    assert worker.retiring
    assert worker.stopped
    assert line.process.read() is None
    assert not limited.get(2).retiring


def test_what_was_taken_back_does_not_count_for_the_number(limited, lines):
    line = lines(0)[0]
    line.give(claim(1), claim(2), claim(3))
    line.process.read()
    line.take_back()
    limited.retire_spent()
    assert not line.worker.retiring
    line.process.report(1, duration=10)
    for report in line.reports():
        line.worker.reported(report, 0)
    limited.retire_spent()
    assert not line.worker.retiring
    assert line.worker.room >= 1


def test_without_a_number_nobody_retires(pool, lines):
    line = lines(0)[0]
    fast(line, 50)
    pool.retire_spent()
    assert not line.worker.retiring


def test_a_retiring_worker_is_stopped_once_it_has_nothing_in_hand(pool, lines):
    line = lines(0)[0]
    line.give(claim(1))
    line.worker.retiring = True
    pool.retire_spent()
    assert not line.worker.stopped
    line.run(1)
    pool.retire_spent()
    assert line.worker.stopped
    assert line.process.read() is None


# Workers that share a process


@pytest.fixture
def shared(lines):
    """Three workers, two of which are in one process."""
    pool = Pool(3)
    for line, pid in zip(lines(3), (7, 7, 8), strict=True):
        line.worker.pid = pid
        pool.add(line.worker)
    return pool


def test_the_workers_of_a_process_are_mates(shared):
    one, two, three = shared
    assert shared.mates(one) == shared.mates(two) == [one, two]
    assert shared.mates(three) == [three]


def test_they_have_the_number_of_tasks_together(shared, lines):
    one, two, three = lines(0)[:3]
    fast(one, 2), fast(two, 0)
    assert one.worker.handed_out == 2
    assert shared.room() - three.worker.room == 1, "of three, two were run"
    left = shared.hand_out([claim(seq) for seq in range(100, 110)], 0)
    assert len(one.worker.in_hand) + len(two.worker.in_hand) == 1
    assert len(left) == 10 - 1 - len(three.worker.in_hand)


def test_each_retires_when_it_is_done_once_they_have_had_their_number(shared, lines):
    one, two, three = lines(0)[:3]
    two.give(claim(1))
    one.give(claim(2), claim(3))
    for seq in (2, 3):
        one.run(seq)
    shared.retire_spent()
    assert (one.worker.retiring, two.worker.retiring, three.worker.retiring) == (True, False, False)
    two.run(1)
    shared.retire_spent()
    assert two.worker.retiring
    assert not three.worker.retiring


def test_those_that_take_turns_fetch_less_ahead():
    def depth(turns):
        line, far = packet_pair()
        worker = Worker(1, 0, 7, line, far, Board(1), shares_process=True, turns=turns)
        worker._duration = PREFETCHED / 10
        room = worker.room
        worker.close()
        return room

    assert depth(1) == 11
    assert depth(2) == 3
    assert depth(100) == 1
