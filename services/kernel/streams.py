"""One row a stream, read and saved for a whole batch by one statement each, whatever the service."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from services.kernel.decision import Decision, Effect, Seal, Timer
from services.kernel.messages import Message, message_of
from services.kernel.sealing import Box, NewKey
from services.kernel.service import Sent, Tx

Marks = dict[str, tuple[int, str]]
_decode_marks = msgspec.json.Decoder(Marks).decode
_encode = msgspec.json.Encoder().encode


class Row(Struct):
    """A stream as it was read, and what a batch has made of it so far."""

    stream_id: UUID
    key: str
    tenant: str
    version: int
    seq: int
    parked: bool
    marks: Marks
    state: Any
    before: Any = None
    changed: bool = False
    told: list[Sent] = []
    heard: list[Sent] = []
    timers: dict[tuple[str, UUID], Timer] = {}
    seals: dict[tuple[UUID, str], Seal] = {}
    effects: list[Effect] = []

    def take(self, decision: Decision, told: Sequence[Sent]) -> None:
        """Go on from a decision."""
        self.state = decision.state
        self.changed = True
        self.told.extend(told)
        for timer in decision.timers:
            self.timers[timer.kind, timer.ref] = timer
        for seal in decision.seals:
            self.seals[seal.subject, seal.name] = seal
        self.effects.extend(decision.effects)


class Parked(Struct, frozen=True):
    """An event that must wait, with all that is needed to take it up again."""

    tenant: str | None
    stream_id: UUID | None
    source: str | None
    seq: int | None
    event_id: UUID | None
    type: str | None
    topic: str
    part: int
    place: int
    key: bytes | None
    headers: str
    value: bytes | None
    reason: str
    detail: str


class Key(Struct, frozen=True):
    """A command's idempotency key and the answer that a repetition gets."""

    tenant: str
    actor: UUID
    key: str
    fingerprint: bytes
    answer: str


def fresh(stream_id: UUID, tenant: str) -> Row:
    """Return the row of a stream that does not exist yet."""
    return Row(stream_id, str(stream_id), tenant, 0, 0, False, {}, None)  # noqa: FBT003  a new stream is not parked


async def read(tx: Tx, ids: Sequence[UUID], decoder: msgspec.json.Decoder[Any]) -> dict[UUID, Row]:
    """Return those of the streams that exist."""
    rows: dict[UUID, Row] = {}
    for n, tenant, version, seq, parked, marks, state in await tx.fetch(_READ, ids):
        stream_id = ids[n - 1]
        document = None if state is None else decoder.decode(state)
        rows[stream_id] = Row(
            stream_id, str(stream_id), tenant, version, seq, parked, _decode_marks(marks), document, document
        )
    return rows


async def save(
    tx: Tx,
    rows: Sequence[Row],
    *,
    boxes: Sequence[Box] = (),
    new_keys: Sequence[NewKey] = (),
    parked: Sequence[Parked] = (),
    key: Key | None = None,
) -> list[tuple[int, Message]]:
    """Save all of a batch in one statement, and return the log ids and messages of its events.

    Raises `asyncpg.SerializationError` (40001), with nothing saved, where any stream has moved on since it
    was read, and `asyncpg.UniqueViolationError` where the command's key was stored meanwhile.
    """
    events = [(row, sent) for row in rows for sent in row.told]
    columns, messages = _events(events)
    ids = await tx.fetchval(
        _SAVE,
        *_streams(rows),
        *columns,
        *_timers(rows),
        *_effects(rows),
        *_boxes(boxes),
        *_new_keys(new_keys),
        *_parked(parked),
        *_key(key),
    )
    return list(zip(ids or (), messages, strict=True))


def _streams(rows: Sequence[Row]) -> tuple[list[Any], ...]:
    return (
        [row.stream_id for row in rows],
        [row.tenant for row in rows],
        [row.version + 1 for row in rows],
        [row.seq for row in rows],
        [row.parked for row in rows],
        [_encode(row.marks).decode() for row in rows],
        [None if row.state is None else _encode(row.state).decode() for row in rows],
    )


def _events(events: Sequence[tuple[Row, Sent]]) -> tuple[tuple[list[Any], ...], list[Message]]:
    ids, streams, seqs, tenants, types, metas, bodies = columns = [], [], [], [], [], [], []  # type: ignore[var-annotated]
    messages: list[Message] = []
    for row, sent in events:
        body = body_of(sent)
        ids.append(sent.event_id)
        streams.append(row.stream_id)
        seqs.append(sent.seq)
        tenants.append(row.tenant)
        types.append(sent.type)
        metas.append(_encode(sent.meta).decode())
        bodies.append(body.decode())
        messages.append(
            message_of(str(sent.event_id), row.key, sent.seq, row.tenant, sent.type, sent.meta, body)
        )
    return columns, messages


def _timers(rows: Sequence[Row]) -> tuple[list[Any], ...]:
    timers = [(row, timer) for row in rows for timer in row.timers.values()]
    return (
        [row.stream_id for row, _ in timers],
        [timer.kind for _, timer in timers],
        [timer.ref for _, timer in timers],
        [row.tenant for row, _ in timers],
        [timer.due_at for _, timer in timers],
    )


def _effects(rows: Sequence[Row]) -> tuple[list[Any], ...]:
    effects = [(row, effect) for row in rows for effect in row.effects]
    return (
        [effect.key for _, effect in effects],
        [row.stream_id for row, _ in effects],
        [row.tenant for row, _ in effects],
        [effect.kind for _, effect in effects],
        [_encode(effect.about).decode() for _, effect in effects],
    )


def _boxes(boxes: Sequence[Box]) -> tuple[list[Any], ...]:
    return _columns(boxes, ("stream_id", "subject", "name", "tenant", "box"))


def _new_keys(keys: Sequence[NewKey]) -> tuple[list[Any], ...]:
    return _columns(keys, ("subject", "tenant", "wrapped"))


def _parked(parked: Sequence[Parked]) -> tuple[list[Any], ...]:
    return _columns(parked, Parked.__struct_fields__)


def _key(key: Key | None) -> tuple[Any, ...]:
    return (None,) * 5 if key is None else (key.tenant, key.actor, key.key, key.fingerprint, key.answer)


def _columns(values: Iterable[Any], names: Sequence[str]) -> tuple[list[Any], ...]:
    return tuple([getattr(value, name) for value in values] for name in names)


def body_of(sent: Sent) -> bytes:
    """Return an event's body as JSON."""
    body = sent.body
    return body.__pydantic_serializer__.to_json(body) if body is not None else b"null"


_READ: Final = """
select w.n, s.tenant, s.version, s.seq, s.parked, s.marks, s.state
from unnest($1::uuid[]) with ordinality as w (stream_id, n)
join streams s on s.stream_id = w.stream_id
"""

# The last select runs after all the others have: it undoes them where a stream or a data key was not ours
# to write. Ids of the log are allocated here, hence after the previous commit of each stream was read.
_SAVE: Final = """
with moved as (
  insert into streams as old (stream_id, tenant, version, seq, parked, marks, state)
  select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::jsonb[],
                       $7::jsonb[])
  on conflict (stream_id) do update
  set version = excluded.version, seq = excluded.seq, parked = excluded.parked,
      marks = excluded.marks, state = excluded.state, changed_at = now()
  where old.version = excluded.version - 1 and old.tenant = excluded.tenant
  returning 1
), logged as (
  insert into event_log (event_id, stream_id, seq, tenant, type, meta, data)
  select event_id, stream_id, seq, tenant, type, meta, data
  from unnest($8::uuid[], $9::uuid[], $10::bigint[], $11::text[], $12::text[], $13::json[], $14::json[])
       with ordinality as e (event_id, stream_id, seq, tenant, type, meta, data, n)
  order by n
  returning id
), queued as (
  insert into pending (first_id, ids)
  select min(id), array_agg(id order by id) from logged having count(*) > 0
  returning ids
), woken as (
  select * from unnest($15::uuid[], $16::text[], $17::uuid[], $18::text[], $19::timestamptz[])
                as t (stream_id, kind, ref, tenant, due_at)
), silenced as (
  delete from timers using woken w
  where w.due_at is null
    and timers.stream_id = w.stream_id and timers.kind = w.kind and timers.ref = w.ref
), set_timers as (
  insert into timers (stream_id, kind, ref, tenant, due_at)
  select stream_id, kind, ref, tenant, due_at from woken where due_at is not null
  on conflict (stream_id, kind, ref) do update set due_at = excluded.due_at
), set_effects as (
  insert into effects (key, stream_id, tenant, kind, about)
  select * from unnest($20::uuid[], $21::uuid[], $22::text[], $23::text[], $24::json[])
  on conflict (key) do nothing
), boxed as (
  insert into sealed (stream_id, subject_id, name, tenant, box)
  select * from unnest($25::uuid[], $26::uuid[], $27::text[], $28::text[], $29::bytea[])
  on conflict (stream_id, subject_id, name) do update set box = excluded.box
), keyed as (
  insert into data_keys (subject_id, tenant, wrapped)
  select * from unnest($30::uuid[], $31::text[], $32::bytea[])
  on conflict (subject_id) do nothing
  returning 1
), set_aside as (
  insert into parked_events (tenant, stream_id, source, seq, event_id, type, topic, part, place, key, headers,
                             value, reason, detail)
  select * from unnest($33::text[], $34::uuid[], $35::text[], $36::bigint[], $37::uuid[], $38::text[],
                       $39::text[], $40::integer[], $41::bigint[], $42::bytea[], $43::json[], $44::bytea[],
                       $45::text[], $46::text[])
  on conflict do nothing
), answered as (
  insert into command_keys (tenant, actor, key, fingerprint, answer)
  select $47, $48, $49, $50, $51 where $49::text is not null
)
select case
  when (select count(*) from moved) = cardinality($1::uuid[])
   and (select count(*) from keyed) = cardinality($30::uuid[])
  then (select ids from queued)
  else array[conflict()]
end
"""
