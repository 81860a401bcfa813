-- The child of each case and who may be asked in it: for a person's own list, and for which ids were given to
-- a municipality. What they were asked stands in the case itself.

create table persons (
  tenant text not null,
  person_id uuid not null,
  case_id uuid not null,
  constraint persons_pk primary key (tenant, person_id, case_id),
  constraint persons_tenant_is_a_code check (tenant ~ '^[0-9]{4}$')
);

alter table streams add constraint streams_are_cases check (kind = 'case');
