"""Batch processor: read many streams, decide each input, save all in one transaction, publish the events."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import filterfalse
from random import random
from time import perf_counter
from typing import Any, Final

import asyncpg
import msgspec
from msgspec import Struct

from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.decider.service import Service, StreamChange
from services.kernel.errors import NotFound
from services.kernel.ids import PersonKey, StreamKey
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.postgres.connections import Tx
from services.kernel.privacy.encryption import Keyring, NewKey, SealedRow
from services.kernel.streams.cache import StreamCache
from services.kernel.streams.consent_watermark import ConsentWatermark
from services.kernel.streams.envelopes import AppendEvent, Envelope, IncomingEvent
from services.kernel.streams.handler import (
    BatchResult,
    StreamAlreadySerialized,
    StreamHandler,
    is_systems_own,
)
from services.kernel.streams.store import load_streams, read_stored, save, take_loaded
from services.kernel.streams.stream import IdempotencyRecord, LoadedStream, StoredStream

RETRIES: Final = 12
_CHUNK: Final = 64

OnCommitted = Callable[[Sequence[tuple[int, OutgoingEvent]]], None]
"""Callback that gets events with their log ids once they are committed."""


class Dependencies(Struct, frozen=True):
    """What a service's rules depend on besides their own streams."""

    keyring: Keyring
    models: Mapping[str, CollaborationModel]
    watermark: ConsentWatermark
    clock: Callable[[], datetime]


class BatchProcessor:
    """Processes batches of inputs for one service: a command is a batch of one."""

    def __init__(
        self,
        service: Service,
        dependencies: Dependencies,
        on_committed: OnCommitted,
        cache: StreamCache | None = None,
    ) -> None:
        """Bind the service's rules to their dependencies; consumed events find their streams in the cache."""
        self.service = service
        self._cache = cache or StreamCache(0)
        self.dependencies = dependencies
        self._on_committed = on_committed
        self.on_effects: Callable[[], None] | None = None
        """Callback after a commit with side effects that are to be performed."""
        self._handler = StreamHandler(service, dependencies.models, dependencies.clock)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(service.state)
        self._decide_seconds, self._save_seconds = (
            metrics.BATCH_SECONDS.labels(service.name, phase) for phase in ("decide", "save")
        )

    async def process(
        self, tx: Tx, batch: Sequence[Envelope], *, guard: Callable[[BatchResult], None] | None = None
    ) -> BatchResult:
        """Process a batch; on a version conflict with another writer read again and repeat.

        `guard` sees the result before it is saved, and may raise. Raises what a command's rule raises, and
        what the database raises. Inside a transaction of the caller a conflict is raised too, and the caller
        calls `publish_committed` after its commit.
        """
        for attempt in range(RETRIES):
            try:
                return await self.process_once(tx, batch, guard=guard)
            except asyncpg.SerializationError:
                if attempt + 1 == RETRIES or tx.is_in_transaction():
                    raise
                await self.pause_before_retry(attempt)
        raise AssertionError

    async def pause_before_retry(self, attempt: int) -> None:
        """Wait for another writer before a batch is repeated."""
        metrics.CONFLICTS.labels(self.service.name).inc()
        await asyncio.sleep(random() * 0.002 * (attempt + 1))  # noqa: S311  spreads the repetitions

    async def process_once(
        self,
        tx: Tx,
        batch: Sequence[Envelope],
        *,
        guard: Callable[[BatchResult], None] | None = None,
        keep_parked: bool = True,
    ) -> BatchResult:
        """Process a batch in one attempt.

        Without `keep_parked` nothing is saved where an event had to be parked: it is parked already.
        """
        result = await self.decide_batch(tx, batch)
        if guard is not None:
            guard(result)
        if keep_parked or not result.parked:
            await self.save_result(tx, result)
        return result

    async def decide_batch(self, tx: Tx, batch: Sequence[Envelope]) -> BatchResult:
        """Read the streams and decide each input in order; nothing is saved.

        A large batch is decided and serialized in chunks, whose objects then stay in the processor's cache.
        Where an input needs a stream that is serialized already, all are decided in one chunk.
        """
        started_at = perf_counter()
        try:
            result = await self._decide_in_chunks(tx, batch, _CHUNK)
        except StreamAlreadySerialized:
            result = await self._decide_in_chunks(tx, batch, len(batch))
        self._decide_seconds.observe(perf_counter() - started_at)
        return result

    async def save_result(
        self, tx: Tx, result: BatchResult, idempotency: IdempotencyRecord | None = None
    ) -> None:
        """Save a decided batch, with a command's idempotency key where it has one.

        Outside a transaction of the caller this commits, and publishes the events.
        """
        started_at = perf_counter()
        await self._serialize(result, result.streams.values())
        if result.write_set.stored or result.parked or idempotency is not None:
            private = result.write_set.private_values
            sealed, new_keys = await self._seal(tx, result) if private else ((), ())
            try:
                result.outgoing = await save(
                    tx,
                    result.write_set,
                    sealed=sealed,
                    new_keys=new_keys,
                    parked=result.parked,
                    idempotency=idempotency,
                )
            except asyncpg.SerializationError:  # perhaps a data key was retired: the next attempt reads it
                for value in private:
                    self.dependencies.keyring.forget((value.tenant, value.private.subject))
                raise
            self._save_seconds.observe(perf_counter() - started_at)
        if not tx.is_in_transaction():
            self.publish_committed(result)

    def publish_committed(self, result: BatchResult) -> None:
        """Hand on committed events, and cache the streams and data keys."""
        self._cache.put(result.write_set.stored, result.cache_generation)
        if result.new_keys:
            self.dependencies.keyring.remember(result.new_keys)
        if result.outgoing:
            self._on_committed(result.outgoing)
        if result.write_set.effects and self.on_effects is not None:
            self.on_effects()

    async def read_authorized(self, tx: Tx, envelope: Envelope, *, absent: bool = False) -> LoadedStream:
        """Return the stream that a `ReadRequest` names; raise `NotFound` where the actor may not read it.

        With `absent` also one that is not there, for an actor who may read whatever its id stands for.
        """
        key = envelope.stream_key
        result = BatchResult(await load_streams(tx, [key], self._decoder))
        await self._read_named(tx, [envelope], {}, result)
        result.fresh = await self.dependencies.watermark.fresh_streams(tx, [key])
        stream = self._handler.require_authorized(envelope, result)
        if stream.state is None and not absent:
            raise NotFound
        return stream

    async def read_all_authorized(self, tx: Tx, envelopes: Sequence[Envelope]) -> list[LoadedStream]:
        """Return those of the streams that `ReadRequest`s name which are there and may be read."""
        keys = [envelope.stream_key for envelope in envelopes]
        result = BatchResult(await load_streams(tx, keys, self._decoder))
        await self._read_named(tx, envelopes, {}, result)
        result.fresh = await self.dependencies.watermark.fresh_streams(tx, keys)
        found = [envelope for envelope in envelopes if envelope.stream_key in result.streams]
        streams = [
            result.streams[one.stream_key] for one in found if self._handler.is_authorized(one, result)
        ]
        return [stream for stream in streams if stream.state is not None]

    async def load(self, tx: Tx, keys: Sequence[StreamKey]) -> dict[StreamKey, LoadedStream]:
        """Return those of the streams that exist."""
        return await load_streams(tx, keys, self._decoder)

    async def with_fresh_consents(self, tx: Tx, keys: Sequence[StreamKey]) -> set[StreamKey]:
        """Return those of the streams whose consents are fresh and whole."""
        fresh = await self.dependencies.watermark.fresh_streams(tx, keys)
        stored = await read_stored(tx, keys)
        if fresh is None:
            return set(stored)
        return {key for key, one in stored.items() if key in fresh and not one.halted}

    async def _decide_in_chunks(self, tx: Tx, batch: Sequence[Envelope], chunk_size: int) -> BatchResult:
        generation = self._cache.generation
        keys = list(dict.fromkeys([envelope.stream_key for envelope in batch]))
        current = any(map(_must_read_current, batch))
        # A command is decided on what is current; a stale stream of an event fails at the version guard.
        stored = {} if current else self._cache.pop(keys)
        fresh = await self.dependencies.watermark.fresh_streams(tx, keys) if current else None
        result = BatchResult({}, fresh=fresh, cache_generation=generation)
        unknown = keys if not stored else [key for key in keys if key not in stored]
        if unknown:
            stored.update(await read_stored(tx, unknown))
        if len(batch) <= chunk_size:
            result.streams = take_loaded(stored, keys, self._decoder)
            await self._decide_chunk(tx, batch, stored, result)
            return result
        repeated = _in_several_chunks(batch, chunk_size)
        for start in range(0, len(batch), chunk_size):
            chunk = batch[start : start + chunk_size]
            result.streams.update(take_loaded(stored, [one.stream_key for one in chunk], self._decoder))
            await self._decide_chunk(tx, chunk, stored, result)
            done = dict.fromkeys([key for one in chunk if (key := one.stream_key) not in repeated])
            await self._serialize(result, [result.streams.pop(key) for key in done])
            result.serialized.update(done)
        return result

    async def _decide_chunk(
        self, tx: Tx, batch: Sequence[Envelope], stored: dict[StreamKey, StoredStream], result: BatchResult
    ) -> None:
        """Decide the inputs of a chunk, whose streams are loaded; further reads follow the authorization."""
        await self._authorize_first(tx, batch, stored, result)
        if self.service.related_streams is not None:
            await self._read_related(tx, batch, stored, result)
        await self._open_private(tx, batch, result)
        handle_event, handle_command = self._handler.handle_event, self._handler.handle_command
        for envelope in batch:
            if isinstance(envelope, IncomingEvent):
                handle_event(envelope, result)
            else:
                handle_command(envelope, result)

    async def _authorize_first(
        self, tx: Tx, batch: Sequence[Envelope], stored: dict[StreamKey, StoredStream], result: BatchResult
    ) -> None:
        """Raise `NotFound` for a person's command before anything is read because of a state.

        Only for the first input of a stream: a later one is authorized on what the earlier ones have made.
        """
        first: dict[StreamKey, Envelope] = {}
        for envelope in batch:
            if _must_read_current(envelope) and not is_systems_own(envelope):
                first.setdefault(envelope.stream_key, envelope)
        if first:
            await self._read_named(tx, first.values(), stored, result)
        for envelope in first.values():
            self._handler.require_authorized(envelope, result)

    async def _read_named(
        self,
        tx: Tx,
        batch: Iterable[Envelope],
        stored: dict[StreamKey, StoredStream],
        result: BatchResult,
    ) -> None:
        """Read the further streams that inputs name by themselves, whatever states their own streams have."""
        related_streams = self.service.related_streams
        if related_streams is None:
            return
        named = {
            (envelope.tenant, stream_id): None
            for envelope in batch
            for stream_id in related_streams(None, envelope.body)
        }
        await self._read_further(tx, [key for key in named if key not in result.streams], stored, result)

    async def _open_private(self, tx: Tx, batch: Sequence[Envelope], result: BatchResult) -> None:
        """Decrypt the private values that inputs of a chunk need."""
        needs = self.service.reads_private_for
        readers = [envelope.stream_key for envelope in batch if type(envelope.body) in needs]
        if readers:
            opened = await self.dependencies.keyring.open_streams(tx, readers)
            result.private = {**result.private, **opened}

    async def _serialize(self, result: BatchResult, streams: Iterable[LoadedStream]) -> None:
        """Serialize the streams that have changed, and let the service's projection write."""
        changed = [stream for stream in streams if stream.changed]
        if not changed:
            return
        project = self.service.projection
        changes = [_change_of(stream) for stream in changed] if project is not None else []
        result.write_set.add(changed)
        if project is not None:
            await project(result.write_set, changes)

    async def _read_related(
        self, tx: Tx, batch: Sequence[Envelope], stored: dict[StreamKey, StoredStream], result: BatchResult
    ) -> None:
        """Read the further streams that inputs need; the ids are kept in the result for the handler."""
        related_streams = self.service.related_streams
        if related_streams is None:
            return
        streams, related = result.streams, result.related
        wanted: dict[StreamKey, None] = {}
        for envelope in batch:
            key = envelope.stream_key
            stream = streams.get(key)
            state = None if stream is None else stream.state
            ids = related_streams(state, envelope.body)
            related.setdefault(key, (envelope.body, state, ids))
            for stream_id in ids:
                other = envelope.tenant, stream_id
                if other not in streams:
                    wanted[other] = None
        await self._read_further(tx, list(wanted), stored, result)

    async def _read_further(
        self,
        tx: Tx,
        wanted: Sequence[StreamKey],
        stored: dict[StreamKey, StoredStream],
        result: BatchResult,
    ) -> None:
        """Load streams that are not in the result; raise `StreamAlreadySerialized` for one that was."""
        if not wanted:
            return
        if not result.serialized.isdisjoint(wanted):
            raise StreamAlreadySerialized
        streams = result.streams
        streams.update(take_loaded(stored, wanted, self._decoder))
        unknown = list(filterfalse(streams.__contains__, wanted))
        if unknown:
            streams.update(await load_streams(tx, unknown, self._decoder))

    async def _seal(self, tx: Tx, result: BatchResult) -> tuple[list[SealedRow], list[NewKey]]:
        """Encrypt the private values of a batch; return them with the data keys that are new."""
        values = result.write_set.private_values
        keyring = self.dependencies.keyring
        persons: dict[PersonKey, None] = {(value.tenant, value.private.subject): None for value in values}
        keys = await keyring.fetch(tx, persons)
        new_keys = []
        for person in persons:
            if person not in keys:
                keys[person], new_key = await keyring.make(*person)
                result.new_keys[person] = keys[person]
                new_keys.append(new_key)
        sealed = [
            keyring.seal(
                keys[value.tenant, value.private.subject],
                value,
                key_is_new=(value.tenant, value.private.subject) in result.new_keys,
            )
            for value in values
        ]
        return sealed, new_keys


def _must_read_current(envelope: Envelope) -> bool:
    """Return whether an input is decided on the current state; events are ordered by their sequence."""
    return type(envelope) is Envelope and type(envelope.body) is not AppendEvent


def _in_several_chunks(batch: Sequence[Envelope], chunk_size: int) -> set[StreamKey]:
    """Return the streams that occur in more than one chunk of a batch: they are serialized at its end."""
    first: dict[StreamKey, int] = {}
    repeated: set[StreamKey] = set()
    for n, envelope in enumerate(batch):
        chunk = n // chunk_size
        key = envelope.stream_key
        if first.setdefault(key, chunk) != chunk:
            repeated.add(key)
    return repeated


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
