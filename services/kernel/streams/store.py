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

from services.kernel.decider.decision import Decision, Effect, Seal, Timer
from services.kernel.decider.service import Sent, Tx
from services.kernel.kafka.cloudevents import Told
from services.kernel.privacy.encryption import Box, NewKey

Write = tuple[str, Sequence[Any]]
"""A statement and its columns, each with one value a row."""

Marks = dict[str, tuple[int, str]]
_decode_marks = msgspec.json.Decoder(Marks).decode
_encode = msgspec.json.Encoder().encode


_place = attrgetter("key")
_PARAMETER: Final = re.compile(r"\$([0-9]+)")


class Row(Struct, gc=False):
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
    told: tuple[Sent, ...] = ()
    heard: tuple[Sent, ...] = ()
    timers: tuple[Timer, ...] = ()
    seals: tuple[Seal, ...] = ()
    effects: tuple[Effect, ...] = ()

    def take(self, decision: Decision, told: Sequence[Sent]) -> None:
        """Go on from a decision."""
        self.state = decision.state
        self.changed = True
        if told:
            self.told += tuple(told)
        if decision.timers:
            self.timers += decision.timers
        if decision.seals:
            self.seals += decision.seals
        if decision.effects:
            self.effects += decision.effects

    def hear(self, sent: Sent) -> None:
        """Note an event for the service's own tables."""
        self.heard += (sent,)

    def last_timers(self) -> Iterable[Timer]:
        """Return the timers as they are to be: of the same kind and ref only the last."""
        timers = self.timers
        return timers if len(timers) < 2 else {(one.kind, one.ref): one for one in timers}.values()  # noqa: PLR2004  more than one

    def last_seals(self) -> Iterable[Seal]:
        """Return the private values as they are to be: of the same name only the last."""
        seals = self.seals
        return seals if len(seals) < 2 else {(one.subject, one.name): one for one in seals}.values()  # noqa: PLR2004  more than one


class Written(Struct, frozen=True, gc=False):
    """A stream as it is saved, in the words of the database."""

    stream_id: UUID
    key: str
    tenant: str
    version: int
    seq: int
    marks: str
    kind: str
    state: str
    parked: bool = False


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
    found = await read_written(tx, ids)
    return {one.stream_id: row_of(one, decoder) for one in found}


async def read_written(tx: Tx, ids: Sequence[UUID]) -> list[Written]:
    """Return those of the streams that exist, in the words of the database."""
    keys = list(map(str, ids))
    return [
        Written(
            ids[n - 1],
            keys[n - 1],
            tenant,
            version,
            seq,
            marks,
            "",
            _NULL if state is None else state,
            parked,
        )
        for n, tenant, version, seq, parked, marks, state in await tx.fetch(_READ, _join(keys))
    ]


def row_of(one: Written, decoder: msgspec.json.Decoder[Any]) -> Row:
    """Return the row of a stream from what was written of it."""
    document = None if one.state == _NULL else decoder.decode(one.state)
    marks = _decode_marks(one.marks)
    return Row(
        one.stream_id, one.key, one.tenant, one.version, one.seq, one.parked, marks, document, document
    )


class Page:
    """What one statement is to save, in the words of the database: of many objects a few texts are left."""

    __slots__ = ("bodies", "effects", "metas", "seals", "timers", "told", "written")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """Begin with these streams."""
        self.written: list[Written] = []
        self.told: list[Told] = []
        self.metas: list[str] = []
        self.bodies: list[str] = []
        self.timers: list[tuple[str, ...]] = []
        self.effects: list[tuple[str, ...]] = []
        self.seals: list[tuple[str, str, Seal]] = []
        self.put(rows)

    def put(self, rows: Iterable[Row]) -> None:
        """Write down streams and what they have told, each stream once."""
        for row in rows:
            key, tenant = row.key, row.tenant
            self.written.append(_write(row))
            for sent in row.told:
                body = body_of(sent)
                self.told.append(Told(str(sent.event_id), key, sent.seq, tenant, sent.type, sent.meta, body))
                self.metas.append(_encode(sent.meta).decode())
                self.bodies.append(body.decode())
            if row.timers:
                self.timers += [
                    (key, timer.kind, str(timer.ref), tenant, _spelt(timer.due_at))
                    for timer in row.last_timers()
                ]
            if row.effects:
                self.effects += [
                    (str(effect.key), key, tenant, effect.kind, _encode(effect.about).decode())
                    for effect in row.effects
                ]
            if row.seals:
                self.seals += [(key, tenant, seal) for seal in row.last_seals()]


async def save(
    tx: Tx,
    page: Page,
    *,
    boxes: Sequence[Box] = (),
    new_keys: Sequence[NewKey] = (),
    parked: Sequence[Parked] = (),
    key: Key | None = None,
    beside: Write | None = None,
) -> list[tuple[int, Told]]:
    """Save all of a batch in one statement, and return its events with their log ids.

    What a service writes into its own tables may go with it, where that is one statement.
    Raises `asyncpg.SerializationError` (40001), with nothing saved, where any stream has moved on since it
    was read, and `asyncpg.UniqueViolationError` where the command's key was stored meanwhile.
    """
    parts = [*_parts(page, boxes, new_keys), *_besides(parked, key)]
    if beside is not None:
        parts.append((_beside(beside[0]), beside[1]))
    statement = _saving(tuple([text for text, _ in parts]))
    ids = await tx.fetchval(statement, *chain.from_iterable([columns for _, columns in parts]))
    return list(zip(ids or (), page.told, strict=True))


def _parts(page: Page, boxes: Sequence[Box], new_keys: Sequence[NewKey]) -> Iterable[Write]:
    yield _MOVED, _streams(sorted(page.written, key=_place))  # everybody locks in one order
    if new_keys:
        yield _KEYED, _new_keys(new_keys)
    if page.told:
        yield _LOGGED, _events(page)
    if page.timers:
        yield _TIMED, _columns(page.timers)
    if page.effects:
        yield _CAUSED, _columns(page.effects)
    if boxes:
        yield _BOXED, _boxes(boxes)


def _besides(parked: Sequence[Parked], key: Key | None) -> Iterable[Write]:
    if parked:
        yield _SET_ASIDE, _parked(parked)
    if key is not None:
        yield _ANSWERED, [key.tenant, key.actor, key.key, key.fingerprint, key.answer]


@lru_cache(maxsize=1024)
def _saving(parts: Sequence[str]) -> str:
    """Return the statement that saves what there is; the parameters of each part follow those before it."""
    numbered: list[str] = []
    count = 0
    for part in parts:
        numbered.append(_numbered_from(count, part))
        count += max(int(number) for number in _PARAMETER.findall(part))
    checked = _ALL_MOVED + (_ALL_KEYED if _KEYED in parts else "")
    ids = "(select ids from queued)" if _LOGGED in parts else "null::bigint[]"
    return f"with {', '.join(numbered)}\nselect case when {checked} then {ids} else array[conflict()] end"


def _numbered_from(count: int, part: str) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + count}", part)


@lru_cache(maxsize=256)
def _beside(statement: str) -> str:
    return f"beside as (\n{statement}\n)"


def _streams(written: Sequence[Written]) -> tuple[str, ...]:
    return (
        _join([one.key for one in written]),
        _join([one.tenant for one in written]),
        _join([str(one.version) for one in written]),
        _join([str(one.seq) for one in written]),
        _join(["t" if one.parked else "f" for one in written]),
        _join([one.marks for one in written]),
        _join([one.kind for one in written]),
        _join([one.state for one in written]),
    )


def _write(row: Row) -> Written:
    kind = state = _NULL
    if row.state is not None:
        kind, state = row.state.__struct_config__.tag, _encode(row.state).decode()
    marks = _encode(row.marks).decode()
    return Written(
        row.stream_id, row.key, row.tenant, row.version + 1, row.seq, marks, kind, state, row.parked
    )


def _events(page: Page) -> tuple[str, ...]:
    told = page.told
    return (
        _join([one.event_id for one in told]),
        _join([one.key for one in told]),
        _join([str(one.seq) for one in told]),
        _join([one.tenant for one in told]),
        _join([one.type for one in told]),
        _join(page.metas),
        _join(page.bodies),
    )


def _spelt(time: datetime | None) -> str:
    return _NULL if time is None else time.isoformat()


def _boxes(boxes: Sequence[Box]) -> tuple[str, ...]:
    return _columns([(one.stream_id, one.subject, one.name, one.tenant, _hex(one.box)) for one in boxes])


def _new_keys(keys: Sequence[NewKey]) -> tuple[str, ...]:
    return _columns(sorted((str(key.subject), key.tenant, _hex(key.wrapped)) for key in keys))


def _parked(parked: Sequence[Parked]) -> tuple[list[Any], ...]:
    return tuple([getattr(one, name) for one in parked] for name in Parked.__struct_fields__)


def _columns(values: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(map(_join, zip(*values, strict=True)))


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()


# A column travels as one text, its values apart by a character that JSON escapes and no code holds: the
# driver looks at each element of an array twice, at a text once.
_APART: Final = "\x1e"
_NULL: Final = "\x1d"
_join = _APART.join


def body_of(sent: Sent) -> bytes:
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
_MOVED: Final = """moved as (
  insert into streams as old (stream_id, tenant, version, seq, parked, marks, kind, state)
  select * from unnest(of($1)::uuid[], of($2)::text[], of($3)::bigint[], of($4)::bigint[],
                       of($5)::boolean[], of($6)::jsonb[], of($7), of($8))
  on conflict (stream_id) do update
  set version = excluded.version, seq = excluded.seq, parked = excluded.parked,
      marks = excluded.marks, kind = excluded.kind, state = excluded.state, changed_at = now()
  where old.version = excluded.version - 1 and old.tenant = excluded.tenant
  returning 1
)"""
_ALL_MOVED: Final = "(select count(*) from moved) = cardinality(of($1))"

_KEYED: Final = """keyed as (
  insert into data_keys (subject_id, tenant, wrapped)
  select * from unnest(of($1)::uuid[], of($2)::text[], of($3)::bytea[])
  on conflict (subject_id) do nothing
  returning 1
)"""
_ALL_KEYED: Final = " and (select count(*) from keyed) = cardinality(of($9))"
"""Keys come right behind the eight columns of the streams."""

# Ids of the log are allocated here, hence after the previous commit of each stream was read.
_LOGGED: Final = """logged as (
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

_TIMED: Final = """woken as (
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

_CAUSED: Final = """set_effects as (
  insert into effects (key, stream_id, tenant, kind, about)
  select * from unnest(of($1)::uuid[], of($2)::uuid[], of($3)::text[], of($4)::text[], of($5)::json[])
  on conflict (key) do nothing
)"""

_BOXED: Final = """boxed as (
  insert into sealed (stream_id, subject_id, name, tenant, box)
  select * from unnest(of($1)::uuid[], of($2)::uuid[], of($3)::text[], of($4)::text[], of($5)::bytea[])
  on conflict (stream_id, subject_id, name) do update set box = excluded.box
)"""

_SET_ASIDE: Final = """set_aside as (
  insert into parked_events (tenant, stream_id, source, seq, event_id, type, topic, part, place, key, headers,
                             value, reason, detail)
  select * from unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::uuid[], $6::text[],
                       $7::text[], $8::integer[], $9::bigint[], $10::bytea[], $11::json[], $12::bytea[],
                       $13::text[], $14::text[])
  on conflict do nothing
)"""

_ANSWERED: Final = """answered as (
  insert into command_keys (tenant, actor, key, fingerprint, answer) values ($1, $2, $3, $4, $5)
)"""
