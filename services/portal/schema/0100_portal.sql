-- The portal: its streams hold cases as pages list them.

alter table streams add constraint streams_hold_a_case check (kind = 'case');
