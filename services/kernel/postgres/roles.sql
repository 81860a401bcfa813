-- The roles of one service and their rights, to be run by a superuser as often as wanted.
-- Before it: set samspil.service, for instance to 'referral'.
--
-- samspil_<service>_owner     owns the schema and everything in it; no login of its own
-- samspil_<service>_migrator  logs in to change the schema, and acts as the owner
-- samspil_<service>           logs in for the consumer, the relay, timers, effects and operations, never for a request:
--                             it sees every municipality, changes rows, and only adds to append-only tables
-- samspil_<service>_api       logs in for requests: it sees one municipality, which each transaction names
-- samspil_<service>_reader    reads what is not sealed, of the municipality that it names; no login of its own,
--                             people are made members for a time
--
-- A table is append-only where its comment begins with that word.

do $$
declare
  service constant text := current_setting('samspil.service');
  kept_from_readers constant text[] :=
    array['sealed', 'data_keys', 'internal_keys', 'idempotency_keys', 'parked_events', 'access_streams'];
  -- What a request needs of the kernel's tables; of those that are not named here, nothing. Of a parked event it sees
  -- what an operator may be shown, never its body.
  api_rights constant jsonb := '{
    "streams": "select, insert, update",
    "event_log": "insert, select (id, tenant)",
    "pending": "insert, select (ids)",
    "idempotency_keys": "select, insert",
    "timers": "select, insert, update, delete",
    "effects": "select, insert",
    "data_keys": "select, insert",
    "internal_keys": "select, insert",
    "access_streams": "select, insert",
    "sealed": "select, insert, update",
    "revocations": "select, insert, update",
    "parked_events": "select (id, tenant, stream_id, source, seq, event_id, type, topic, kafka_partition, kafka_offset, reason, attempts, parked_at, drop_why, drop_by, drop_at), update (drop_why, drop_by, drop_at)",
    "consent_watermarks": "", "timelines": "", "migrations": ""
  }';
  api_functions constant text[] :=
    array['conflict()', 'split_column(text)', 'register_timeline()', 'watermarks_of(text, text)'];
  -- The trail shows an auditor what has arrived and waits, of the municipality that the transaction names.
  audit_rights constant jsonb := '{"parked_events": "select"}';
  audit_functions constant text[] := array['parked_without_tenant()'];
  works constant text := 'samspil_' || service;
  api constant text := works || '_api';
  owner constant text := works || '_owner';
  migrator constant text := works || '_migrator';
  reader constant text := works || '_reader';
  name text;
  root text;
  rights text;
begin
  foreach name in array array[owner, migrator, works, api, reader] loop
    if not exists (select from pg_roles where rolname = name) then
      execute format('create role %I', name);
    end if;
    execute format('alter role %I nosuperuser nocreatedb nocreaterole noreplication nobypassrls', name);
  end loop;
  foreach name in array array[migrator, works, api] loop
    execute format('alter role %I login', name);
  end loop;
  -- Who serves requests can become nobody else.
  for name in
    select m.roleid::regrole::text from pg_auth_members m where m.member::regrole = quote_ident(api)::regrole
  loop
    execute format('revoke %s from %I', name, api);
  end loop;
  execute format('grant %I to %I', owner, migrator);
  execute format('alter role %I set role = %L', migrator, owner);
  -- So that the owner's function can return how long anybody's transaction has been open; who works gets the number only.
  execute format('grant pg_read_all_stats to %I', owner);

  -- The database is for our roles only, and only owners make anything new in it.
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to %I, %I, %I, %I', current_database(), migrator, works, api, reader);
  -- "create schema if not exists" needs this right even where the schema exists.
  execute format('grant create on database %I to %I', current_database(), owner);
  revoke all on schema public from public;

  execute format('create schema if not exists %I', service);
  execute format('alter schema %I owner to %I', service, owner);
  execute format('revoke all on schema %I from public', service);
  execute format('grant usage on schema %I to %I, %I, %I', service, works, api, reader);

  -- What the owner makes from now on: rows may be added and read until this file is run again, but not by requests.
  execute format('alter default privileges for role %I revoke execute on functions from public', owner);
  execute format('alter default privileges for role %I in schema %I grant select, insert on tables to %I', owner, service, works);
  execute format('alter default privileges for role %I in schema %I grant usage on sequences to %I', owner, service, works);
  execute format('alter default privileges for role %I in schema %I grant execute on functions to %I', owner, service, works);

  -- What is there: rows may be changed too, but for the append-only tables, their partitions and the migrations.
  -- Requests have no right on a partition: they reach its rows through the table that it is part of.
  for name, root, rights in
    select c.relname, r.relname,
           case when r.relname = 'migrations' then 'select'
                when obj_description(r.oid, 'pg_class') ~ '^append-only' then 'select, insert'
                else 'select, insert, update, delete'
           end
      from pg_class c
      join pg_class r on r.oid = coalesce(pg_partition_root(c.oid), c.oid)
     where c.relnamespace = service::regnamespace and c.relkind in ('r', 'p')
  loop
    execute format('revoke all on %I.%I from public, %I, %I, %I', service, name, works, api, reader);
    execute format('grant %s on %I.%I to %I', rights, service, name, works);
    rights := case when name = root then coalesce(api_rights ->> name, rights) else '' end;
    if service = 'audit' then
      rights := coalesce(audit_rights ->> name, rights);
    end if;
    if rights <> '' then
      execute format('grant %s on %I.%I to %I', rights, service, name, api);
    end if;
    if name <> all (kept_from_readers) then
      execute format('grant select on %I.%I to %I', service, name, reader);
    end if;
  end loop;
  execute format('grant usage on all sequences in schema %I to %I', service, works);
  execute format('revoke all on all sequences in schema %I from %I', service, api);
  execute format('revoke execute on all functions in schema %I from public, %I', service, api);
  execute format('grant execute on all functions in schema %I to %I', service, works);
  if to_regclass(format('%I.event_log_id', service)) is not null then
    execute format('grant usage on sequence %I.event_log_id to %I', service, api);
    foreach name in array api_functions loop
      execute format('grant execute on function %I.%s to %I', service, name, api);
    end loop;
    if service = 'audit' then
      foreach name in array audit_functions loop
        execute format('grant execute on function %I.%s to %I', service, name, api);
      end loop;
    end if;
    execute format('select %I.isolate_tenants()', service);
  end if;
end
$$;
