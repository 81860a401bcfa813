"""The one move of every service: read many streams, decide each, save all, tell."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from random import random
from time import perf_counter
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct

from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.crash_points import crash_point
from services.kernel.decider.service import Service, StreamChange, Tx, nothing_else
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.privacy.encryption import Keyring, NewKey, SealedRow
from services.kernel.streams.cache import StreamCache
from services.kernel.streams.consent_watermark import ConsentWatermark
from services.kernel.streams.handler import (
    AppendEvent,
    BatchResult,
    Envelope,
    IncomingEvent,
    StreamAlreadySerialized,
    StreamHandler,
)
from services.kernel.streams.store import (
    IdempotencyRecord,
    LoadedStream,
    StoredStream,
    decode_stream,
    load_streams,
    read_stored,
    save,
)

RETRIES: Final = 12
_CHUNK: Final = 64

OnCommitted = Callable[[Sequence[tuple[int, OutgoingEvent]]], None]
"""Is told of events and their log ids once they are committed."""


class Dependencies(Struct, frozen=True):
    """What a service's rules may know besides their own streams."""

    keyring: Keyring
    models: Mapping[str, CollaborationModel]
    watermark: ConsentWatermark
    clock: Callable[[], datetime]


class BatchProcessor:
    """Applies batches of inputs for one service."""

    def __init__(
        self,
        service: Service,
        dependencies: Dependencies,
        on_committed: OnCommitted,
        cache: StreamCache | None = None,
    ) -> None:
        """Bind the service's rules to what they may know; `tell` is told what was committed.

        What is heard meets the streams that are still in mind, where they are kept in `recent`.
        """
        self.service = service
        self._cache = cache or StreamCache(0)
        self.dependencies = dependencies
        self._on_committed = on_committed
        self._handler = StreamHandler(service, dependencies.models, dependencies.clock)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(service.state)
        self._decide_seconds, self._save_seconds = (
            metrics.BATCH_SECONDS.labels(service.name, at) for at in ("decide", "save")
        )

    async def process(
        self,
        tx: Tx,
        batch: Sequence[Envelope],
        *,
        key: Callable[[BatchResult], IdempotencyRecord] | None = None,
        guard: Callable[[BatchResult], None] | None = None,
    ) -> BatchResult:
        """Apply a batch; on a conflict with another writer read again and repeat.

        `key` makes the stored answer of a command from its result. `guard` sees the outcome before it is
        saved, and may raise. Raises what a command's rule raises, and what the database raises. Inside a
        transaction of the caller a conflict is raised too, and the caller publishes after its commit.
        """
        for attempt in range(RETRIES):
            try:
                return await self.process_once(tx, batch, key=key, guard=guard)
            except asyncpg.SerializationError:
                if attempt + 1 == RETRIES or tx.is_in_transaction():
                    raise
                await self.pause_before_retry(attempt)
        raise AssertionError

    async def pause_before_retry(self, attempt: int) -> None:
        """Let another writer pass before a batch is repeated."""
        metrics.CONFLICTS.labels(self.service.name).inc()
        await asyncio.sleep(random() * 0.002 * (attempt + 1))  # noqa: S311  spreads the repetitions

    async def process_once(
        self,
        tx: Tx,
        batch: Sequence[Envelope],
        *,
        key: Callable[[BatchResult], IdempotencyRecord] | None = None,
        guard: Callable[[BatchResult], None] | None = None,
        keep_parked: bool = True,
    ) -> BatchResult:
        """Apply a batch in one attempt; `key` makes the stored answer of a command from its outcome.

        Without `keep_parked` nothing is saved where an event had to be set aside: it already is.
        """
        began = perf_counter()
        outcome = await self.decide_batch(tx, batch)
        self._decide_seconds.observe((weighed := perf_counter()) - began)
        if guard is not None:
            guard(outcome)
        if outcome.parked and not keep_parked:
            return outcome
        await self._serialize(outcome, outcome.streams.values())
        if outcome.write_set.stored or outcome.parked or key:
            await self._save(tx, outcome, key(outcome) if key else None)
            self._save_seconds.observe(perf_counter() - weighed)
        if not tx.is_in_transaction():
            self.publish_committed(outcome)
        return outcome

    def publish_committed(self, result: BatchResult) -> None:
        """Hand on what was committed, and keep it in mind."""
        self._cache.put(result.write_set.stored, result.cache_generation)
        if result.new_keys:
            self.dependencies.keyring.remember(result.new_keys)
        if result.outgoing:
            self._on_committed(result.outgoing)

    async def read_authorized(self, tx: Tx, envelope: Envelope) -> LoadedStream:
        """Return the stream that a `Look` asks for; raise `Missing` or `NotAllowed`."""
        outcome = BatchResult(await load_streams(tx, [envelope.stream_id], self._decoder))
        await self._read_related(tx, [envelope], {}, outcome)
        outcome.consents_fresh = await self.dependencies.watermark.freshness(tx)
        return self._handler.authorize_read(envelope, outcome)

    async def with_fresh_consents(self, tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the streams whose consents are known for sure."""
        known = await self.dependencies.watermark.freshness(tx)
        rows = await load_streams(tx, list(ids), self._decoder)
        return {stream_id for stream_id, row in rows.items() if known(row)}

    async def decide_batch(self, tx: Tx, batch: Sequence[Envelope]) -> BatchResult:
        """Read the streams and decide each input in order; nothing is saved.

        Of a large batch a few are decided at a time and written down at once: what they are made of is let
        go of while it is at hand. Where an input needs what is written down already, all are decided in one
        piece.
        """
        try:
            return await self._decide_in_chunks(tx, batch, _CHUNK)
        except StreamAlreadySerialized:
            return await self._decide_in_chunks(tx, batch, len(batch))

    async def _decide_in_chunks(self, tx: Tx, batch: Sequence[Envelope], chunk_size: int) -> BatchResult:
        outcome = BatchResult({}, cache_generation=self._cache.generation)
        stored = await self._read(tx, batch)
        opens = self.service.reads_private_for
        ids = [asked.stream_id for asked in batch if type(asked.body) in opens] if opens else []
        if ids:
            outcome.private = await self.dependencies.keyring.open_streams(tx, ids)
        if any(map(_must_read_current, batch)):
            outcome.consents_fresh = await self.dependencies.watermark.freshness(tx)
        if len(batch) <= chunk_size:
            await self._decide_chunk(tx, batch, stored, outcome)
            return outcome
        often = _in_several_chunks(batch, chunk_size)
        for start in range(0, len(batch), chunk_size):
            turn = batch[start : start + chunk_size]
            await self._decide_chunk(tx, turn, stored, outcome)
            done = dict.fromkeys(asked.stream_id for asked in turn if asked.stream_id not in often)
            await self._serialize(outcome, [outcome.streams.pop(stream_id) for stream_id in done])
            outcome.serialized.update(done)
        return outcome

    async def _decide_chunk(
        self, tx: Tx, batch: Sequence[Envelope], stored: dict[UUID, StoredStream], result: BatchResult
    ) -> None:
        rows, decoder = result.streams, self._decoder
        for asked in batch:
            one = stored.pop(asked.stream_id, None)
            if one is not None:
                rows[asked.stream_id] = decode_stream(one, decoder)
        await self._read_related(tx, batch, stored, result)
        hear, obey = self._handler.handle_event, self._handler.handle_command
        for asked in batch:
            if isinstance(asked, IncomingEvent):
                hear(asked, result)
            else:
                obey(asked, result)

    async def _serialize(self, result: BatchResult, streams: Iterable[LoadedStream]) -> None:
        """Write down the streams that have changed."""
        changed = [row for row in streams if row.changed]
        result.write_set.add(changed)
        if changed and self.service.projection is not None:
            result.projection_writes.start_chunk()
            await self.service.projection(
                cast("Tx", result.projection_writes), [_change_of(row) for row in changed]
            )

    async def _read(self, tx: Tx, batch: Sequence[Envelope]) -> dict[UUID, StoredStream]:
        ids = dict.fromkeys(asked.stream_id for asked in batch)
        if _must_read_current(batch[0]):  # whoever asks is answered by what is so now
            self._cache.evict(ids)
            return {one.stream_id: one for one in await read_stored(tx, list(ids))}
        stored = self._cache.pop(ids)
        unknown = [stream_id for stream_id in ids if stream_id not in stored]
        if unknown:
            stored.update((one.stream_id, one) for one in await read_stored(tx, unknown))
        return stored

    async def _read_related(
        self, tx: Tx, batch: Sequence[Envelope], stored: dict[UUID, StoredStream], result: BatchResult
    ) -> None:
        rows, also = result.streams, self.service.related_streams
        if also is nothing_else:
            return
        wanted: dict[UUID, None] = {}
        for asked in batch:
            row = rows.get(asked.stream_id)
            for other in also(None if row is None else row.state, asked.body):
                if other not in rows:
                    wanted[other] = None
        if not result.serialized.isdisjoint(wanted):
            raise StreamAlreadySerialized
        for other in [other for other in wanted if other in stored]:
            del wanted[other]
            rows[other] = decode_stream(stored.pop(other), self._decoder)
        if wanted:
            rows.update(await load_streams(tx, list(wanted), self._decoder))

    async def _seal(self, tx: Tx, result: BatchResult) -> tuple[list[SealedRow], list[NewKey]]:
        seals = result.write_set.private_values
        if not seals:
            return [], []
        keyring = self.dependencies.keyring
        tenants = {seal.subject: tenant for _, tenant, seal in seals}
        keys = await keyring.fetch(tx, tenants)
        made = []
        for subject, tenant in tenants.items():
            if subject not in keys:
                keys[subject], new_key = await keyring.make(tenant, subject)
                result.new_keys[subject] = keys[subject]
                made.append(new_key)
        return [keyring.seal(keys[seal.subject], tenant, key, seal) for key, tenant, seal in seals], made

    async def _save(self, tx: Tx, result: BatchResult, key: IdempotencyRecord | None) -> None:
        boxes, new_keys = await self._seal(tx, result)
        writes = result.projection_writes.writes
        beside = writes[0] if len(writes) == 1 else None  # several may build on one another
        further = writes if beside is None else ()
        async with tx.transaction() if further else nullcontext():
            crash_point("save.before")
            result.outgoing = await save(
                tx,
                result.write_set,
                sealed=boxes,
                new_keys=new_keys,
                parked=result.parked,
                idempotency=key,
                projection=beside,
            )
            crash_point("save.after")
            for statement, columns in further:
                await tx.execute(statement, *columns)
            crash_point("commit.before")
        crash_point("commit.after")


def _must_read_current(envelope: Envelope) -> bool:
    """Return whether an input is decided by what is so now: a note changes nothing, events count in turn."""
    return type(envelope) is Envelope and type(envelope.body) is not AppendEvent


def _in_several_chunks(batch: Sequence[Envelope], chunk_size: int) -> set[UUID]:
    """Return the streams that occur in more than one turn of a batch: they are written down at its end."""
    first: dict[UUID, int] = {}
    often: set[UUID] = set()
    for n, asked in enumerate(batch):
        turn = n // chunk_size
        if first.setdefault(asked.stream_id, turn) != turn:
            often.add(asked.stream_id)
    return often


def _change_of(stream: LoadedStream) -> StreamChange:
    return StreamChange(
        stream.stream_id,
        stream.tenant,
        stream.version + 1,
        stream.before,
        stream.state,
        stream.new_events,
        stream.consumed,
    )
