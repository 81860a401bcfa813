"""Give a parked event up for good: who did it and why is in the stream, by the transaction that drops it."""

from typing import Any, Final
from uuid import UUID

import asyncpg

from contracts.event import EventDropped, WhyDropped
from services.kernel.clock import Clock
from services.kernel.consumer.redelivery import RELEASE, Replay
from services.kernel.decider.decision import Actor
from services.kernel.decider.service import Tx
from services.kernel.errors import Missing, No
from services.kernel.http.requests import looks_of
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import attributes_of
from services.kernel.streams.handler import Asked, Note, Outcome, marked_as
from services.kernel.streams.parked import source_of_topic, unpark, word_of
from services.kernel.streams.processor import RETRIES, Step

_UNBOUND: Final = ("tenant", "divergence")
"""Reasons of events that no other event waits for."""


class NotFirst(No):
    """Its stream waits at an earlier event: take that one up or give it up first."""


class WhoseTrail(No):
    """The message names no stream that is known here: say with --tenant whose auditor shall read of it."""


class Dropping:
    """Drops what one service has parked."""

    def __init__(self, step: Step, clock: Clock) -> None:
        """Drop through the service's own step."""
        self._step = step
        self._clock = clock

    async def drop(self, tx: Tx, parked_id: int, *, why: WhyDropped, by: UUID, tenant: str | None) -> UUID:
        """Give one parked event up, let its stream go on, and return the stream that tells of it.

        The stream halts on while anything else of it is parked.
        Raises `Missing`, `NotFirst` and, for a message without a known stream, `WhoseTrail`.
        """
        outcome, told_in, stream_id = await self._dropped(
            tx, parked_id, why, Actor(by, "operator", tenant or "")
        )
        self._step.tell(outcome)
        if stream_id is not None:
            await Replay(self._step).heal(tx, stream_id)
        return told_in

    async def _dropped(
        self, tx: Tx, parked_id: int, why: WhyDropped, operator: Actor
    ) -> tuple[Outcome, UUID, UUID | None]:
        for attempt in range(RETRIES):
            try:
                async with tx.transaction():
                    return await self._once(tx, parked_id, why, operator)
            except asyncpg.SerializationError:
                if attempt + 1 == RETRIES:
                    raise
                await self._step.pause(attempt)
        raise AssertionError

    async def _once(
        self, tx: Tx, parked_id: int, why: WhyDropped, operator: Actor
    ) -> tuple[Outcome, UUID, UUID | None]:
        row = await tx.fetchrow("select * from parked_events where id = $1", parked_id)
        if row is None:
            raise Missing(f"nothing is parked under {parked_id}")
        stream_id, tenant = await self._place(tx, row, operator)
        # The stream is locked first, as every writer does.
        if await tx.fetchval("delete from parked_events where id = $1 returning id", parked_id) is None:
            raise Missing(f"nothing is parked under {parked_id}")
        if row["stream_id"] is not None:
            await self._pass_by(tx, row)
        outcome = await self._step.once(tx, [self._told(row, stream_id, tenant, why, operator)])
        await tx.execute(RELEASE, stream_id)
        return outcome, stream_id, row["stream_id"]

    async def _place(self, tx: Tx, row: Any, operator: Actor) -> tuple[UUID, str]:
        """Return the stream that shall tell of it and its municipality, locked; raise `WhoseTrail`."""
        stream_id = row["stream_id"] or _uuid(row["key"])
        tenant = await tx.fetchval(_LOCK, stream_id) if stream_id else None
        if stream_id is not None and tenant is not None:
            return stream_id, tenant
        if not operator.tenant:
            raise WhoseTrail
        return looks_of(operator), operator.tenant

    async def _pass_by(self, tx: Tx, row: Any) -> None:
        """Let the stream count the event as taken, where it waits for this one; raise `NotFirst`.

        Where it waits for one that is not here, nothing counts as taken: that one may still come, and so may
        the true event of this number.
        """
        if row["reason"] in _UNBOUND:
            return
        stream_id, source, seq = row["stream_id"], row["source"], row["seq"]
        last = await tx.fetchval(_LAST, stream_id, source)
        if last is None:
            return
        earlier = await tx.fetchval(_EARLIER, stream_id, source, last, seq, _UNBOUND)
        if earlier is not None:
            raise NotFirst(f"it is number {seq} of {source}, and {last} was taken last; see {earlier}")
        if seq == last + 1:
            await tx.execute(_GO_ON_BEHIND, stream_id, source, seq, _mark(row))

    def _told(self, row: Any, stream_id: UUID, tenant: str, why: WhyDropped, operator: Actor) -> Asked:
        told = self._step.service.dropped
        if told is None:
            raise Missing("this service hears nothing")
        cause = str(new_id())
        actor = Actor(operator.id, operator.role, tenant)
        note = Note(_dropped(told, row, why))
        return Asked(stream_id, tenant, note, actor, self._clock.now(), cause, cause)


def _dropped(told: type[EventDropped], row: Any, why: WhyDropped) -> EventDropped:
    return told(
        source=source_of_topic(row["topic"]),
        part=row["part"],
        place=row["place"],
        sequence=row["seq"],
        event_id=row["event_id"],
        what=word_of(row["type"]),
        parked_as=row["reason"],
        why=str(why),
    )


def _mark(row: Any) -> str:
    found, _ = attributes_of(unpark(row))
    return marked_as(str(row["event_id"]), int(found.get("ce_history", 0)))


def _uuid(key: bytes | None) -> UUID | None:
    try:
        return UUID((key or b"").decode("ascii"))
    except ValueError:
        return None


_LOCK: Final = "select tenant from streams where stream_id = $1 for no key update"

_LAST: Final = "select coalesce((marks -> $2 ->> 0)::bigint, 0) from streams where stream_id = $1"

_EARLIER: Final = """
select id from parked_events
where stream_id = $1 and source = $2 and seq > $3 and seq < $4 and reason <> all($5::text[])
order by seq, id limit 1
"""

_GO_ON_BEHIND: Final = """
update streams
set marks = jsonb_set(marks, array[$2], jsonb_build_array($3::bigint, $4::text)), version = version + 1
where stream_id = $1
"""
