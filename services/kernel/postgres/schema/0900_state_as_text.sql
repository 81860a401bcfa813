-- A state is read and written whole, by its service alone. As jsonb it was taken apart by PostgreSQL at each save
-- and put together at each read, which was more than half of what keeping a stream cost. What kind of document it
-- is stands beside it, where each service's own check finds it.

alter table streams add column kind text;
update streams set kind = state ->> 'kind';

do $$
declare
  known record;
begin
  for known in
    select conname as name, pg_get_constraintdef(oid) as rule from pg_constraint
    where conrelid = 'streams'::regclass and contype = 'c' and pg_get_constraintdef(oid) like '%state ->>%'
  loop
    execute format('alter table streams drop constraint %I', known.name);
    execute format(
      'alter table streams add constraint %I %s', known.name, replace(known.rule, '(state ->> ''kind''::text)', 'kind')
    );
  end loop;
end
$$;

alter table streams alter column state type text using state::text;
