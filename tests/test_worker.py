"""Callback work as a generator: order, errors, cancelling, and that no thread stays behind."""

import threading
import time

import pytest

from genkey_core.worker import Stopped, streamed


@pytest.fixture
def workers():
    """Threads of work that were not there before the test: `workers()`."""
    before = set(threading.enumerate())
    return lambda: [t for t in threading.enumerate() if t.name == "genkey-work" and t not in before]


def test_what_the_work_says_comes_out_in_order(workers):
    assert list(streamed(lambda say: [say(i) for i in range(50)])) == list(range(50))
    assert list(streamed(lambda say: None)) == []
    assert workers() == []


def test_an_exception_of_the_work_is_raised_after_what_it_said_before(workers):
    def work(say):
        say(1)
        raise KeyError("planted")

    seen = []
    with pytest.raises(KeyError, match="planted"):
        seen.extend(streamed(work))
    items = streamed(work)
    assert next(items) == 1
    with pytest.raises(KeyError, match="planted"):
        next(items)
    assert workers() == []


def test_even_a_system_exit_of_the_work_does_not_leave_the_reader_waiting():
    def work(say):
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        list(streamed(work))


def test_closing_stops_the_work_at_its_next_word_and_joins_its_thread(workers):
    said, cleaned = [], []

    def work(say):
        try:
            for i in range(10_000):
                said.append(i)
                say(i)
        finally:
            cleaned.append(True)

    items = streamed(work)
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert workers() == []
    assert cleaned == [True]
    assert len(said) < 10, "the work waits for its reader"


def test_work_that_says_nothing_can_look_whether_it_is_cancelled(workers):
    stopped = []

    def work(say):
        say("begun")
        try:
            while True:
                say.check()
                time.sleep(0.001)
        except Stopped:
            stopped.append(True)
            raise

    items = streamed(work)
    assert next(items) == "begun"
    items.close()
    assert stopped == [True]
    assert workers() == []


def test_a_generator_that_is_dropped_stops_its_work(workers):
    items = streamed(lambda say: [say(i) for i in range(1000)])
    next(items)
    del items
    assert workers() == []
