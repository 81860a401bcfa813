"""One row a stream, read and saved for a whole batch by one statement each, whatever the service."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.kernel.decider.decision import Decision, Effect, PrivateValue, Timer
from services.kernel.decider.service import RecordedEvent, Tx
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.privacy.encryption import NewKey, SealedRow

Write = tuple[str, Sequence[Any]]
"""A statement and its columns, each with one value a row."""

Marks = dict[str, tuple[int, str]]
_decode_marks = msgspec.json.Decoder(Marks).decode
_encode = msgspec.json.Encoder().encode


_sort_key = attrgetter("key")
_PARAMETER: Final = re.compile(r"\$([0-9]+)")


class LoadedStream(Struct, gc=False):
    """A stream as it was read, and what a batch has made of it so far."""

    stream_id: UUID
    key: str
    tenant: str
    version: int
    seq: int
    halted: bool
    marks: Marks
    state: Any
    before: Any = None
    changed: bool = False
    new_events: tuple[RecordedEvent, ...] = ()
    consumed: tuple[RecordedEvent, ...] = ()
    timers: tuple[Timer, ...] = ()
    private_values: tuple[PrivateValue, ...] = ()
    effects: tuple[Effect, ...] = ()

    def apply(self, decision: Decision, events: Sequence[RecordedEvent]) -> None:
        """Go on from a decision."""
        self.state = decision.state
        self.changed = True
        if events:
            self.new_events += tuple(events)
        if decision.timers:
            self.timers += decision.timers
        if decision.private_values:
            self.private_values += decision.private_values
        if decision.effects:
            self.effects += decision.effects

    def record_consumed(self, event: RecordedEvent) -> None:
        """Note an event for the service's own tables."""
        self.consumed += (event,)

    def last_timers(self) -> Iterable[Timer]:
        """Return the timers as they are to be: of the same kind and ref only the last."""
        timers = self.timers
        return timers if len(timers) < 2 else {(one.kind, one.ref): one for one in timers}.values()  # noqa: PLR2004  more than one

    def last_private_values(self) -> Iterable[PrivateValue]:
        """Return the private values as they are to be: of the same name only the last."""
        seals = self.private_values
        return seals if len(seals) < 2 else {(one.subject, one.name): one for one in seals}.values()  # noqa: PLR2004  more than one


class StoredStream(Struct, frozen=True, gc=False):
    """A stream as it is saved, in the words of the database."""

    stream_id: UUID
    key: str
    tenant: str
    version: int
    seq: int
    marks: str
    kind: str
    state: str
    halted: bool = False


class ParkedEvent(Struct, frozen=True):
    """An event that must wait, with all that is needed to take it up again."""

    tenant: str | None
    stream_id: UUID | None
    source: str | None
    seq: int | None
    event_id: UUID | None
    type: str | None
    topic: str
    kafka_partition: int
    kafka_offset: int
    key: bytes | None
    headers: str
    value: bytes | None
    reason: str
    detail: str


class IdempotencyRecord(Struct, frozen=True):
    """A command's idempotency key and the answer that a repetition gets."""

    tenant: str
    actor: UUID
    key: str
    request_digest: bytes
    answer: str


def new_stream(stream_id: UUID, tenant: str) -> LoadedStream:
    """Return the row of a stream that does not exist yet."""
    return LoadedStream(stream_id, str(stream_id), tenant, 0, 0, False, {}, None)  # noqa: FBT003  a new stream is not parked


async def load_streams(
    tx: Tx, ids: Sequence[UUID], decoder: msgspec.json.Decoder[Any]
) -> dict[UUID, LoadedStream]:
    """Return those of the streams that exist."""
    found = await read_stored(tx, ids)
    return {one.stream_id: decode_stream(one, decoder) for one in found}


async def read_stored(tx: Tx, ids: Sequence[UUID]) -> list[StoredStream]:
    """Return those of the streams that exist, in the words of the database."""
    keys = list(map(str, ids))
    return [
        StoredStream(
            ids[n - 1],
            keys[n - 1],
            tenant,
            version,
            seq,
            marks,
            "",
            _NULL_MARK if state is None else state,
            parked,
        )
        for n, tenant, version, seq, parked, marks, state in await tx.fetch(_READ, _join(keys))
    ]


def decode_stream(stored: StoredStream, decoder: msgspec.json.Decoder[Any]) -> LoadedStream:
    """Return the row of a stream from what was written of it."""
    document = None if stored.state == _NULL_MARK else decoder.decode(stored.state)
    marks = _decode_marks(stored.marks)
    return LoadedStream(
        stored.stream_id,
        stored.key,
        stored.tenant,
        stored.version,
        stored.seq,
        stored.halted,
        marks,
        document,
        document,
    )


class WriteSet:
    """What one statement is to save, in the words of the database: of many objects a few texts are left."""

    __slots__ = ("bodies", "effects", "metadata", "outgoing", "private_values", "stored", "timers")

    def __init__(self, streams: Iterable[LoadedStream] = ()) -> None:
        """Begin with these streams."""
        self.stored: list[StoredStream] = []
        self.outgoing: list[OutgoingEvent] = []
        self.metadata: list[str] = []
        self.bodies: list[str] = []
        self.timers: list[tuple[str, ...]] = []
        self.effects: list[tuple[str, ...]] = []
        self.private_values: list[tuple[str, str, PrivateValue]] = []
        self.add(streams)

    def add(self, streams: Iterable[LoadedStream]) -> None:
        """Write down streams and what they have told, each stream once."""
        for row in streams:
            key, tenant = row.key, row.tenant
            self.stored.append(_store(row))
            for sent in row.new_events:
                body = body_of(sent)
                self.outgoing.append(
                    OutgoingEvent(str(sent.event_id), key, sent.seq, tenant, sent.type, sent.metadata, body)
                )
                self.metadata.append(_encode(sent.metadata).decode())
                self.bodies.append(body.decode())
            if row.timers:
                self.timers += [
                    (key, timer.kind, str(timer.ref), tenant, _time_text(timer.due_at))
                    for timer in row.last_timers()
                ]
            if row.effects:
                self.effects += [
                    (str(effect.key), key, tenant, effect.kind, _encode(effect.about).decode())
                    for effect in row.effects
                ]
            if row.private_values:
                self.private_values += [(key, tenant, seal) for seal in row.last_private_values()]


async def save(
    tx: Tx,
    write_set: WriteSet,
    *,
    sealed: Sequence[SealedRow] = (),
    new_keys: Sequence[NewKey] = (),
    parked: Sequence[ParkedEvent] = (),
    idempotency: IdempotencyRecord | None = None,
    projection: Write | None = None,
) -> list[tuple[int, OutgoingEvent]]:
    """Save all of a batch in one statement, and return its events with their log ids.

    What a service writes into its own tables may go with it, where that is one statement.
    Raises `asyncpg.SerializationError` (40001), with nothing saved, where any stream has moved on since it
    was read, and `asyncpg.UniqueViolationError` where the command's key was stored meanwhile.
    """
    parts = [*_parts(write_set, sealed, new_keys), *_extra_parts(parked, idempotency)]
    if projection is not None:
        parts.append((_projection_part(projection[0]), projection[1]))
    statement = _build_statement(tuple([text for text, _ in parts]))
    ids = await tx.fetchval(statement, *chain.from_iterable([columns for _, columns in parts]))
    return list(zip(ids or (), write_set.outgoing, strict=True))


def _parts(page: WriteSet, boxes: Sequence[SealedRow], new_keys: Sequence[NewKey]) -> Iterable[Write]:
    yield _UPSERT_STREAMS, _streams(sorted(page.stored, key=_sort_key))  # everybody locks in one order
    if new_keys:
        yield _INSERT_DATA_KEYS, _new_keys(new_keys)
    if page.outgoing:
        yield _APPEND_EVENTS, _events(page)
    if page.timers:
        yield _UPSERT_TIMERS, _columns(page.timers)
    if page.effects:
        yield _INSERT_EFFECTS, _columns(page.effects)
    if boxes:
        yield _UPSERT_SEALED, _sealed(boxes)


def _extra_parts(parked: Sequence[ParkedEvent], key: IdempotencyRecord | None) -> Iterable[Write]:
    if parked:
        yield _INSERT_PARKED, _parked(parked)
    if key is not None:
        yield _INSERT_IDEMPOTENCY_KEY, [key.tenant, key.actor, key.key, key.request_digest, key.answer]


@lru_cache(maxsize=1024)
def _build_statement(parts: Sequence[str]) -> str:
    """Return the statement that saves what there is; the parameters of each part follow those before it."""
    numbered: list[str] = []
    count = 0
    for part in parts:
        numbered.append(_numbered_from(count, part))
        count += max(int(number) for number in _PARAMETER.findall(part))
    checked = _ALL_STREAMS_WRITTEN + (_ALL_DATA_KEYS_WRITTEN if _INSERT_DATA_KEYS in parts else "")
    ids = "(select ids from queued)" if _APPEND_EVENTS in parts else "null::bigint[]"
    return f"with {', '.join(numbered)}\nselect case when {checked} then {ids} else array[conflict()] end"


def _numbered_from(count: int, part: str) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + count}", part)


@lru_cache(maxsize=256)
def _projection_part(statement: str) -> str:
    return f"beside as (\n{statement}\n)"


def _streams(stored: Sequence[StoredStream]) -> tuple[str, ...]:
    return (
        _join([one.key for one in stored]),
        _join([one.tenant for one in stored]),
        _join([str(one.version) for one in stored]),
        _join([str(one.seq) for one in stored]),
        _join(["t" if one.halted else "f" for one in stored]),
        _join([one.marks for one in stored]),
        _join([one.kind for one in stored]),
        _join([one.state for one in stored]),
    )


def _store(stream: LoadedStream) -> StoredStream:
    kind = state = _NULL_MARK
    if stream.state is not None:
        kind, state = stream.state.__struct_config__.tag, _encode(stream.state).decode()
    marks = _encode(stream.marks).decode()
    return StoredStream(
        stream.stream_id,
        stream.key,
        stream.tenant,
        stream.version + 1,
        stream.seq,
        marks,
        kind,
        state,
        stream.halted,
    )


def _events(page: WriteSet) -> tuple[str, ...]:
    told = page.outgoing
    return (
        _join([one.event_id for one in told]),
        _join([one.key for one in told]),
        _join([str(one.seq) for one in told]),
        _join([one.tenant for one in told]),
        _join([one.type for one in told]),
        _join(page.metadata),
        _join(page.bodies),
    )


def _time_text(time: datetime | None) -> str:
    return _NULL_MARK if time is None else time.isoformat()


def _sealed(boxes: Sequence[SealedRow]) -> tuple[str, ...]:
    return _columns(
        [(one.stream_id, one.subject, one.name, one.tenant, _hex(one.ciphertext)) for one in boxes]
    )


def _new_keys(keys: Sequence[NewKey]) -> tuple[str, ...]:
    return _columns(sorted((str(key.subject), key.tenant, _hex(key.wrapped)) for key in keys))


def _parked(parked: Sequence[ParkedEvent]) -> tuple[list[Any], ...]:
    return tuple([getattr(one, name) for one in parked] for name in ParkedEvent.__struct_fields__)


def _columns(values: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(map(_join, zip(*values, strict=True)))


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()


# A column travels as one text, its values apart by a character that JSON escapes and no code holds: the
# driver looks at each element of an array twice, at a text once.
_SEPARATOR: Final = "\x1e"
_NULL_MARK: Final = "\x1d"
_join = _SEPARATOR.join


def body_of(sent: RecordedEvent) -> bytes:
    """Return an event's body as JSON."""
    body = sent.body
    return body.__pydantic_serializer__.to_json(body) if body is not None else b"null"


_READ: Final = """
select w.n, s.tenant, s.version, s.seq, s.parked, s.marks, s.state
from unnest(of($1)::uuid[]) with ordinality as w (stream_id, n)
join streams s on s.stream_id = w.stream_id
"""

# The parts of the one statement that saves, each where a batch has something for it: an empty one costs
# PostgreSQL some ten microseconds. The last select counts the streams before anything beside them is written,
# and undoes all where a stream or a data key was not ours to write.
_UPSERT_STREAMS: Final = """moved as (
  insert into streams as old (stream_id, tenant, version, seq, parked, marks, kind, state)
  select * from unnest(of($1)::uuid[], of($2)::text[], of($3)::bigint[], of($4)::bigint[],
                       of($5)::boolean[], of($6)::jsonb[], of($7), of($8))
  on conflict (stream_id) do update
  set version = excluded.version, seq = excluded.seq, parked = excluded.parked,
      marks = excluded.marks, kind = excluded.kind, state = excluded.state, changed_at = now()
  where old.version = excluded.version - 1 and old.tenant = excluded.tenant
  returning 1
)"""
_ALL_STREAMS_WRITTEN: Final = "(select count(*) from moved) = cardinality(of($1))"

_INSERT_DATA_KEYS: Final = """keyed as (
  insert into data_keys (subject_id, tenant, wrapped)
  select * from unnest(of($1)::uuid[], of($2)::text[], of($3)::bytea[])
  on conflict (subject_id) do nothing
  returning 1
)"""
_ALL_DATA_KEYS_WRITTEN: Final = " and (select count(*) from keyed) = cardinality(of($9))"
"""Keys come right behind the eight columns of the streams."""

# Ids of the log are allocated here, hence after the previous commit of each stream was read.
_APPEND_EVENTS: Final = """logged as (
  insert into event_log (event_id, stream_id, seq, tenant, type, meta, data)
  select event_id, stream_id, seq, tenant, type, meta, data
  from unnest(of($1)::uuid[], of($2)::uuid[], of($3)::bigint[], of($4)::text[], of($5)::text[],
              of($6)::json[], of($7)::json[])
       with ordinality as e (event_id, stream_id, seq, tenant, type, meta, data, n)
  order by n
  returning id
), queued as (
  insert into pending (first_id, ids)
  select min(id), array_agg(id order by id) from logged having count(*) > 0
  returning ids
)"""

_UPSERT_TIMERS: Final = """woken as (
  select * from unnest(of($1)::uuid[], of($2)::text[], of($3)::uuid[], of($4)::text[],
                       of($5)::timestamptz[]) as t (stream_id, kind, ref, tenant, due_at)
), silenced as (
  delete from timers using woken w
  where w.due_at is null
    and timers.stream_id = w.stream_id and timers.kind = w.kind and timers.ref = w.ref
), set_timers as (
  insert into timers (stream_id, kind, ref, tenant, due_at)
  select stream_id, kind, ref, tenant, due_at from woken where due_at is not null
  on conflict (stream_id, kind, ref) do update set due_at = excluded.due_at
)"""

_INSERT_EFFECTS: Final = """set_effects as (
  insert into effects (key, stream_id, tenant, kind, about)
  select * from unnest(of($1)::uuid[], of($2)::uuid[], of($3)::text[], of($4)::text[], of($5)::json[])
  on conflict (key) do nothing
)"""

_UPSERT_SEALED: Final = """boxed as (
  insert into sealed (stream_id, subject_id, name, tenant, box)
  select * from unnest(of($1)::uuid[], of($2)::uuid[], of($3)::text[], of($4)::text[], of($5)::bytea[])
  on conflict (stream_id, subject_id, name) do update set box = excluded.box
)"""

_INSERT_PARKED: Final = """set_aside as (
  insert into parked_events (tenant, stream_id, source, seq, event_id, type, topic, part, place, key, headers,
                             value, reason, detail)
  select * from unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::uuid[], $6::text[],
                       $7::text[], $8::integer[], $9::bigint[], $10::bytea[], $11::json[], $12::bytea[],
                       $13::text[], $14::text[])
  on conflict do nothing
)"""

_INSERT_IDEMPOTENCY_KEY: Final = """answered as (
  insert into command_keys (tenant, actor, key, fingerprint, answer) values ($1, $2, $3, $4, $5)
)"""
