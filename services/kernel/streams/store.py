"""Stream store: read and save many streams at once, each by one statement, whatever the service."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from operator import attrgetter
from typing import Any, Final

import msgspec

from services.kernel.crash_points import crash_point
from services.kernel.ids import StreamKey
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.postgres.connections import Tx
from services.kernel.privacy.encryption import NewKey, SealedRow, ValueToSeal, seal_name
from services.kernel.streams import statement as sql
from services.kernel.streams.columns import NULL_MARK, bytes_text, join_column
from services.kernel.streams.stream import (
    IdempotencyRecord,
    LoadedStream,
    Marks,
    ParkedEvent,
    Seals,
    StoredStream,
)

_decode_marks = msgspec.json.Decoder(Marks).decode
_decode_seals = msgspec.json.Decoder(Seals).decode
_encode = msgspec.json.Encoder().encode
_lock_order = attrgetter("tenant", "id_text")


async def load_streams(
    tx: Tx, keys: Sequence[StreamKey], decoder: msgspec.json.Decoder[Any]
) -> dict[StreamKey, LoadedStream]:
    """Read those of the streams that exist, and decode them."""
    return take_loaded(await read_stored(tx, keys), keys, decoder)


async def read_stored(tx: Tx, keys: Sequence[StreamKey]) -> dict[StreamKey, StoredStream]:
    """Read the rows of those streams that exist."""
    tenants = join_column([tenant for tenant, _ in keys])
    texts = [str(stream_id) for _, stream_id in keys]
    found: dict[StreamKey, StoredStream] = {}
    for n, version, seq, halted, marks, state, seals in await tx.fetch(
        sql.READ_STREAMS, tenants, join_column(texts)
    ):
        key = keys[n - 1]
        found[key] = StoredStream(
            key[1],
            texts[n - 1],
            key[0],
            version,
            seq,
            marks,
            "",
            NULL_MARK if state is None else state,
            halted,
            NULL_MARK if seals is None else seals,
        )
    return found


def take_loaded(
    stored: dict[StreamKey, StoredStream], keys: Iterable[StreamKey], decoder: msgspec.json.Decoder[Any]
) -> dict[StreamKey, LoadedStream]:
    """Take those of the streams that are among the stored ones, and decode them."""
    loaded: dict[StreamKey, LoadedStream] = {}
    for key in keys:
        one = stored.pop(key, None)
        if one is None:
            continue
        state = None if one.state == NULL_MARK else decoder.decode(one.state)
        marks = _decode_marks(one.marks)
        loaded[key] = LoadedStream(
            one.stream_id, one.id_text, one.tenant, one.version, one.seq, one.halted, marks, state, state
        )
        if one.seals != NULL_MARK:
            loaded[key].seals = _decode_seals(one.seals)
    return loaded


class WriteSet:
    """Serialized changes of a batch: all that one statement saves, as texts instead of many objects.

    Also the `ProjectionWriter` of a service: it records the statements for the service's own tables.
    """

    __slots__ = (
        "_position",
        "bodies",
        "effects",
        "metadata",
        "outgoing",
        "private_values",
        "projection_writes",
        "stored",
        "timers",
    )

    def __init__(self, streams: Iterable[LoadedStream] = ()) -> None:
        """Begin with these streams."""
        self.stored: list[StoredStream] = []
        self.outgoing: list[OutgoingEvent] = []
        self.metadata: list[str] = []
        self.bodies: list[str] = []
        self.timers: list[tuple[str, ...]] = []
        self.effects: list[tuple[str, ...]] = []
        self.private_values: list[ValueToSeal] = []
        self.projection_writes: list[tuple[str, list[list[Any]]]] = []
        self._position = 0
        self.add(streams)

    def add(self, streams: Iterable[LoadedStream]) -> None:
        """Serialize streams and their new events, each stream once."""
        self._position = 0
        for stream in streams:
            if stream.private_values:  # of the same name only the last
                version = stream.version + 1
                last_values = {(value.subject, value.name): value for value in stream.private_values}
                stream.seals = stream.seals | dict.fromkeys(
                    (seal_name(*value) for value in last_values), version
                )
                self.private_values += [
                    ValueToSeal(stream.tenant, stream.id_text, version, value)
                    for value in last_values.values()
                ]
            self.stored.append(_stored(stream))
            if stream.new_events:
                self._add_events(stream)
            id_text, tenant = stream.id_text, stream.tenant
            if stream.timers:  # of the same kind and ref only the last
                last_timers = {(timer.kind, timer.ref): timer for timer in stream.timers}
                self.timers += [
                    (
                        tenant,
                        id_text,
                        timer.kind,
                        str(timer.ref),
                        NULL_MARK if timer.due_at is None else timer.due_at.isoformat(),
                    )
                    for timer in last_timers.values()
                ]
            if stream.effects:
                self.effects += [
                    (tenant, str(effect.key), id_text, effect.kind, _encode(effect.about).decode())
                    for effect in stream.effects
                ]

    def _add_events(self, stream: LoadedStream) -> None:
        id_text, tenant = stream.id_text, stream.tenant
        for event in stream.new_events:
            body = event.body
            data = body.__pydantic_serializer__.to_json(body) if body is not None else b"null"
            self.outgoing.append(
                OutgoingEvent(
                    str(event.event_id), id_text, event.seq, tenant, event.type, event.metadata, data
                )
            )
            self.metadata.append(_encode(event.metadata).decode())
            self.bodies.append(data.decode())

    async def execute(self, statement: str, *columns: Sequence[Any]) -> None:
        """Record a statement of a projection and its columns, each with one value a row.

        What the same statement writes for different streams is written at once. The statements of the streams
        that were added last keep their own order.
        """
        for at in range(self._position, len(self.projection_writes)):
            recorded, before = self.projection_writes[at]
            if recorded == statement:
                for column, more in zip(before, columns, strict=True):
                    column.extend(more)
                self._position = at + 1
                return
        self.projection_writes.insert(self._position, (statement, [list(column) for column in columns]))
        self._position += 1


async def save(
    tx: Tx,
    write_set: WriteSet,
    *,
    sealed: Sequence[SealedRow] = (),
    new_keys: Sequence[NewKey] = (),
    parked: Sequence[ParkedEvent] = (),
    idempotency: IdempotencyRecord | None = None,
) -> list[tuple[int, OutgoingEvent]]:
    """Save all of a batch in one transaction, and return its events with their log ids.

    A single projection statement is part of the statement that saves the streams, which then is a transaction
    by itself; several follow it, since they may build on one another.
    Raises `asyncpg.SerializationError` (40001), with nothing saved, where any stream has changed since it was
    read, and `asyncpg.UniqueViolationError` where the idempotency key was stored meanwhile.
    """
    writes = write_set.projection_writes
    projection, columns = writes[0] if len(writes) == 1 else ("", [])
    parts, values = [sql.UPSERT_STREAMS], _stream_columns(write_set.stored)
    _add_events_and_timers(parts, values, write_set)
    if sealed or new_keys:
        _add_private(parts, values, sealed, new_keys)
    if parked:
        parts.append(sql.INSERT_PARKED)
        values |= {f"parked_{name}": [getattr(one, name) for one in parked] for name in _PARKED_COLUMNS}
    if idempotency is not None:
        parts.append(sql.INSERT_IDEMPOTENCY_KEY)
        values |= {f"idempotency_{name}": getattr(idempotency, name) for name in _IDEMPOTENCY_COLUMNS}
    text, names = sql.render(tuple(parts), projection, len(columns))
    parameters = [*columns, *map(values.__getitem__, names)]
    further = writes if len(writes) > 1 else ()
    alone = bool(further) and not tx.is_in_transaction()  # else the caller commits
    async with tx.transaction() if alone else nullcontext():
        crash_point("save.before")
        ids = await tx.fetchval(text, *parameters)
        crash_point("save.after")
        for further_statement, further_columns in further:
            await tx.execute(further_statement, *further_columns)
        crash_point("commit.before")
    crash_point("commit.after")
    return list(zip(ids or (), write_set.outgoing, strict=True))


def _add_events_and_timers(parts: list[str], values: dict[str, Any], write_set: WriteSet) -> None:
    if write_set.outgoing:
        parts.append(sql.APPEND_EVENTS)
        values |= _event_columns(write_set)
    if write_set.timers:
        parts.append(sql.UPSERT_TIMERS)
        values |= _named(_TIMER_COLUMNS, write_set.timers)
    if write_set.effects:
        parts.append(sql.INSERT_EFFECTS)
        values |= _named(_EFFECT_COLUMNS, write_set.effects)


def _add_private(
    parts: list[str], values: dict[str, Any], sealed: Sequence[SealedRow], new_keys: Sequence[NewKey]
) -> None:
    if new_keys:
        keys = sorted((key.tenant, str(key.subject), bytes_text(key.wrapped)) for key in new_keys)
        parts.append(sql.INSERT_DATA_KEYS)
        values |= _named(_KEY_COLUMNS, keys)
    if sealed:
        rows = [
            (
                one.tenant,
                one.stream_id,
                one.subject,
                one.name,
                str(one.key_number),
                "t" if one.key_is_new else "f",
                bytes_text(one.ciphertext),
            )
            for one in sealed
        ]
        parts.append(sql.UPSERT_SEALED)
        values |= _named(_SEALED_COLUMNS, rows)


def _stored(stream: LoadedStream) -> StoredStream:
    kind = state = NULL_MARK
    if stream.state is not None:
        kind, state = stream.state.__struct_config__.tag, _encode(stream.state).decode()
    return StoredStream(
        stream.stream_id,
        stream.id_text,
        stream.tenant,
        stream.version + 1,
        stream.seq,
        _encode(stream.marks).decode(),
        kind,
        state,
        stream.halted,
        _encode(stream.seals).decode() if stream.seals else NULL_MARK,
    )


def _stream_columns(stored: Sequence[StoredStream]) -> dict[str, Any]:
    streams = sorted(stored, key=_lock_order)  # every writer locks in one order
    return {
        "stream_ids": join_column([one.id_text for one in streams]),
        "stream_tenants": join_column([one.tenant for one in streams]),
        "stream_versions": join_column([str(one.version) for one in streams]),
        "stream_seqs": join_column([str(one.seq) for one in streams]),
        "stream_halted": join_column(["t" if one.halted else "f" for one in streams]),
        "stream_marks": join_column([one.marks for one in streams]),
        "stream_kinds": join_column([one.kind for one in streams]),
        "stream_states": join_column([one.state for one in streams]),
        "stream_seals": join_column([one.seals for one in streams]),
    }


def _event_columns(write_set: WriteSet) -> dict[str, str]:
    events = write_set.outgoing
    return {
        "event_ids": join_column([one.event_id for one in events]),
        "event_stream_ids": join_column([one.key for one in events]),
        "event_seqs": join_column([str(one.seq) for one in events]),
        "event_tenants": join_column([one.tenant for one in events]),
        "event_types": join_column([one.type for one in events]),
        "event_metadata": join_column(write_set.metadata),
        "event_bodies": join_column(write_set.bodies),
    }


def _named(names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> dict[str, str]:
    return dict(zip(names, map(join_column, zip(*rows, strict=True)), strict=True))


_PARKED_COLUMNS: Final = ParkedEvent.__struct_fields__
_IDEMPOTENCY_COLUMNS: Final = IdempotencyRecord.__struct_fields__
_TIMER_COLUMNS: Final = ("timer_tenants", "timer_stream_ids", "timer_kinds", "timer_refs", "timer_due")
_EFFECT_COLUMNS: Final = (
    "effect_tenants", "effect_keys", "effect_stream_ids", "effect_kinds", "effect_about",
)  # fmt: skip
_KEY_COLUMNS: Final = ("key_tenants", "key_subject_ids", "key_wrapped")
_SEALED_COLUMNS: Final = (
    "sealed_tenants", "sealed_stream_ids", "sealed_subject_ids", "sealed_names", "sealed_key_numbers",
    "sealed_key_is_new", "sealed_ciphertexts",
)  # fmt: skip
