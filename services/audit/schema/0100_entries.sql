-- The trail: one row for each event of any service, under its municipality, source, stream and sequence.

create table entries (
  tenant text not null,
  case_id uuid not null,
  stream_id uuid not null,
  source text not null,
  seq bigint not null,
  event_id uuid not null,
  type text not null,
  at timestamptz not null,
  actor uuid not null,
  role text not null,
  what text[] not null,
  purpose text,
  slug text,
  times integer not null default 1,
  correlation uuid not null,
  causation uuid not null,
  -- The trace of the request that began the chain (W3C), for operators; null where none was sampled.
  trace_id text,
  constraint entries_pk primary key (tenant, source, stream_id, seq),
  constraint entries_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint entries_count_from_one check (seq >= 1)
);

comment on table entries is 'append-only: the trail';

-- The trail of one case, page by page.
create index entries_by_case on entries (tenant, case_id, at, event_id);

-- What one person has done.
create index entries_by_actor on entries (tenant, actor, at, event_id);

-- All that happened of one type.
create index entries_by_type on entries (tenant, type, at, event_id);

-- All that happened in a time.
create index entries_by_time on entries (tenant, at, event_id);

create function entries_stay() returns trigger
language plpgsql as $$
begin
  raise exception 'the trail is added to, never changed' using errcode = '42501';
end
$$;

create trigger entries_stay before update or delete or truncate on entries
  for each statement execute function entries_stay();

-- How many parked events name no municipality: any municipality's trail may lack them. Only their number is shown.
create function parked_without_tenant() returns bigint
language sql stable security definer set search_path from current as $$
  select count(*) from parked_events where coalesce(tenant, '') = ''
$$;

-- Who holds parental responsibility in a case, and the young person: they may see who has looked.
create table families (
  tenant text not null,
  case_id uuid not null,
  seq bigint not null,
  persons uuid[] not null,
  constraint families_pk primary key (tenant, case_id),
  constraint families_tenant_is_a_code check (tenant ~ '^[0-9]{4}$')
);

alter table streams add constraint streams_hold_a_trail check (kind = 'trail');
