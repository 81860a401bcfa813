-- A database that was restored to an earlier moment, or took another's place without its last commits, tells another
-- history from there on. PostgreSQL counts these as timelines of a cluster; here stands from which id of the log each
-- was told, so that whoever hears of an event can tell on which side of a fork it stands.

create table histories (
  cluster bigint not null,
  timeline text not null,
  first_id bigint not null,
  began bigint not null,
  constraint histories_pk primary key (cluster, timeline)
);

-- Begin a session: note the history that its events will belong to, and, where a standby must have every commit, wait
-- until it has all that can be read here. After a crash the first may show what it never answered to anybody.
create function enter_history() returns void
language plpgsql as $$
begin
  if pg_is_in_recovery() then
    raise exception 'this server only follows another' using errcode = '25006';
  end if;
  insert into histories (cluster, timeline, first_id, began)
  select c.system_identifier, t.timeline, nextval('event_log_id'),
         greatest((extract(epoch from clock_timestamp()) * 1000)::bigint, (select max(began) + 1 from histories))
  from pg_control_system() c, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as t (timeline)
  where not exists (select from histories h where h.cluster = c.system_identifier and h.timeline = t.timeline)
  on conflict do nothing;
  if current_setting('synchronous_standby_names') <> '' then
    if current_setting('synchronous_commit') in ('off', 'local') then
      perform set_config('synchronous_commit', 'on', true);  -- for this one commit: the relay's waits for none
    end if;
    perform pg_logical_emit_message(true, 'samspil', '');
  end if;
end
$$;
