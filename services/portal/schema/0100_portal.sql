-- What pages list: a line for each case, and what has happened in it. Ids, codes and dates only.

create table lines (
  tenant text not null,
  case_id uuid not null,
  department_id uuid,
  caseworker_id uuid,
  closed boolean not null,
  changed_at timestamptz,
  constraint lines_pk primary key (tenant, case_id),
  constraint lines_tenant_is_a_code check (tenant ~ '^[0-9]{4}$')
);

-- The cases of a department, the latest changed first.
create index lines_by_department on lines (tenant, department_id, changed_at desc, case_id);

create table timeline (
  tenant text not null,
  case_id uuid not null,
  at timestamptz not null,
  type text not null,
  role text not null,
  about text not null,
  constraint timeline_pk primary key (tenant, case_id, at, type, about, role),
  constraint timeline_tenant_is_a_code check (tenant ~ '^[0-9]{4}$')
);

alter table streams add constraint streams_hold_a_case check (kind = 'case');
