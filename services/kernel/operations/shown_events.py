"""Parked events of one municipality as its operators see them: queries under its row-level security."""

from typing import Any, Final
from uuid import UUID

from services.kernel.decider.service import QueryConnection
from services.kernel.operations.operator_views import DropProposal, ParkedEventView
from services.kernel.streams.parked import source_of_topic, visible_type


async def parked_events(
    tx: QueryConnection,
    *,
    tenant: str,
    parked_id: int | None = None,
    stream_id: UUID | None = None,
    reason: str | None = None,
    position: tuple[str, int, int] | None = None,
    after: int = 0,
    limit: int = 1,
) -> list[Any]:
    """Return parked events by their number, of a stream, a reason or a position on a topic where given."""
    topic, partition, offset = position or (None, None, None)
    rows: list[Any] = await tx.fetch(
        _LIST, tenant, parked_id, stream_id, reason, topic, partition, offset, after, limit
    )
    return rows


async def counted(tx: QueryConnection, *, tenant: str) -> dict[str, int]:
    """Return how many events are parked, by reason; each count ends at ten thousand."""
    return {row["reason"]: row["events"] for row in await tx.fetch(_COUNTED, tenant)}


def shown(service: str, row: Any, viewer: UUID) -> ParkedEventView:
    """Return a row as an operator may see it."""
    proposal = (
        DropProposal(
            why=row["drop_why"],
            proposed_by=row["drop_by"],
            proposed_at=row["drop_at"],
            mine=row["drop_by"] == viewer,
        )
        if row["drop_why"]
        else None
    )
    return ParkedEventView.model_validate(
        {
            **dict(row),
            "service": service,
            "source": row["source"] or source_of_topic(row["topic"]),
            "type": visible_type(row["type"]),
            "proposal": proposal,
        }
    )


_LIST: Final = """
select p.id, p.stream_id, p.source, p.topic, p.kafka_partition, p.kafka_offset, p.seq, p.event_id, p.type,
       p.reason, p.attempts, p.parked_at, p.drop_why, p.drop_by, p.drop_at,
       (select (s.marks -> p.source ->> 0)::bigint from streams s
        where s.tenant = p.tenant and s.stream_id = p.stream_id) as taken_last,
       (select count(*) from parked_events w
        where w.tenant = p.tenant and w.stream_id = p.stream_id and w.id <> p.id) as waiting_with_it
from parked_events p
where p.tenant = $1 and ($2::bigint is null or p.id = $2) and ($3::uuid is null or p.stream_id = $3)
  and ($4::text is null or p.reason = $4)
  and ($5::text is null or p.topic = $5 and p.kafka_partition = $6 and p.kafka_offset = $7) and p.id > $8
order by p.id limit $9
"""

_COUNTED: Final = """
select reason, count(*) as events
from (select reason from parked_events where tenant = $1 order by id limit 10000) as first
group by reason order by reason
"""
