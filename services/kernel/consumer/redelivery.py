"""Redelivery: process parked events again, in order, along the same path as the first time."""

from collections.abc import Collection
from typing import Any, Final

import asyncpg

from services.kernel import metrics
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.ids import StreamKey
from services.kernel.postgres.connections import Tx, is_missing_object, is_transient
from services.kernel.privacy.key_store import KeyStoreMismatch
from services.kernel.streams.envelopes import IncomingEvent
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import WAITING_ORDER, unpark
from services.kernel.streams.processor import RETRIES, BatchProcessor

_BATCH: Final = 200


class Redelivery:
    """Redelivers the parked events of one service."""

    def __init__(self, processor: BatchProcessor) -> None:
        """Redeliver through the service's own processor."""
        self._processor = processor
        self._decoder = EventDecoder(processor.service)

    async def retry_streams(self, tx: Tx, streams: Collection[StreamKey]) -> None:
        """Apply what only waited for an earlier event, in those of the streams where it is next."""
        tenants = [tenant for tenant, _ in streams]
        for row in await tx.fetch(_NEXT_IS_HERE, tenants, [stream_id for _, stream_id in streams]):
            await self.retry_waiting(tx, tuple(row))

    async def retry_waiting(self, tx: Tx, stream: StreamKey) -> int:
        """Apply events that only waited for an earlier one; return how many were applied."""
        return await self.drain(tx, stream, poison=False)

    async def drain(self, tx: Tx, stream: StreamKey, *, poison: bool = True) -> int:
        """Apply a stream's parked events in order as far as possible; return how many were.

        With `poison` also those that could not be read or applied the first time. The stream is released once
        none is left.
        """
        applied = 0
        progress = True
        while progress:
            progress = False
            for source in await tx.fetch(_SOURCES, *stream):
                done = await self._drain_source(tx, stream, source["source"], poison=poison)
                applied += done
                progress = progress or done > 0
        await tx.execute(RELEASE, *stream)
        return applied

    async def redeliver(self, tx: Tx, row: Any) -> int:
        """Apply one parked event, those before it first, then those that only waited; return how many."""
        if row["stream_id"] is None:
            return await self._retry_unreadable(tx, row)
        applied = 0
        stream = row["tenant"], row["stream_id"]
        for before in await tx.fetch(_UP_TO, *stream, row["source"], row["seq"], row["id"]):
            if not await self._redeliver(tx, before):
                break
            applied += 1
        return applied + await self.retry_waiting(tx, stream)

    async def _drain_source(self, tx: Tx, stream: StreamKey, source: str, *, poison: bool) -> int:
        rows = await tx.fetch(_PARKED, *stream, source, _BATCH)
        done = 0
        for row in rows:
            if not poison and row["reason"] not in WAITING_ORDER:
                break
            if not await self._redeliver(tx, row):
                break
            done += 1
        return done

    async def _redeliver(self, tx: Tx, row: Any) -> bool:
        """Apply one event and delete its row in one transaction; return whether it was applied."""
        decoded = self._decoder.read([unpark(row)]).events
        if not decoded:
            await tx.execute(_TRIED, row["tenant"], row["id"], row["reason"])
            return False
        result = await self._applied(tx, row, decoded[0], keep_parked=False)
        return result is not None and not result.parked

    async def _retry_unreadable(self, tx: Tx, row: Any) -> int:
        """Decode an unreadable event again: a decoder that was repaired may find its stream and sequence."""
        decoded = self._decoder.read([unpark(row)]).events
        if not decoded:
            await tx.execute(_TRIED, row["tenant"], row["id"], row["reason"])
            return 0
        result = await self._applied(tx, row, decoded[0], keep_parked=True)
        if result is None:
            return 0
        return int(not result.parked) + await self.retry_waiting(tx, decoded[0].stream_key)

    async def _applied(
        self, tx: Tx, row: Any, event: IncomingEvent, *, keep_parked: bool
    ) -> BatchResult | None:
        """Apply one event, again where another writer was faster; None where the service breaks on it."""
        event.is_replay = True
        for attempt in range(RETRIES):
            try:
                result = await self._once(tx, row, event, keep_parked=keep_parked)
            except asyncpg.SerializationError:
                if attempt + 1 == RETRIES or tx.is_in_transaction():
                    raise
                await self._processor.pause_before_retry(attempt)
            except Exception as fault:
                if is_transient(fault) or is_missing_object(fault) or isinstance(fault, KeyStoreMismatch):
                    raise
                await tx.execute(_TRIED, row["tenant"], row["id"], "bug")
                return None
            else:
                self._processor.publish_committed(result)
                return result
        raise AssertionError

    async def _once(self, tx: Tx, row: Any, event: IncomingEvent, *, keep_parked: bool) -> BatchResult:
        async with tx.transaction():
            result = await self._processor.process_once(tx, [event], keep_parked=keep_parked)
            if result.parked and not keep_parked:
                await tx.execute(_TRIED, row["tenant"], row["id"], result.parked[0].reason)
            else:
                await tx.execute(_DELETE, row["tenant"], row["id"])
        if not result.parked:
            metrics.CONSUMED.labels(self._processor.service.name, "replayed").inc()
        return result


# One query for a batch: a municipality that floods its halted streams costs the others no query a stream.
_NEXT_IS_HERE: Final = """
select s.tenant, s.stream_id
from unnest($1::text[], $2::uuid[]) as w (tenant, stream_id)
join streams s on s.tenant = w.tenant and s.stream_id = w.stream_id
where exists (
  select from parked_events p
  where p.tenant = s.tenant and p.stream_id = s.stream_id and p.reason in ('gap', 'behind')
    and p.seq <= coalesce((s.marks -> p.source ->> 0)::bigint, 0) + 1
)
order by s.tenant, s.stream_id
"""

_SOURCES: Final = """
select distinct source from parked_events where tenant = $1 and stream_id = $2 order by source
"""

_PARKED: Final = """
select * from parked_events where tenant = $1 and stream_id = $2 and source = $3 order by seq, id limit $4
"""

_UP_TO: Final = """
select * from parked_events
where tenant = $1 and stream_id = $2 and source = $3 and (seq, id) <= ($4, $5) order by seq, id
"""

_TRIED: Final = "update parked_events set attempts = attempts + 1, reason = $3 where tenant = $1 and id = $2"

_DELETE: Final = "delete from parked_events where tenant = $1 and id = $2"

RELEASE: Final = """
update streams set halted = false, version = version + 1
where tenant = $1 and stream_id = $2 and halted
  and not exists (select from parked_events where tenant = $1 and stream_id = $2)
"""
