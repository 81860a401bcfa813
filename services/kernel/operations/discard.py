"""Discard a parked event; operator and reason are recorded in the stream by the same transaction."""

from typing import Any, Final
from uuid import UUID

import asyncpg
from msgspec import Struct

from contracts.event import EventDropped, WhyDropped
from services.kernel.clock import Clock
from services.kernel.consumer.redelivery import RELEASE, Redelivery
from services.kernel.decider.decision import Actor
from services.kernel.errors import NotFound, ProblemError, Refused
from services.kernel.ids import StreamKey, new_id
from services.kernel.kafka.cloudevents import decode_headers
from services.kernel.postgres.connections import Tx
from services.kernel.streams.access_streams import AccessStreams
from services.kernel.streams.envelopes import AppendEvent, Envelope
from services.kernel.streams.handler import BatchResult, mark_of
from services.kernel.streams.parked import event_name, source_of_topic, unpark
from services.kernel.streams.processor import RETRIES, BatchProcessor

_UNBOUND: Final = "divergence"
"""Reason of parked events that halt no stream."""


class NotFirstInStream(Refused):
    """Its stream waits at an earlier event: replay or drop that one first."""


class TenantRequired(ProblemError):
    """The message names no municipality: say with --tenant whose auditor shall read of it."""


class _Grounds(Struct, frozen=True):
    """Why an event is discarded, and who has proposed it where that was another operator."""

    why: WhyDropped
    proposed_by: UUID | None


class Discarding:
    """Discards parked events of one service."""

    def __init__(self, processor: BatchProcessor, clock: Clock) -> None:
        """Bind the batch processor of the service."""
        self._processor = processor
        self._clock = clock

    async def discard(
        self,
        tx: Tx,
        parked_id: int,
        *,
        why: WhyDropped,
        by: UUID,
        tenant: str | None,
        proposed_by: UUID | None = None,
    ) -> StreamKey:
        """Discard one parked event, resume its stream, and return the stream that records it.

        The stream halts on while anything else of it is parked. `proposed_by` is the operator who has
        proposed what the other one now confirms.
        Raises `NotFound`, `NotFirstInStream` and, for a message that names no municipality, `TenantRequired`.
        """
        outcome, recorded_in, stream = await self._discarded(
            tx, parked_id, _Grounds(why, proposed_by), Actor(by, "operator", tenant or "")
        )
        self._processor.publish_committed(outcome)
        if stream is not None:
            await Redelivery(self._processor).retry_waiting(tx, stream)
        return recorded_in

    async def _discarded(
        self, tx: Tx, parked_id: int, grounds: _Grounds, operator: Actor
    ) -> tuple[BatchResult, StreamKey, StreamKey | None]:
        for attempt in range(RETRIES):
            try:
                async with tx.transaction():
                    return await self._once(tx, parked_id, grounds, operator)
            except asyncpg.SerializationError:
                if attempt + 1 == RETRIES:
                    raise
                await self._processor.pause_before_retry(attempt)
        raise AssertionError

    async def _once(
        self, tx: Tx, parked_id: int, grounds: _Grounds, operator: Actor
    ) -> tuple[BatchResult, StreamKey, StreamKey | None]:
        row = await tx.fetchrow("select * from parked_events where id = $1", parked_id)
        if row is None:
            raise NotFound(f"nothing is parked under {parked_id}")
        trail = await self._trail_of(tx, row, operator)
        # The stream is locked first, as every writer does.
        if await tx.fetchval(_DELETE, row["tenant"], parked_id) is None:
            raise NotFound(f"nothing is parked under {parked_id}")
        stream = None if row["stream_id"] is None else (row["tenant"], row["stream_id"])
        if stream is not None:
            await self._advance_past(tx, row)
        outcome = await self._processor.process_once(tx, [self._event(row, trail, grounds, operator)])
        await tx.execute(RELEASE, *trail)
        return outcome, trail, stream

    async def _trail_of(self, tx: Tx, row: Any, operator: Actor) -> StreamKey:
        """Return the stream that records the discard, locked where it exists; raise `TenantRequired`."""
        tenant = row["tenant"] or operator.tenant
        if not tenant:
            raise TenantRequired
        stream_id = row["stream_id"] or _uuid(row["key"])
        if stream_id is not None and await tx.fetchval(_LOCK, tenant, stream_id) is not None:
            return tenant, stream_id
        return tenant, await AccessStreams().stream_of(tx, tenant, operator.id)

    async def _advance_past(self, tx: Tx, row: Any) -> None:
        """Advance the high-water mark past the event where it is next; raise `NotFirstInStream`.

        Where the next event is not here, the mark stays: that event may still arrive, and so may the true
        event of this number.
        """
        if row["reason"] == _UNBOUND:
            return
        stream, source, seq = (row["tenant"], row["stream_id"]), row["source"], row["seq"]
        last = await tx.fetchval(_LAST, *stream, source)
        if last is None:
            return
        earlier = await tx.fetchval(_EARLIER, *stream, source, last, seq, _UNBOUND)
        if earlier is not None:
            raise NotFirstInStream(
                f"it is number {seq} of {source}, and {last} was taken last; see {earlier}"
            )
        if seq == last + 1:
            await tx.execute(_ADVANCE_MARK, *stream, source, seq, _mark(row))

    def _event(self, row: Any, trail: StreamKey, grounds: _Grounds, operator: Actor) -> Envelope:
        kind = self._processor.service.discarded_event
        if kind is None:
            raise NotFound("this service consumes no events")
        cause = str(new_id())
        tenant, stream_id = trail
        actor = Actor(operator.id, operator.role, tenant)
        body = AppendEvent(_dropped(kind, row, grounds))
        return Envelope(stream_id, tenant, body, actor, self._clock.now(), cause, cause)


def _dropped(event: type[EventDropped], row: Any, grounds: _Grounds) -> EventDropped:
    return event(
        source=source_of_topic(row["topic"]),
        kafka_partition=row["kafka_partition"],
        kafka_offset=row["kafka_offset"],
        sequence=row["seq"],
        event_id=row["event_id"],
        what=event_name(row["type"]),
        parked_as=row["reason"],
        why=str(grounds.why),
        proposed_by=grounds.proposed_by,
    )


def _mark(row: Any) -> str:
    found, _ = decode_headers(unpark(row))
    return mark_of(str(row["event_id"]), int(found.get("ce_timeline", 0)))


def _uuid(key: bytes | None) -> UUID | None:
    try:
        return UUID((key or b"").decode("ascii"))
    except ValueError:
        return None


_LOCK: Final = "select tenant from streams where tenant = $1 and stream_id = $2 for no key update"

_DELETE: Final = "delete from parked_events where tenant = $1 and id = $2 returning id"

_LAST: Final = """
select coalesce((marks -> $3 ->> 0)::bigint, 0) from streams where tenant = $1 and stream_id = $2
"""

_EARLIER: Final = """
select id from parked_events
where tenant = $1 and stream_id = $2 and source = $3 and seq > $4 and seq < $5 and reason <> $6
order by seq, id limit 1
"""

_ADVANCE_MARK: Final = """
update streams
set marks = jsonb_set(marks, array[$3], jsonb_build_array($4::bigint, $5::text)), version = version + 1
where tenant = $1 and stream_id = $2
"""
