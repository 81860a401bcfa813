"""Days of the log are dropped only once every subscriber has committed what was there a run before."""

from datetime import date

import pytest
from aiokafka import TopicPartition

from services.kernel.outbox.log_retention import Candidate, Offsets, is_consumed, next_candidate

FIRST, SECOND = (TopicPartition("samspil.consent.v1", n) for n in range(2))
ENDS: Offsets = {FIRST: 10, SECOND: 0}
A_DAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("committed", "consumed"),
    [
        ({}, True),  # no other service subscribes
        ({"referral": {FIRST: 10}}, True),
        ({"referral": {FIRST: 11, SECOND: 4}}, True),
        ({"referral": {FIRST: 9}}, False),
        ({"referral": {}}, False),  # a group that has never committed
        ({"referral": {FIRST: 10}, "audit": {FIRST: 9}}, False),  # one of them is behind
        ({"referral": {FIRST: 10}, "audit": {FIRST: 10}}, True),
        ({"referral": {FIRST: -1}}, False),  # how Kafka says that there is no offset
    ],
)
def test_every_group_must_have_committed_up_to_every_end(
    committed: dict[str, Offsets],
    consumed: bool,  # noqa: FBT001  what is expected
) -> None:
    """A partition that was empty needs no commit."""
    assert is_consumed(ENDS, committed) is consumed


def test_a_topic_without_events_keeps_no_day() -> None:
    """There is nothing to consume."""
    assert is_consumed({FIRST: 0, SECOND: 0}, {"referral": {}})


def test_days_with_pending_events_are_no_candidate() -> None:
    """Events that are still to be sent lie behind the ends: the next run begins anew."""
    assert next_candidate(A_DAY, ENDS, pending=True) is None


def test_a_run_remembers_the_days_and_the_ends() -> None:
    """The next run drops these days, by these ends, whatever is sent in between."""
    assert next_candidate(A_DAY, ENDS, pending=False) == Candidate(A_DAY, ENDS)
