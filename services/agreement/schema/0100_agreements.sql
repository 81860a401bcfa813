-- Projections of the agreement service for lists and figures; the truth is the document in streams.

alter table streams add constraint streams_hold_cases check (kind in ('case'));

create table agreements (
  tenant text not null,
  agreement_id uuid not null,
  case_id uuid not null,
  organisation_id uuid not null,
  status text not null,
  invited_on date not null,
  held_on date,
  in_force_on date,
  ended_on date,
  reason text,
  updates integer not null,
  updates_on_time integer not null,
  updates_missed integer not null,
  constraint agreements_pk primary key (tenant, agreement_id),
  constraint agreements_have_a_status check (status in ('invited', 'met', 'proposed', 'in_force', 'ended')),
  constraint agreements_end_with_a_reason check ((status = 'ended') = (reason is not null and ended_on is not null)),
  constraint agreements_count_updates check (updates_on_time between 0 and updates and updates_missed >= 0)
);

-- The figures of one municipality, by status.
create index agreements_by_status on agreements (tenant, status);

create table goals (
  tenant text not null,
  goal_id uuid not null,
  case_id uuid not null,
  agreement_id uuid not null,
  purpose text not null,
  attainment text,
  constraint goals_pk primary key (tenant, case_id, agreement_id, goal_id)
);

-- The figures of one municipality, by purpose of its model.
create index goals_by_purpose on goals (tenant, purpose);

create table work_items (
  tenant text not null,
  role text not null,
  owner_id uuid not null,
  case_id uuid not null,
  agreement_id uuid not null,
  about uuid not null,
  model text not null,
  what text not null,
  shown_from date not null,
  due_on date,
  until timestamptz,
  constraint work_items_pk primary key (tenant, case_id, about, what, role, owner_id),
  constraint work_items_of_organisations_end_with_the_consent check (role <> 'coordinator' or until is not null)
) with (autovacuum_vacuum_scale_factor = 0.02);

-- One person's, department's or organisation's list, the most urgent first.
create index work_items_by_owner on work_items (tenant, role, owner_id, due_on);
