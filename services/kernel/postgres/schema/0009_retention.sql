-- The oldest days of the log go as whole partitions. Nobody, whatever they ask for, drops less than a month old
-- days, nor one of which something is still to be sent; who holds the log for longer is not waited for.

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
    -- Whoever queues events again reads the log first: after this lock all that they queued can be seen.
    lock table event_log in access exclusive mode;
    exit when exists (select from pending where created_on <= day);
    execute format('drop table %I', part);
    dropped := dropped + 1;
  end loop;
  return dropped;
end
$$;
