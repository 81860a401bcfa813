"""Pending events are read in order, deleted once acknowledged, and never left behind without a wake-up."""

from collections.abc import AsyncIterator

import pytest

from services.kernel.limits import Limits
from services.kernel.outbox.pending import NO_BATCH, PendingEvents
from services.kernel.outbox.republish import republish
from services.kernel.outbox.send_buffer import SendBuffer
from services.kernel.postgres.connections import Session, connect
from services.kernel.runtime.runtime import Runtime
from tests.relay_load import load, pending
from tests.tally import running


@pytest.fixture
async def tally(postgres_dsn: str) -> AsyncIterator[Runtime]:
    """Run a tally whose events are not sent."""
    async with running(postgres_dsn, "", "none") as runtime:
        yield runtime


@pytest.fixture
async def session(postgres_dsn: str, tally: Runtime) -> AsyncIterator[Session]:
    """Open the session of a relay."""
    assert tally
    opened = await connect(postgres_dsn, schema="consent")
    yield opened
    await opened.close()


def events_of(session: Session, **limits: int) -> PendingEvents:
    """Return the pending events over a session, with all bodies in the log."""
    return PendingEvents(session, SendBuffer(), (), Limits().model_copy(update=limits))


async def test_acknowledged_rows_are_deleted_with_the_next_read(tally: Runtime, session: Session) -> None:
    """What is in flight is neither returned again nor deleted."""
    await load(tally, 1, 3)
    events = events_of(session, relay_events=1)

    first = await events.read(NO_BATCH, NO_BATCH)
    second = await events.read(NO_BATCH, first)
    third = await events.read(first, second)
    left = await pending(tally)

    assert [[event.seq for event in batch.events] for batch in (first, second, third)] == [[1], [2], [3]]
    assert [batch.has_more for batch in (first, second, third)] == [True, True, False]
    assert left == 2


async def test_a_row_that_grew_while_it_was_sent_is_returned_at_once(
    tally: Runtime, session: Session
) -> None:
    """A republish wakes the relay before this read; the row would wait for the next poll."""
    await load(tally, 1, 3)
    events = events_of(session)

    sent = await events.read(NO_BATCH, NO_BATCH)
    await republish(session)
    grown = await events.read(sent, NO_BATCH)
    nothing = await events.read(grown, NO_BATCH)
    left = await pending(tally)

    assert [event.seq for event in grown.events] == [1, 2, 3]
    assert (list(nothing.events), left) == ([], 0)


async def test_a_row_that_grew_is_not_returned_while_it_is_in_flight(
    tally: Runtime, session: Session
) -> None:
    """Its events must not overtake themselves."""
    await load(tally, 1, 2)
    events = events_of(session)

    sent = await events.read(NO_BATCH, NO_BATCH)
    await republish(session)
    behind = await events.read(NO_BATCH, sent)

    assert list(behind.events) == []
