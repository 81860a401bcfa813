"""Timelines: events of a source that has lost some of its log are distinguished from those it sent before."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec import structs

from services.kernel.consumer.decoding import EventDecoder
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.outbox.event_timelines import with_timeline
from services.kernel.streams.handler import BatchResult, StreamHandler, mark_of
from services.kernel.streams.stream import new_stream
from tests.tally import TALLY, TENANT, a_message, a_record, case_id, seen

STREAM = case_id(1)
OTHER = str(UUID(int=7))
FORK, LATER = 1_772_438_400_000, 1_772_438_500_000
DECODER = EventDecoder(TALLY)


def own_id(seq: int) -> str:
    """Return the id that the example of this number has."""
    return dict(a_message(STREAM, seq, seen(seq)).headers)["ce_id"].decode()


def outcome_of(seq: int, timeline: int, last: int, marked: str) -> str:
    """Apply one event to a stream with a mark; return the outcome."""
    message = a_message(STREAM, seq, seen(seq))
    if timeline:
        message.headers.append(("ce_timeline", str(timeline).encode()))
    batch = DECODER.read([a_record(message)])
    (event,) = batch.events
    row = new_stream(STREAM, TENANT)
    row.marks["referral"] = (last, marked)
    outcome = BatchResult({(TENANT, STREAM): row})
    StreamHandler(TALLY, {}, lambda: datetime.now(UTC)).handle_event(event, outcome)
    if outcome.parked:
        return outcome.parked[0].reason
    return "applied" if outcome.applied else "duplicate"


@pytest.mark.parametrize(
    ("seq", "timeline", "marked", "becomes"),
    [
        (3, 0, OTHER, "duplicate"),
        (5, 0, own_id(5), "duplicate"),
        (5, 0, OTHER, "divergence"),
        (6, 0, OTHER, "applied"),
        (3, FORK, OTHER, "divergence"),
        (5, FORK, OTHER, "divergence"),
        (6, FORK, OTHER, "applied"),
        (3, FORK, mark_of(OTHER, FORK), "duplicate"),
        (5, FORK, mark_of(own_id(5), FORK), "duplicate"),
        (5, FORK, mark_of(OTHER, FORK), "divergence"),
        (6, FORK, mark_of(OTHER, FORK), "applied"),
        (3, LATER, mark_of(OTHER, FORK), "divergence"),
        (6, LATER, mark_of(OTHER, FORK), "applied"),
        (5, 0, mark_of(OTHER, FORK), "duplicate"),
        (6, 0, mark_of(OTHER, FORK), "duplicate"),
        (5, 0, "", "duplicate"),
        (5, FORK, "", "divergence"),
        (6, FORK, "", "applied"),
    ],
)
def test_a_later_timeline_is_never_taken_for_a_repetition(
    seq: int, timeline: int, marked: str, becomes: str
) -> None:
    """Five were applied: an event is a duplicate, new, or another one under a sequence that was applied."""
    assert outcome_of(seq, timeline, 5, marked) == becomes


def test_a_timeline_that_is_no_number_cannot_be_read() -> None:
    """It is unreadable like any other header that is malformed."""
    message = a_message(STREAM, 1, seen(1))
    message.headers.append(("ce_timeline", b"long ago"))

    batch = DECODER.read([a_record(message)])
    assert batch.events == []
    assert [reason for _, reason in batch.unreadable] == ["header"]


def test_an_event_goes_out_with_the_timeline_it_was_logged_in() -> None:
    """However late it is sent again, its header is the same; without a fork there is none."""
    batch = DECODER.read([a_record(a_message(STREAM, 1, seen(1)))])
    (event,) = batch.events
    outgoing = OutgoingEvent(own_id(1), str(STREAM), 1, TENANT, "referral.seen.v1", event.metadata, b"{}")
    later = [(40, LATER), (20, FORK)]

    assert [with_timeline(outgoing, at, later).timeline for at in (19, 20, 21, 40, 41)] == [
        0,
        0,
        FORK,
        FORK,
        LATER,
    ]
    assert structs.replace(outgoing, timeline=FORK).message().headers[-1] == (
        "ce_timeline",
        str(FORK).encode(),
    )
    assert "ce_timeline" not in dict(outgoing.message().headers)
