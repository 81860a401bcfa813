-- The roles of one service and their rights, to be run by a superuser as often as wanted.
-- Before it: set samspil.service, for instance to 'referral', and samspil.append_only, for instance to 'event_log'.
--
-- samspil_<service>_owner     owns the schema and everything in it; no login of its own
-- samspil_<service>_migrator  logs in to change the schema, and acts as the owner
-- samspil_<service>           logs in to work: it reads and writes rows, and only adds to append-only tables
-- samspil_<service>_reader    reads what is not sealed; no login of its own, people are made members for a time

do $$
declare
  service constant text := current_setting('samspil.service');
  append_only constant text[] := string_to_array(current_setting('samspil.append_only'), ',');
  kept_from_readers constant text[] := array[
    'sealed', 'data_keys', 'internal_keys', 'access_streams', 'idempotency_keys', 'parked_events'
  ];
  works constant text := 'samspil_' || service;
  owner constant text := works || '_owner';
  migrator constant text := works || '_migrator';
  reader constant text := works || '_reader';
  name text;
  rights text;
begin
  foreach name in array array[owner, migrator, works, reader] loop
    if not exists (select from pg_roles where rolname = name) then
      execute format('create role %I', name);
    end if;
  end loop;
  execute format('alter role %I login', migrator);
  execute format('alter role %I login', works);
  execute format('grant %I to %I', owner, migrator);
  execute format('alter role %I set role = %L', migrator, owner);
  -- So that the owner's function can return how long anybody's transaction has been open; who works gets the number only.
  execute format('grant pg_read_all_stats to %I', owner);

  -- The database is for our roles only, and only owners make anything new in it.
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to %I, %I, %I', current_database(), migrator, works, reader);
  -- "create schema if not exists" needs this right even where the schema exists.
  execute format('grant create on database %I to %I', current_database(), owner);
  revoke all on schema public from public;

  execute format('create schema if not exists %I', service);
  execute format('alter schema %I owner to %I', service, owner);
  execute format('revoke all on schema %I from public', service);
  execute format('grant usage on schema %I to %I, %I', service, works, reader);

  -- What the owner makes from now on: rows may be added and read until this file is run again.
  execute format('alter default privileges for role %I revoke execute on functions from public', owner);
  execute format('alter default privileges for role %I in schema %I grant select, insert on tables to %I', owner, service, works);
  execute format('alter default privileges for role %I in schema %I grant usage on sequences to %I', owner, service, works);
  execute format('alter default privileges for role %I in schema %I grant execute on functions to %I', owner, service, works);

  -- What is there: rows may be changed too, but for the append-only tables, their partitions and the migrations.
  for name, rights in
    select c.relname,
           case when r.relname = 'migrations' then 'select'
                when r.relname = any (append_only) then 'select, insert'
                else 'select, insert, update, delete'
           end
      from pg_class c
      join pg_class r on r.oid = coalesce(pg_partition_root(c.oid), c.oid)
     where c.relnamespace = service::regnamespace and c.relkind in ('r', 'p')
  loop
    execute format('revoke all on %I.%I from public, %I, %I', service, name, works, reader);
    execute format('grant %s on %I.%I to %I', rights, service, name, works);
    if name <> all (kept_from_readers) then
      execute format('grant select on %I.%I to %I', service, name, reader);
    end if;
  end loop;
  execute format('grant usage on all sequences in schema %I to %I', service, works);
  execute format('revoke execute on all functions in schema %I from public', service);
  execute format('grant execute on all functions in schema %I to %I', service, works);
end
$$;
