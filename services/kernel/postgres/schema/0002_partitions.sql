-- The owner makes the event log's partitions; a service, which owns nothing, only asks for it.

create function make_event_log_partitions(days integer) returns void
language plpgsql security definer set search_path from current as $$
declare
  day date;
begin
  for day in select generate_series(current_date - 1, current_date + days, interval '1 day')::date loop
    if to_regclass('event_log_' || to_char(day, 'YYYYMMDD')) is null then
      execute format(
        'create table %I partition of event_log for values from (%L) to (%L)',
        'event_log_' || to_char(day, 'YYYYMMDD'), day, day + 1
      );
    end if;
  end loop;
end
$$;
