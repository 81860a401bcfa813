-- What every service keeps, whatever its rules. The service's own tables follow in files from 0100 on.

create function conflict() returns bigint
language plpgsql as $$
begin
  raise exception 'a stream has moved on since it was read' using errcode = '40001';
end
$$;

-- A column of many values that came as one text (see streams.py).
create function of(joined text) returns text[]
language sql immutable parallel safe
return string_to_array(joined, e'\x1e', e'\x1d');

create table streams (
  stream_id uuid not null,
  tenant text not null,
  version bigint not null,
  seq bigint not null,
  parked boolean not null default false,
  marks jsonb not null,
  state jsonb,
  changed_at timestamptz not null default now(),
  constraint streams_pk primary key (stream_id),
  constraint streams_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint streams_counts_up check (version > 0 and seq >= 0)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

-- The parked streams, for the operator's list and for readiness.
create index streams_parked on streams (stream_id) where parked;

create sequence event_log_id as bigint cache 1;

create table event_log (
  id bigint not null default nextval('event_log_id'),
  created_on date not null default current_date,
  stream_id uuid not null,
  seq bigint not null,
  event_id uuid not null,
  tenant text not null,
  type text not null,
  meta json not null,
  data json not null,
  constraint event_log_pk primary key (created_on, id),
  constraint event_log_counts_once unique (stream_id, seq, created_on)
) partition by range (created_on);

create table event_log_rest partition of event_log default;

create table pending (
  first_id bigint not null,
  created_on date not null default current_date,
  ids bigint[] not null,
  queued_at timestamptz not null default now(),
  constraint pending_pk primary key (first_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

create table command_keys (
  tenant text not null,
  actor uuid not null,
  key text not null,
  fingerprint bytea not null,
  answer json not null,
  created_at timestamptz not null default now(),
  constraint command_keys_pk primary key (tenant, actor, key),
  constraint command_keys_key_is_short check (length(key) between 1 and 200)
);

-- Keys past their keeping time are dropped by age.
create index command_keys_by_age on command_keys (created_at);

create table parked_events (
  id bigint generated always as identity,
  tenant text,
  stream_id uuid,
  source text,
  seq bigint,
  event_id uuid,
  type text,
  topic text not null,
  part integer not null,
  place bigint not null,
  key bytea,
  headers json not null,
  value bytea,
  reason text not null,
  detail text not null default '',
  attempts integer not null default 1,
  parked_at timestamptz not null default now(),
  constraint parked_events_pk primary key (id)
);

-- One row an event, however often it comes again.
create unique index parked_events_once on parked_events (source, stream_id, seq, event_id) where stream_id is not null;
create unique index parked_events_quarantined_once on parked_events (topic, part, place) where stream_id is null;

create table timers (
  stream_id uuid not null,
  kind text not null,
  ref uuid not null,
  tenant text not null,
  due_at timestamptz not null,
  constraint timers_pk primary key (stream_id, kind, ref)
) with (autovacuum_vacuum_scale_factor = 0.02);

-- What falls due next.
create index timers_by_time on timers (due_at);

create table effects (
  key uuid not null,
  stream_id uuid not null,
  tenant text not null,
  kind text not null,
  about json not null,
  attempts integer not null default 0,
  due_at timestamptz not null default now(),
  done_at timestamptz,
  outcome text,
  constraint effects_pk primary key (key),
  constraint effects_are_done_with_an_outcome check ((done_at is null) = (outcome is null))
);

-- What is still to be done.
create index effects_waiting on effects (due_at) where done_at is null;

create table data_keys (
  subject_id uuid not null,
  tenant text not null,
  wrapped bytea not null,
  created_at timestamptz not null default now(),
  destroyed_at timestamptz,
  constraint data_keys_pk primary key (subject_id)
);

create table sealed (
  stream_id uuid not null,
  subject_id uuid not null,
  name text not null,
  tenant text not null,
  box bytea not null,
  constraint sealed_pk primary key (stream_id, subject_id, name)
);

create table horizon (
  source text not null,
  part integer not null,
  at timestamptz not null,
  constraint horizon_pk primary key (source, part)
);
