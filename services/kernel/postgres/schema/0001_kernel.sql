-- Tables and functions that every service has. A service's own tables follow in files from 0100 on.

-- Version conflict: called by a statement that found a stream changed since it was read.
create function conflict() returns bigint
language plpgsql as $$
begin
  raise exception 'a stream has changed since it was read' using errcode = '40001';
end
$$;

-- The values of a column that was sent as one text (see streams/columns.py).
create function split_column(joined text) returns text[]
language sql immutable parallel safe
return string_to_array(joined, e'\x1e', e'\x1d');

-- A stream is named by its municipality and its id: the same id in another municipality is another stream.
create table streams (
  tenant text not null,
  stream_id uuid not null,
  version bigint not null,
  seq bigint not null,
  -- An event of this stream is parked: further events wait behind it.
  halted boolean not null default false,
  -- High-water marks: by source the last sequence that was applied, with the id of its event.
  marks jsonb not null,
  -- By person and name of each private value the version of the stream at which it was written: an older ciphertext
  -- that is put back does not decrypt.
  seals jsonb,
  -- A state is read and written whole, by its service alone; its kind stands beside it for each service's own check.
  kind text,
  state text,
  changed_at timestamptz not null default now(),
  constraint streams_pk primary key (tenant, stream_id),
  constraint streams_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint streams_counts_up check (version > 0 and seq >= 0)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

-- The halted streams, for the operator's list and for readiness.
create index streams_halted on streams (tenant, stream_id) where halted;

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
  constraint event_log_pk primary key (created_on, id, tenant),
  constraint event_log_counts_once unique (tenant, stream_id, seq, created_on)
) partition by range (created_on);

create table event_log_rest partition of event_log default;

-- One row a municipality and save; the relay reads them in the order of the log.
create table pending (
  first_id bigint not null,
  tenant text not null,
  created_on date not null default current_date,
  ids bigint[] not null,
  queued_at timestamptz not null default now(),
  constraint pending_pk primary key (first_id, tenant)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

create table idempotency_keys (
  tenant text not null,
  actor uuid not null,
  -- The keyed digest of what the client named: its words are not kept.
  key bytea not null,
  request_digest bytea not null,
  answer json not null,
  created_at timestamptz not null default now(),
  constraint idempotency_keys_pk primary key (tenant, actor, key),
  constraint idempotency_keys_key_is_a_digest check (length(key) = 32)
);

-- Expired keys are deleted by age.
create index idempotency_keys_by_age on idempotency_keys (created_at);

-- The tenant of an unreadable record is what its header says; '' where nobody knows whose it is.
create table parked_events (
  id bigint generated always as identity,
  tenant text not null,
  stream_id uuid,
  source text,
  seq bigint,
  event_id uuid,
  type text,
  topic text not null,
  kafka_partition integer not null,
  kafka_offset bigint not null,
  key bytea,
  headers json not null,
  value bytea,
  reason text not null,
  detail text not null default '',
  attempts integer not null default 1,
  parked_at timestamptz not null default now(),
  -- An operator has proposed to discard it; another one confirms.
  drop_why text,
  drop_by uuid,
  drop_at timestamptz,
  constraint parked_events_drop_is_proposed_whole check (num_nulls(drop_why, drop_by, drop_at) in (0, 3)),
  constraint parked_events_pk primary key (tenant, id),
  constraint parked_events_tenant_is_a_code check (tenant ~ '^([0-9]{4})?$'),
  constraint parked_events_of_a_stream_have_a_tenant check (stream_id is null or tenant <> '')
);

-- An operator names a row by its number alone.
create index parked_events_by_number on parked_events (id);

-- One row an event, however often it is delivered.
create unique index parked_events_once on parked_events (tenant, stream_id, source, seq, event_id)
  where stream_id is not null;
create unique index parked_events_quarantined_once on parked_events (tenant, topic, kafka_partition, kafka_offset)
  where stream_id is null;

create table timers (
  tenant text not null,
  stream_id uuid not null,
  kind text not null,
  ref uuid not null,
  due_at timestamptz not null,
  constraint timers_pk primary key (tenant, stream_id, kind, ref)
) with (autovacuum_vacuum_scale_factor = 0.02);

-- The timers that fall due next.
create index timers_by_time on timers (due_at);

create table effects (
  tenant text not null,
  key uuid not null,
  stream_id uuid not null,
  kind text not null,
  about json not null,
  attempts integer not null default 0,
  created_at timestamptz not null default now(),
  due_at timestamptz not null default now(),
  done_at timestamptz,
  outcome text,
  -- The worker that holds the lease; it may claim again without a pause when its own lease has expired.
  worker uuid,
  constraint effects_pk primary key (tenant, key),
  constraint effects_are_done_with_an_outcome check ((done_at is null) = (outcome is null))
);

-- The effects that are still to be performed.
create index effects_waiting on effects (due_at) where done_at is null;

-- The data keys of a person in one municipality, wrapped by that municipality's key. One of them encrypts; those that
-- a rotation has retired decrypt only, until nothing is left under them.
create table data_keys (
  tenant text not null,
  subject_id uuid not null,
  number integer not null default 1,
  wrapped bytea not null,
  created_at timestamptz not null default now(),
  retired_at timestamptz,
  destroyed_at timestamptz,
  constraint data_keys_pk primary key (tenant, subject_id, number)
);

-- A person has one key that encrypts.
create unique index data_keys_current on data_keys (tenant, subject_id) where retired_at is null;
-- The keys of rotations that were not finished.
create index data_keys_retired on data_keys (tenant, subject_id) where retired_at is not null;

-- A municipality's keys that belong to no person, by what they are for.
create table internal_keys (
  tenant text not null,
  purpose text not null,
  wrapped bytea not null,
  created_at timestamptz not null default now(),
  constraint internal_keys_pk primary key (tenant, purpose)
);

create table sealed (
  tenant text not null,
  stream_id uuid not null,
  subject_id uuid not null,
  name text not null,
  -- The data key of the person that it is encrypted under.
  key_number integer not null,
  ciphertext bytea not null,
  constraint sealed_pk primary key (tenant, stream_id, subject_id, name)
);

-- Everything that is encrypted under a person's keys, for their rotation.
create index sealed_by_person on sealed (tenant, subject_id);

-- The stream that records the accesses and denials of one person, under a random id.
create table access_streams (
  tenant text not null,
  actor_id uuid not null,
  stream_id uuid not null,
  constraint access_streams_pk primary key (tenant, actor_id)
);

-- Persons, by id, and tokens, by the SHA-256 of theirs, that a municipality lets in no more; each process of a service
-- reads them every few seconds.
create table revocations (
  tenant text not null,
  subject text not null,
  revoked boolean not null,
  changed_at timestamptz not null,
  constraint revocations_pk primary key (tenant, subject),
  constraint revocations_tenant_is_a_code check (tenant ~ '^[0-9]{4}$')
);

create table consent_watermarks (
  source text not null,
  kafka_partition integer not null,
  watermark_at timestamptz not null,
  constraint consent_watermarks_pk primary key (source, kafka_partition)
);

-- Create the event log's partitions. The owner of the schema owns them; a service calls this function.
-- Concurrent calls are serialised, and a day whose events already lie in the default partition stays there.
-- Partitions are attached, not created in place, so that no writer of the log has to wait.
create function make_event_log_partitions(days integer) returns void
language plpgsql security definer set search_path from current as $$
declare
  day date;
  part text;
begin
  perform pg_advisory_xact_lock(hashtextextended('event_log partitions of ' || current_schema(), 0));
  for day in select generate_series(current_date - 1, current_date + days, interval '1 day')::date loop
    part := 'event_log_' || to_char(day, 'YYYYMMDD');
    if to_regclass(part) is null then
      begin
        execute format('create table %I (like event_log including all)', part);
        perform isolate_tenants_of(part::regclass);
        execute format('alter table event_log attach partition %I for values from (%L) to (%L)', part, day, day + 1);
      exception when check_violation then
        raise notice 'events of % lie in event_log_rest', day;
      end;
    end if;
  end loop;
end
$$;

-- Drop the oldest days of the log as whole partitions. Days of the last month are never dropped, whatever the
-- argument, nor days with pending events; the wait for another's lock on the log is bounded.
create function drop_event_log_partitions(before date) returns integer
language plpgsql security definer set search_path from current set lock_timeout = '2s' as $$
declare
  day date;
  part text;
  dropped integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('event_log partitions of ' || current_schema(), 0));
  for part, day in
    select c.relname, to_date(right(c.relname, 8), 'YYYYMMDD')
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'event_log'::regclass and c.relname ~ '^event_log_[0-9]{8}$'
      and to_date(right(c.relname, 8), 'YYYYMMDD') < least(before, current_date - 30)
    order by 2 limit 31
  loop
    -- A republish reads the log before it queues: with this lock held every event it has queued is visible.
    lock table event_log in access exclusive mode;
    exit when exists (select from pending where created_on <= day);
    execute format('drop table %I', part);
    dropped := dropped + 1;
  end loop;
  return dropped;
end
$$;

-- Age of the oldest open transaction of any session; only the number is shown to the caller (roles.sql).
create function oldest_transaction_seconds() returns double precision
language sql stable security definer set search_path = pg_catalog
return (
  select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)
  from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
);

-- Timelines of the event log. A database that was restored to an earlier moment, or a standby that was promoted
-- without the last commits, writes another log from there on. PostgreSQL counts these as timelines of a cluster; this
-- table keeps the log id at which each began, so that a consumer can tell on which side of a fork an event was written.
create table timelines (
  cluster bigint not null,
  timeline text not null,
  first_id bigint not null,
  started_ms bigint not null,
  acknowledged_at timestamptz,
  constraint timelines_pk primary key (cluster, timeline)
);

-- Begin a session: register the timeline of its events and, where a standby must have every commit, wait until it has
-- all that can be read here. After a crash a primary may show commits that it never confirmed.
-- It runs as the owner: a request's role may begin a session, and not write a timeline of its own making.
create function register_timeline() returns void
language plpgsql security definer set search_path from current as $$
begin
  if pg_is_in_recovery() then
    raise exception 'this server is a standby' using errcode = '25006';
  end if;
  insert into timelines (cluster, timeline, first_id, started_ms)
  select c.system_identifier, t.timeline, nextval('event_log_id'),
         greatest((extract(epoch from clock_timestamp()) * 1000)::bigint, (select max(started_ms) + 1 from timelines))
  from pg_control_system() c, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as t (timeline)
  where not exists (select from timelines o where o.cluster = c.system_identifier and o.timeline = t.timeline)
  on conflict do nothing;
  if current_setting('synchronous_standby_names') <> '' then
    if current_setting('synchronous_commit') in ('off', 'local') then
      perform set_config('synchronous_commit', 'on', true);  -- for this one commit: the relay's waits for none
    end if;
    perform pg_logical_emit_message(true, 'samspil', '');
  end if;
end
$$;

-- How many later timelines no operator has acknowledged; the first one follows none.
create function unacknowledged_timelines() returns bigint
language sql stable as $$
  select count(*) from timelines where acknowledged_at is null and first_id > (select min(first_id) from timelines)
$$;

comment on table event_log is 'append-only: the service''s own events';

-- Row-level security. A table with the column `tenant`, and each partition of one, shows and takes rows of the one
-- municipality that samspil.tenant names, which a request's transaction sets; where none is set, there are no rows.
-- The setting stands in a scalar subquery, so that it is read once a statement. All rows are seen by the owner, as whom
-- the functions with `security definer` run, and by the service's own role, as which no request logs in (roles.sql).
create function isolate_tenants_of(one regclass) returns void
language plpgsql set search_path from current as $$
declare
  works constant text := 'samspil_' || current_schema();
  owner constant text := (select pg_get_userbyid(relowner) from pg_class where oid = one);
  seer text;
begin
  if exists (select from pg_class where oid = one and not (relrowsecurity and relforcerowsecurity)) then
    execute format('alter table %s enable row level security, force row level security', one);
  end if;
  if not exists (select from pg_policy where polrelid = one and polname = 'one_tenant') then
    execute format(
      'create policy one_tenant on %s using (tenant = (select current_setting(''samspil.tenant'', true)))'
      ' with check (tenant = (select current_setting(''samspil.tenant'', true)))', one);
  end if;
  for seer in select rolname from pg_roles where rolname in (works, owner) loop
    if not exists (select from pg_policy where polrelid = one and polname = 'all_tenants_of_' || seer) then
      execute format('create policy %I on %s to %I using (true) with check (true)', 'all_tenants_of_' || seer, one, seer);
    end if;
  end loop;
end
$$;

-- Switch row-level security on for every table that has rows of municipalities. Run after each migration.
create function isolate_tenants() returns void
language sql set search_path from current as $$
  select isolate_tenants_of(c.oid::regclass) from pg_class c
  where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
    and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant' and not a.attisdropped)
$$;

-- The consent watermarks by partition, with the municipalities that sent an unreadable record there ('' where nobody
-- knows which): it may have withdrawn any consent. It runs as the owner, for a request's role sees no watermark; in
-- the transaction of a municipality it returns no other.
create function watermarks_of(of_source text, of_topic text)
returns table (kafka_partition integer, watermark_at timestamptz, unreadable_of text[])
language sql stable security definer set search_path from current as $$
  select w.kafka_partition, w.watermark_at, array(
    select distinct q.tenant from parked_events q
    where q.stream_id is null and q.topic = of_topic and q.kafka_partition = w.kafka_partition
      and q.tenant in ('', coalesce(nullif(current_setting('samspil.tenant', true), ''), q.tenant))
  )
  from consent_watermarks w where w.source = of_source
$$;
