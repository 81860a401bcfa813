"""Follow a source that has lost what was heard of it: take what it says now under those numbers instead."""

from typing import Any, Final
from uuid import UUID

import asyncpg

from services.kernel.clock import Clock
from services.kernel.consumer.redelivery import Redelivery
from services.kernel.decider.decision import Actor
from services.kernel.errors import NotFound, ProblemError
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Tx
from services.kernel.streams.envelopes import AppendEvent, Envelope
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.processor import RETRIES, BatchProcessor

ACCEPTED: Final = "source_followed"
"""The word by which the trail knows it."""


class NoDivergence(ProblemError):
    """Only a divergence can be followed: choose the first event of the stream that is parked as one."""


class SourceAcceptance:
    """Follows the sources of one service."""

    def __init__(self, processor: BatchProcessor, clock: Clock) -> None:
        """Follow through the service's own step."""
        self._processor = processor
        self._clock = clock

    async def accept(self, tx: Tx, parked_id: int, *, by: UUID) -> tuple[UUID, int]:
        """Count as not heard what the source has lost, take up what it says instead, in order.

        What the lost events have done here stays done; the rules decide the others on top of it. The stream
        itself tells who decided so. Returns the stream and how many events were applied; raises `Missing`
        and `NoDivergence`.
        """
        row = await tx.fetchrow("select * from parked_events where id = $1", parked_id)
        if row is None:
            raise NotFound(f"nothing is parked under {parked_id}")
        for attempt in range(RETRIES):
            try:
                async with tx.transaction():
                    outcome = await self._once(tx, row, by)
                break
            except asyncpg.SerializationError:
                if attempt + 1 == RETRIES:
                    raise
                await self._processor.pause_before_retry(attempt)
        self._processor.publish_committed(outcome)
        return row["stream_id"], await Redelivery(self._processor).drain(tx, row["stream_id"])

    async def _once(self, tx: Tx, row: Any, by: UUID) -> BatchResult:
        stream_id, source, seq = row["stream_id"], row["source"], row["seq"]
        tenant = await tx.fetchval(_LOCK, stream_id) if stream_id else None
        if tenant is None or row["id"] != await tx.fetchval(_FIRST, stream_id, source):
            raise NoDivergence
        lost = await tx.fetchval(_MARKED, stream_id, source)
        await tx.execute(_GO_BACK, stream_id, source, seq - 1)
        return await self._processor.process_once(tx, [self._event(row, lost, tenant, by)])

    def _event(self, row: Any, lost: str, tenant: str, by: UUID) -> Envelope:
        told = self._processor.service.discarded_event
        if told is None:
            raise NotFound("this service hears nothing")
        cause = str(new_id())
        event = told(
            source=row["source"],
            kafka_partition=row["kafka_partition"],
            kafka_offset=row["kafka_offset"],
            sequence=row["seq"],
            event_id=UUID(lost.partition(" ")[0]),
            what=None,
            parked_as=row["reason"],
            why=ACCEPTED,
        )
        actor = Actor(by, "operator", tenant)
        return Envelope(row["stream_id"], tenant, AppendEvent(event), actor, self._clock.now(), cause, cause)


_LOCK: Final = "select tenant from streams where stream_id = $1 for no key update"

_FIRST: Final = """
select id from parked_events
where stream_id = $1 and source = $2 and reason = 'divergence' order by seq, id limit 1
"""

_MARKED: Final = "select marks -> $2 ->> 1 from streams where stream_id = $1"

# A mark without an id: what had this number is not known any more.
_GO_BACK: Final = """
update streams
set marks = jsonb_set(marks, array[$2], jsonb_build_array($3::bigint, ''::text)), version = version + 1
where stream_id = $1
"""
