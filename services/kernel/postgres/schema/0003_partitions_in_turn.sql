-- Two who ask at once take turns, and a day whose events already lie in the rest stays there. Partitions are
-- attached, not created in place, so that nobody who writes the log must wait.

create or replace function make_event_log_partitions(days integer) returns void
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
        execute format('alter table event_log attach partition %I for values from (%L) to (%L)', part, day, day + 1);
      exception when check_violation then
        raise notice 'events of % lie in event_log_rest', day;
      end;
    end if;
  end loop;
end
$$;
