"""Accept a diverged source: consume the events that it now sends under sequence numbers already consumed."""

from typing import Any, Final
from uuid import UUID

import asyncpg

from services.kernel.clock import Clock
from services.kernel.consumer.redelivery import Redelivery
from services.kernel.decider.decision import Actor
from services.kernel.errors import NotFound, ProblemError
from services.kernel.ids import StreamKey, new_id
from services.kernel.postgres.connections import Tx
from services.kernel.streams.envelopes import AppendEvent, Envelope
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.processor import RETRIES, BatchProcessor

ACCEPTED: Final = "source_followed"
"""The reason in the audit trail."""


class NoDivergence(ProblemError):
    """Only a divergence can be followed: choose the first event of the stream that is parked as one."""


class SourceAcceptance:
    """Accepts diverged sources of one service."""

    def __init__(self, processor: BatchProcessor, clock: Clock) -> None:
        """Bind the batch processor of the service."""
        self._processor = processor
        self._clock = clock

    async def accept(self, tx: Tx, parked_id: int, *, by: UUID) -> tuple[StreamKey, int]:
        """Move the high-water mark back before the divergence, and redeliver the source's events in order.

        The effects of the lost events stay; the others are decided on top of them. An event in the stream
        names the operator. Returns the stream and how many events were applied; raises `NotFound` and
        `NoDivergence`.
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
        stream = row["tenant"], row["stream_id"]
        return stream, await Redelivery(self._processor).drain(tx, stream)

    async def _once(self, tx: Tx, row: Any, by: UUID) -> BatchResult:
        stream, source, seq = (row["tenant"], row["stream_id"]), row["source"], row["seq"]
        found = await tx.fetchval(_LOCK, *stream) if row["stream_id"] else None
        if found is None or row["id"] != await tx.fetchval(_FIRST, *stream, source):
            raise NoDivergence
        lost = await tx.fetchval(_MARKED, *stream, source)
        await tx.execute(_GO_BACK, *stream, source, seq - 1)
        return await self._processor.process_once(tx, [self._event(row, lost, by)])

    def _event(self, row: Any, lost: str, by: UUID) -> Envelope:
        kind = self._processor.service.discarded_event
        if kind is None:
            raise NotFound("this service consumes no events")
        cause = str(new_id())
        event = kind(
            source=row["source"],
            kafka_partition=row["kafka_partition"],
            kafka_offset=row["kafka_offset"],
            sequence=row["seq"],
            event_id=UUID(lost.partition(" ")[0]),
            what=None,
            parked_as=row["reason"],
            why=ACCEPTED,
        )
        tenant = row["tenant"]
        actor = Actor(by, "operator", tenant)
        return Envelope(row["stream_id"], tenant, AppendEvent(event), actor, self._clock.now(), cause, cause)


_LOCK: Final = "select tenant from streams where tenant = $1 and stream_id = $2 for no key update"

_FIRST: Final = """
select id from parked_events
where tenant = $1 and stream_id = $2 and source = $3 and reason = 'divergence' order by seq, id limit 1
"""

_MARKED: Final = "select marks -> $3 ->> 1 from streams where tenant = $1 and stream_id = $2"

# A mark without an id: the event that had this number is lost.
_GO_BACK: Final = """
update streams
set marks = jsonb_set(marks, array[$3], jsonb_build_array($4::bigint, ''::text)), version = version + 1
where tenant = $1 and stream_id = $2
"""
