"""Who may use the model, and when: one at a time, actions before ~/goal, the newest ~/goal wins."""

import threading

import pytest

from egotwin_model.errors import Cancelled
from egotwin_ros.errors import BusyError
from egotwin_ros.worker import Job, Worker

LONG = 20.0


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.stop()


def endless(begun: threading.Event | None = None) -> Job:
    def call(stopped):
        if begun is not None:
            begun.set()
        waiter = threading.Event()
        while not stopped():
            waiter.wait(0.002)
        raise Cancelled("stopped")

    return Job(call)


def test_a_job_runs_in_another_thread_and_gives_its_result(worker):
    job = Job(lambda stopped: threading.current_thread().name)
    worker.submit_action(job)
    assert job.result.result(LONG) == "imagine"


def test_errors_come_back_as_they_are(worker):
    def fail(stopped):
        raise ValueError("no")

    job = Job(fail)
    worker.submit_action(job)
    with pytest.raises(ValueError, match="no"):
        job.result.result(LONG)


def test_a_second_action_is_refused_until_the_first_is_done(worker):
    first = endless()
    worker.submit_action(first)
    with pytest.raises(BusyError):
        worker.submit_action(endless())
    first.cancel()
    with pytest.raises(Cancelled):
        first.result.result(LONG)
    next_one = Job(lambda stopped: 7)
    worker.submit_action(next_one)
    assert next_one.result.result(LONG) == 7


def test_an_action_stops_a_running_goal_topic(worker):
    begun = threading.Event()
    latched, action = endless(begun), Job(lambda stopped: "first")
    worker.submit_latched(latched)
    assert begun.wait(LONG)
    worker.submit_action(action)
    assert action.result.result(LONG) == "first"
    with pytest.raises(Cancelled):
        latched.result.result(LONG)


def test_the_newest_goal_topic_wins_and_waits_for_the_action(worker):
    begun = threading.Event()
    action = endless(begun)
    worker.submit_action(action)
    assert begun.wait(LONG)
    older, newer = Job(lambda stopped: "older"), Job(lambda stopped: "newer")
    worker.submit_latched(older)
    worker.submit_latched(newer)
    with pytest.raises(Cancelled):
        older.result.result(LONG)
    assert not newer.result.done()
    action.cancel()
    assert newer.result.result(LONG) == "newer"


def test_stopping_settles_everything():
    worker = Worker()
    running, waiting = endless(), endless()
    worker.submit_action(running)
    worker.submit_latched(waiting)
    worker.stop()
    for job in (running, waiting):
        with pytest.raises(Cancelled):
            job.result.result(LONG)


def test_draining_ends_what_runs_and_leaves_the_worker_usable(worker):
    begun = threading.Event()
    running = endless(begun)
    worker.submit_action(running)
    assert begun.wait(LONG)
    assert worker.drain(LONG)
    assert worker.idle
    job = Job(lambda stopped: "still here")
    worker.submit_action(job)
    assert job.result.result(LONG) == "still here"


def test_a_paused_worker_takes_nothing_until_it_resumes(worker):
    worker.pause()
    assert worker.drain(LONG)
    latched = Job(lambda stopped: "too early")
    worker.submit_latched(latched)
    with pytest.raises(Cancelled):
        latched.result.result(LONG)
    with pytest.raises(Cancelled, match="not active"):
        worker.submit_action(Job(lambda stopped: "too early"))
    worker.resume()
    job = Job(lambda stopped: "now")
    worker.submit_action(job)
    assert job.result.result(LONG) == "now"


def test_draining_that_times_out_says_what_still_runs(worker):
    begun, release = threading.Event(), threading.Event()

    def deaf(stopped):
        begun.set()
        release.wait(LONG)

    worker.submit_action(Job(deaf, "a long step"))
    assert begun.wait(LONG)
    assert not worker.drain(0.05)
    assert worker.running == "a long step"
    release.set()
    assert worker.drain(LONG)
    assert worker.running == ""
