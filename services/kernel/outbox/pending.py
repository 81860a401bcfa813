"""Pending events: what is committed and not yet acknowledged by the broker, read in batches by the relay."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import msgspec

from services.kernel.clock import wall_time
from services.kernel.crash_points import crash_point
from services.kernel.decider.service import EventMetadata
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.limits import Limits
from services.kernel.outbox.event_timelines import with_timeline
from services.kernel.outbox.send_buffer import SendBuffer
from services.kernel.postgres.connections import Session
from services.kernel.postgres.timelines import TimelineStart

_decode_meta = msgspec.json.Decoder(EventMetadata).decode


class PendingBatch(NamedTuple):
    """Pending rows with their events, whether the read left more behind, and when it began."""

    first_ids: Sequence[int]
    counts: Sequence[int]
    events: Sequence[OutgoingEvent]
    has_more: bool
    read_at: datetime

    def plus(self, other: "PendingBatch") -> "PendingBatch":
        """Return the rows of both, to be deleted together."""
        return other._replace(
            first_ids=[*self.first_ids, *other.first_ids], counts=[*self.counts, *other.counts], events=()
        )


NO_BATCH: Final = PendingBatch((), (), (), has_more=False, read_at=datetime.min)  # noqa: DTZ901  its time is not read


class PendingEvents:
    """Reads pending events over the leader's session, and deletes those that were acknowledged."""

    def __init__(
        self, session: Session, buffer: SendBuffer, timelines: Sequence[TimelineStart], limits: Limits
    ) -> None:
        """Take bodies from the buffer first, and from the event log where they are not there."""
        self._session = session
        self._buffer = buffer
        self._timelines = timelines
        self._limits = limits

    async def read(self, acknowledged: PendingBatch, in_flight: PendingBatch) -> PendingBatch:
        """Delete the rows that were acknowledged, and return those that follow what is in flight."""
        read_at, most = wall_time(), self._limits.relay_rows
        rows = await self._session.fetch(
            DELETE_ACKNOWLEDGED_FETCH_NEXT,
            acknowledged.first_ids,
            acknowledged.counts,
            most,
            in_flight.first_ids,
        )
        crash_point("delete.after")
        few = _first_rows(rows, self._limits.relay_events)
        return PendingBatch(
            [row["first_id"] for row in few],
            [len(row["ids"]) for row in few],
            await self._events(few) if few else [],
            len(few) < len(rows) or len(rows) == most,
            read_at,
        )

    async def _events(self, rows: Sequence[asyncpg.Record]) -> list[OutgoingEvent]:
        """Return the events of pending rows in their order."""
        ids = [log_id for row in rows for log_id in row["ids"]]
        pop = self._buffer.pop
        found: dict[int, OutgoingEvent] = {}
        missing: list[int] = []
        for log_id in ids:
            event = pop(log_id)
            if event is None:
                missing.append(log_id)
            else:
                found[log_id] = event
        if missing:
            days = sorted({row["created_on"] for row in rows})
            logged = await self._session.fetch(_LOGGED, missing, days[0], days[-1])
            found.update({row[0]: from_log(row) for row in logged})
        later = self._timelines
        if later:
            return [with_timeline(found[log_id], log_id, later) for log_id in ids]
        return [found[log_id] for log_id in ids]


def _first_rows(rows: Sequence[asyncpg.Record], most: int) -> Sequence[asyncpg.Record]:
    """Return the first rows, of about as many events as one round should send."""
    events = 0
    for n, row in enumerate(rows):
        events += len(row["ids"])
        if events >= most:
            return rows[: n + 1]
    return rows


def from_log(row: asyncpg.Record) -> OutgoingEvent:
    """Return an event from the log, the same to the byte as when it was first made.

    A row has `id, event_id, stream_id, seq, tenant, type, meta, data`, in this order.
    """
    _, event_id, stream_id, seq, tenant, kind, meta, data = row
    return OutgoingEvent(str(event_id), str(stream_id), seq, tenant, kind, _decode_meta(meta), data.encode())


# A row that has grown since it was read holds events that were queued again meanwhile: it is not deleted, and
# it is returned again at once, since no further wake-up comes for it.
DELETE_ACKNOWLEDGED_FETCH_NEXT: Final = """
with acknowledged as (
  select * from unnest($1::bigint[], $2::integer[]) as a (first_id, events)
), deleted as (
  delete from pending using acknowledged a
  where pending.first_id = a.first_id and cardinality(pending.ids) = a.events
)
select first_id, created_on, ids from pending
where (first_id <> all($1::bigint[])
       or cardinality(ids) <> (select a.events from acknowledged a where a.first_id = pending.first_id))
  and first_id <> all($4::bigint[])
order by first_id limit $3
"""

_LOGGED: Final = """
select id, event_id::text, stream_id::text, seq, tenant, type, meta, data from event_log
where id = any($1::bigint[]) and created_on between $2 and $3
"""
