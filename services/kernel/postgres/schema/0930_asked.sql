-- When somebody asked, after a later history had begun, what the topic holds and the log has lost.

alter table histories add column asked_at timestamptz;

-- How many later histories there are of which nobody has asked; the first follows none.
create function unasked_histories() returns bigint
language sql stable as $$
  select count(*) from histories where asked_at is null and first_id > (select min(first_id) from histories)
$$;
