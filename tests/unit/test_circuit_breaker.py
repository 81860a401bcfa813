"""The circuit breaker opens on a bad deploy, and not on a bad event."""

from typing import Any
from uuid import uuid4

import pytest

from services.kernel.consumer.circuit_breaker import CircuitBreaker, TooManyParked
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import park
from tests.tally import a_message, a_record, seen

LIMIT, SECONDS = 3, 60.0


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        """Begin at nought."""
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def time() -> Time:
    """Return a clock."""
    return Time()


@pytest.fixture
def breaker(time: Time) -> CircuitBreaker:
    """Return a breaker by that clock."""
    return CircuitBreaker(LIMIT, SECONDS, monotonic=time)


def result(*, applied: int = 0, poison: int = 0, waiting: int = 0, duplicates: int = 0) -> BatchResult:
    """Return the result of a batch."""
    record = a_record(a_message(uuid4(), 1, seen(1)))
    parked: list[Any] = [park(record, "bug")] * poison + [park(record, "gap")] * waiting
    return BatchResult({}, applied=applied, duplicates=duplicates, parked=parked)


def store(breaker: CircuitBreaker, batch: BatchResult) -> None:
    """Check a batch, and record it as stored."""
    breaker.check_result(batch)
    breaker.record_result(batch)


def test_a_few_poison_events_are_parked(breaker: CircuitBreaker) -> None:
    """Up to the limit, whatever their share."""
    store(breaker, result(poison=LIMIT))


def test_more_than_the_limit_in_one_batch_opens_it(breaker: CircuitBreaker) -> None:
    """Nothing of that batch is stored."""
    with pytest.raises(TooManyParked, match="4 of the last 4 events; the limit is 3"):
        breaker.check_result(result(poison=LIMIT + 1))


def test_a_small_share_is_allowed(breaker: CircuitBreaker) -> None:
    """Ten of a hundred are the most."""
    store(breaker, result(poison=10, applied=90))
    with pytest.raises(TooManyParked):
        breaker.check_result(result(poison=11, applied=1))


def test_poison_is_added_up_within_the_window(breaker: CircuitBreaker, time: Time) -> None:
    """Several batches count together, until the first is old."""
    store(breaker, result(poison=2, applied=2))
    time.now = SECONDS - 1
    with pytest.raises(TooManyParked):
        breaker.check_result(result(poison=2, applied=2))
    time.now = SECONDS + 1
    breaker.check_result(result(poison=2, applied=2))


def test_poison_in_a_row_opens_it_however_slowly_it_comes(breaker: CircuitBreaker, time: Time) -> None:
    """One an hour, and nothing that can be applied in between."""
    for hour in range(LIMIT):
        time.now = hour * 3_600.0
        store(breaker, result(poison=1))
    time.now = LIMIT * 3_600.0
    with pytest.raises(TooManyParked, match="4 one after the other"):
        breaker.check_result(result(poison=1))


def test_an_applied_event_ends_the_row(breaker: CircuitBreaker, time: Time) -> None:
    """The service works."""
    for hour in range(2 * LIMIT):
        time.now = hour * 3_600.0
        store(breaker, result(poison=1))
        store(breaker, result(applied=1))


def test_a_duplicate_does_not_end_the_row(breaker: CircuitBreaker, time: Time) -> None:
    """It proves nothing about the rules."""
    for hour in range(LIMIT):
        time.now = hour * 3_600.0
        store(breaker, result(poison=1, duplicates=100))
    time.now = LIMIT * 3_600.0
    with pytest.raises(TooManyParked):
        breaker.check_result(result(poison=1))


def test_events_that_wait_for_another_are_no_poison(breaker: CircuitBreaker) -> None:
    """They are applied when the missing event comes."""
    store(breaker, result(waiting=100))


def test_a_batch_that_is_tried_again_counts_once(breaker: CircuitBreaker) -> None:
    """Only what the database holds is recorded."""
    for _ in range(10):
        breaker.check_result(result(poison=LIMIT))
    store(breaker, result(poison=LIMIT))


def test_unreadable_records_count_as_poison(breaker: CircuitBreaker) -> None:
    """Also where none of a batch can be read; a readable one among them ends the row."""
    breaker.check_unreadable(LIMIT, LIMIT, 0)
    breaker.record_unreadable(LIMIT, 0)
    with pytest.raises(TooManyParked):
        breaker.check_unreadable(1, 1, 0)


def test_without_poison_nothing_is_checked(breaker: CircuitBreaker, time: Time) -> None:
    """An open breaker is the consumer's to close: a good batch is no reason to open it."""
    store(breaker, result(poison=LIMIT))
    time.now = 1.0

    breaker.check_result(result(applied=1))
