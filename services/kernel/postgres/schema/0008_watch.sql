-- What an operator watches: since when a side effect waits, and how long anybody's transaction has been open.

alter table effects add column made_at timestamptz not null default now();

-- One number about everybody's sessions; their texts stay with the owner, who may be let see them (roles.sql).
create function oldest_transaction_seconds() returns double precision
language sql stable security definer set search_path = pg_catalog
return (
  select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)
  from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
);
