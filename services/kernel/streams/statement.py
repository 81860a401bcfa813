"""Save statement: the SQL parts of the one statement that saves a batch, and the builder that joins them.

Each part is a common table expression with named placeholders such as `{event_ids}`. A statement holds only
the parts that a batch has values for: an empty one costs PostgreSQL some ten microseconds. The last select
counts the streams, data keys and private values that were written, and raises a version conflict, which
undoes everything, where one was not; a private value is not where its data key was retired meanwhile.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from string import Formatter
from typing import Any, Final

Write = tuple[str, Sequence[Any]]
"""A statement with numbered parameters, and its columns, each with one value a row."""


@lru_cache(maxsize=1024)
def render(parts: Sequence[str], projection: str, own_parameters: int) -> tuple[str, tuple[str, ...]]:
    """Return the statement with numbered parameters, and the names of its placeholders in that order.

    A projection's statement may be part of it; its own parameters come first and keep their numbers.
    """
    written = [_CHECKS[part] for part in parts if part in _CHECKS]
    ids = (
        "(select array_agg(id order by id) from appended_events)"
        if APPEND_EVENTS in parts
        else "null::bigint[]"
    )
    select = f"select case when {' and '.join(written)} then {ids} else array[conflict()] end"
    template = f"with {', '.join(parts)}{{projection}}\n{select}"
    found = dict.fromkeys(name for _, name, _, _ in Formatter().parse(template) if name)
    names = tuple(name for name in found if name != "projection")
    numbered = {name: f"${n}" for n, name in enumerate(names, own_parameters + 1)}
    return template.format(
        **numbered, projection=f", projection as (\n{projection}\n)" if projection else ""
    ), names


READ_STREAMS: Final = """
select w.n, s.version, s.seq, s.halted, s.marks, s.state, s.seals
from unnest(split_column($1), split_column($2)::uuid[]) with ordinality as w (tenant, stream_id, n)
join streams s on s.tenant = w.tenant and s.stream_id = w.stream_id
"""

UPSERT_STREAMS: Final = """upserted_streams as (
  insert into streams as old (tenant, stream_id, version, seq, halted, marks, kind, state, seals)
  select * from unnest(
    split_column({stream_tenants}), split_column({stream_ids})::uuid[],
    split_column({stream_versions})::bigint[], split_column({stream_seqs})::bigint[],
    split_column({stream_halted})::boolean[], split_column({stream_marks})::jsonb[],
    split_column({stream_kinds}), split_column({stream_states}), split_column({stream_seals})::jsonb[])
  on conflict (tenant, stream_id) do update
  set version = excluded.version, seq = excluded.seq, halted = excluded.halted,
      marks = excluded.marks, kind = excluded.kind, state = excluded.state, seals = excluded.seals,
      changed_at = now()
  where old.version = excluded.version - 1
  returning 1
)"""

INSERT_DATA_KEYS: Final = """inserted_data_keys as (
  insert into data_keys (tenant, subject_id, wrapped)
  select * from unnest(
    split_column({key_tenants}), split_column({key_subject_ids})::uuid[],
    split_column({key_wrapped})::bytea[])
  on conflict do nothing
  returning 1
)"""

# Ids of the log are allocated here, hence after the previous commit of each stream was read.
APPEND_EVENTS: Final = """appended_events as (
  insert into event_log (event_id, stream_id, seq, tenant, type, meta, data)
  select event_id, stream_id, seq, tenant, type, meta, data
  from unnest(
    split_column({event_ids})::uuid[], split_column({event_stream_ids})::uuid[],
    split_column({event_seqs})::bigint[],
    split_column({event_tenants}), split_column({event_types}), split_column({event_metadata})::json[],
    split_column({event_bodies})::json[])
    with ordinality as e (event_id, stream_id, seq, tenant, type, meta, data, n)
  order by n
  returning id, tenant
), queued_events as (
  insert into pending (first_id, tenant, ids)
  select min(id), tenant, array_agg(id order by id) from appended_events group by tenant
)"""

UPSERT_TIMERS: Final = """changed_timers as (
  select * from unnest(
    split_column({timer_tenants}), split_column({timer_stream_ids})::uuid[], split_column({timer_kinds}),
    split_column({timer_refs})::uuid[], split_column({timer_due})::timestamptz[])
    as t (tenant, stream_id, kind, ref, due_at)
), deleted_timers as (
  delete from timers using changed_timers c
  where c.due_at is null and timers.tenant = c.tenant
    and timers.stream_id = c.stream_id and timers.kind = c.kind and timers.ref = c.ref
), upserted_timers as (
  insert into timers (tenant, stream_id, kind, ref, due_at)
  select tenant, stream_id, kind, ref, due_at from changed_timers where due_at is not null
  on conflict (tenant, stream_id, kind, ref) do update set due_at = excluded.due_at
)"""

INSERT_EFFECTS: Final = """inserted_effects as (
  insert into effects (tenant, key, stream_id, kind, about)
  select * from unnest(
    split_column({effect_tenants}), split_column({effect_keys})::uuid[],
    split_column({effect_stream_ids})::uuid[], split_column({effect_kinds}),
    split_column({effect_about})::json[])
  on conflict (tenant, key) do nothing
)"""

# A scalar subquery is looked up by row; `exists` may be planned as a hash of all data keys.
UPSERT_SEALED: Final = """upserted_sealed as (
  insert into sealed (tenant, stream_id, subject_id, name, key_number, ciphertext)
  select s.tenant, s.stream_id, s.subject_id, s.name, s.key_number, s.ciphertext from unnest(
    split_column({sealed_tenants}), split_column({sealed_stream_ids})::uuid[],
    split_column({sealed_subject_ids})::uuid[], split_column({sealed_names}),
    split_column({sealed_key_numbers})::integer[], split_column({sealed_key_is_new})::boolean[],
    split_column({sealed_ciphertexts})::bytea[])
    as s (tenant, stream_id, subject_id, name, key_number, key_is_new, ciphertext)
  where s.key_is_new or (
    select k.retired_at is null and k.destroyed_at is null from data_keys k
    where k.tenant = s.tenant and k.subject_id = s.subject_id and k.number = s.key_number)
  on conflict (tenant, stream_id, subject_id, name) do update
  set key_number = excluded.key_number, ciphertext = excluded.ciphertext
  returning 1
)"""

INSERT_PARKED: Final = """inserted_parked as (
  insert into parked_events (tenant, stream_id, source, seq, event_id, type, topic, kafka_partition,
                             kafka_offset, key, headers, value, reason, detail)
  select * from unnest(
    {parked_tenant}::text[], {parked_stream_id}::uuid[], {parked_source}::text[], {parked_seq}::bigint[],
    {parked_event_id}::uuid[], {parked_type}::text[], {parked_topic}::text[],
    {parked_kafka_partition}::integer[],
    {parked_kafka_offset}::bigint[], {parked_key}::bytea[], {parked_headers}::json[], {parked_value}::bytea[],
    {parked_reason}::text[], {parked_detail}::text[])
  on conflict do nothing
)"""

INSERT_IDEMPOTENCY_KEY: Final = """inserted_idempotency_key as (
  insert into idempotency_keys (tenant, actor, key, request_digest, answer)
  values ({idempotency_tenant}, {idempotency_actor}, {idempotency_key}, {idempotency_request_digest},
          {idempotency_answer})
)"""

_CHECKS: Final[Mapping[str, str]] = {
    UPSERT_STREAMS: "(select count(*) from upserted_streams) = cardinality(split_column({stream_ids}))",
    INSERT_DATA_KEYS: (
        "(select count(*) from inserted_data_keys) = cardinality(split_column({key_subject_ids}))"
    ),
    UPSERT_SEALED: "(select count(*) from upserted_sealed) = cardinality(split_column({sealed_names}))",
}
"""Conditions under which a part has written all of its rows."""
