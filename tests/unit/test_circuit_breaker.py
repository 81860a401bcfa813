"""The circuit breaker opens on a bad deploy, and not on a bad event."""

from typing import Any
from uuid import uuid4

import pytest

from services.kernel.consumer.circuit_breaker import CircuitBreaker, TooManyParked
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.consumer.failure_counts import Cell, Count, Counts, counts_of, counts_of_unreadable
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import FOREIGN_STREAM, HELD, park
from tests.examples_poison import instead
from tests.tally import TALLY, TENANT, a_message, a_record, case_id, seen

LIMIT, SECONDS = 3, 60.0
HOSTILE, THIRD = "0461", "0101"


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


def batch(
    *,
    applied: int = 0,
    poison: int = 0,
    waiting: int = 0,
    duplicates: int = 0,
    tenant: str = TENANT,
    at: int = 0,
) -> Counts:
    """Return the counts of a batch of one municipality in one partition."""
    record = a_record(a_message(uuid4(), 1, seen(1)), partition=at)
    reasons = ["bug"] * poison + ["gap"] * waiting
    parked: list[Any] = [park(record, reason, tenant=tenant) for reason in reasons]
    event = EventDecoder(TALLY).read([record]).events[0]
    event.tenant = tenant
    repeated = [(tenant, record.topic, at)] * duplicates
    events = [event] * (applied + duplicates + len(parked))
    result = BatchResult({}, applied=applied, duplicates=duplicates, repeated=repeated, parked=parked)
    return counts_of(events, result)


def both(*batches: Counts) -> Counts:
    """Return one batch of several municipalities."""
    return {cell: count for one in batches for cell, count in one.items()}


def store(breaker: CircuitBreaker, counts: Counts) -> set[Cell]:
    """Check a batch, and record it as stored unless it must be decided again; return what it has opened."""
    opened = breaker.check(counts)
    if not opened:
        breaker.record(counts)
    return opened


def test_a_few_poison_events_are_parked(breaker: CircuitBreaker) -> None:
    """Up to the limit, whatever their share."""
    store(breaker, batch(poison=LIMIT))


def test_more_than_the_limit_in_one_batch_opens_it(breaker: CircuitBreaker) -> None:
    """Nothing of that batch is stored."""
    with pytest.raises(TooManyParked, match="4 of the last 4 events; the limit is 3"):
        breaker.check(batch(poison=LIMIT + 1))


def test_a_small_share_is_allowed(breaker: CircuitBreaker) -> None:
    """Ten of a hundred are the most."""
    store(breaker, batch(poison=10, applied=90))
    with pytest.raises(TooManyParked):
        breaker.check(batch(poison=11, applied=1))


def test_poison_is_added_up_within_the_window(breaker: CircuitBreaker, time: Time) -> None:
    """Several batches count together, until the first is old."""
    store(breaker, batch(poison=2, applied=2))
    time.now = SECONDS - 1
    with pytest.raises(TooManyParked):
        breaker.check(batch(poison=2, applied=2))
    time.now = SECONDS + 1
    breaker.check(batch(poison=2, applied=2))


def test_poison_in_a_row_opens_it_however_slowly_it_comes(breaker: CircuitBreaker, time: Time) -> None:
    """One an hour, and nothing that can be applied in between."""
    for hour in range(LIMIT):
        time.now = hour * 3_600.0
        store(breaker, batch(poison=1))
    time.now = LIMIT * 3_600.0
    with pytest.raises(TooManyParked, match="4 one after the other"):
        breaker.check(batch(poison=1))


def test_an_applied_event_ends_the_row(breaker: CircuitBreaker, time: Time) -> None:
    """The service works."""
    for hour in range(2 * LIMIT):
        time.now = hour * 3_600.0
        store(breaker, batch(poison=1))
        store(breaker, batch(applied=1))


def test_a_duplicate_does_not_end_the_row(breaker: CircuitBreaker, time: Time) -> None:
    """It proves nothing about the rules."""
    for hour in range(LIMIT):
        time.now = hour * 3_600.0
        store(breaker, batch(poison=1, duplicates=100))
    time.now = LIMIT * 3_600.0
    with pytest.raises(TooManyParked):
        breaker.check(batch(poison=1))


def test_events_that_wait_for_another_are_no_poison(breaker: CircuitBreaker) -> None:
    """They are applied when the missing event comes."""
    store(breaker, batch(waiting=100))


def test_a_batch_that_is_tried_again_counts_once(breaker: CircuitBreaker) -> None:
    """Only what the database holds is recorded."""
    for _ in range(10):
        breaker.check(batch(poison=LIMIT))
    store(breaker, batch(poison=LIMIT))


def test_unreadable_records_count_as_poison(breaker: CircuitBreaker) -> None:
    """Also where none of a batch can be read; a readable one among them ends the row."""
    records = [park(a_record(a_message(case_id(n), 1, seen(1))), "header") for n in range(LIMIT)]
    store(breaker, counts_of_unreadable(records))
    with pytest.raises(TooManyParked):
        breaker.check(counts_of_unreadable(records[:1]))


def test_without_poison_nothing_is_checked(breaker: CircuitBreaker, time: Time) -> None:
    """An open breaker is the consumer's to close: a good batch is no reason to open it."""
    store(breaker, batch(poison=LIMIT))
    time.now = 1.0

    breaker.check(batch(applied=1))


@pytest.fixture
def several(breaker: CircuitBreaker) -> CircuitBreaker:
    """Return a breaker of an installation with several municipalities."""
    breaker.know([TENANT, HOSTILE])
    return breaker


def test_one_municipality_alone_opens_its_own_cell(several: CircuitBreaker) -> None:
    """Finding 1: its events of that partition are held; its other partitions and the others go on."""
    store(several, batch(applied=5))

    opened = store(several, batch(poison=LIMIT + 1, tenant=HOSTILE, at=2))

    assert opened == several.held() == {(HOSTILE, "samspil.referral.v1", 2)}


def test_it_is_one_alone_also_where_nothing_else_happens(several: CircuitBreaker, time: Time) -> None:
    """By night, and however slowly: others are known, and one of them must not stop the consumer."""
    for hour in range(LIMIT):
        time.now = hour * 3_600.0
        assert not store(several, batch(poison=1, tenant=HOSTILE))
    time.now = LIMIT * 3_600.0

    assert store(several, batch(poison=1, tenant=HOSTILE))
    assert store(several, batch(poison=100, tenant=HOSTILE, at=1))


def test_a_cell_closes_after_a_while_and_opens_at_the_next_failure(
    several: CircuitBreaker, time: Time
) -> None:
    """Then an event that can be applied keeps it closed."""
    store(several, batch(poison=LIMIT, tenant=HOSTILE))
    assert store(several, batch(poison=1, tenant=HOSTILE))
    time.now = SECONDS + 1

    assert not several.held()
    assert store(several, batch(poison=1, tenant=HOSTILE))
    time.now = 2 * SECONDS + 2
    assert not store(several, batch(applied=1, tenant=HOSTILE))
    assert not store(several, batch(poison=1, applied=1, tenant=HOSTILE))
    assert not several.held()


def test_a_bad_release_stops_where_the_events_of_most_fail(several: CircuitBreaker) -> None:
    """All in one batch, or one municipality after the other, the first of which is held by then."""
    with pytest.raises(TooManyParked, match="4 of the last 4"):
        several.check(both(batch(poison=2), batch(poison=2, tenant=HOSTILE)))
    assert store(several, batch(poison=LIMIT + 1, tenant=HOSTILE))
    with pytest.raises(TooManyParked):
        several.check(batch(poison=2))


def test_a_bad_release_stops_where_each_has_few_events(breaker: CircuitBreaker) -> None:
    """No municipality reaches the limit by itself."""
    breaker.know([TENANT, HOSTILE])
    for n in range(LIMIT):
        store(breaker, batch(poison=1, tenant=f"{n:04}"))
    with pytest.raises(TooManyParked):
        breaker.check(batch(poison=1, tenant="0009"))


def test_two_hostile_ones_among_three_that_do_well_are_held(several: CircuitBreaker) -> None:
    """More do well than fail."""
    for tenant in (TENANT, THIRD, "0157"):
        store(several, batch(applied=1, tenant=tenant))

    assert store(several, batch(poison=50, tenant=HOSTILE))
    assert store(several, batch(poison=50, tenant="0173"))
    store(several, batch(applied=1))
    assert {cell.tenant for cell in several.held()} == {HOSTILE, "0173"}


def test_one_failure_of_another_is_not_a_bad_release(several: CircuitBreaker) -> None:
    """While a municipality is held, a single poison event elsewhere is parked."""
    store(several, batch(poison=50, tenant=HOSTILE))

    assert not store(several, batch(poison=1))


def test_what_is_held_says_nothing(several: CircuitBreaker) -> None:
    """It was not tried: it counts neither as poison nor among all."""
    record = a_record(a_message(uuid4(), 1, seen(1)))
    event = EventDecoder(TALLY).read([record]).events[0]
    counts = counts_of([event] * 100, BatchResult({}, parked=[park(record, HELD)] * 100))

    assert not several.check(counts)
    assert [(one.poison, one.total, one.applied) for one in counts.values()] == [(0, 0, 0)]


def test_a_stream_of_another_municipality_is_no_poison() -> None:
    """Finding 1: it is quarantined, and its sender is named; the consumer has done nothing wrong."""
    record = a_record(a_message(uuid4(), 1, seen(1)))

    assert counts_of_unreadable([park(record, FOREIGN_STREAM)] * 1000) == {}


def test_what_names_no_municipality_stops_the_consumer(several: CircuitBreaker) -> None:
    """There is nobody to hold: the sender is a program of ours, and is broken."""
    store(several, batch(applied=5))
    nobody = park(a_record(instead("ce_tenant", b"abcd")(a_message(uuid4(), 1, seen(1)))), "header")

    with pytest.raises(TooManyParked):
        several.check(counts_of_unreadable([nobody] * (LIMIT + 1)))


def test_the_counts_are_bounded(several: CircuitBreaker) -> None:
    """However many cells there are, the memory stays small; what is too much counts by municipality."""
    cells = {Cell(HOSTILE, "samspil.referral.v1", n): Count(0, 1, 1) for n in range(30_000)}
    several.record(cells)

    assert sum(len(slot) for slot in several._counts._slots.values()) == 10_001
