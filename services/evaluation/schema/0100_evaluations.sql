-- Projections of the evaluation service for lists and figures; the truth is the document in streams.

alter table streams add constraint streams_hold_cases check (kind in ('case'));

create table outcomes (
  tenant text not null,
  agreement_id uuid not null,
  dimension text not null,
  moment text not null,
  case_id uuid not null,
  change text not null,
  model text not null,
  counts_from date not null,
  constraint outcomes_pk primary key (tenant, agreement_id, dimension, moment),
  constraint outcomes_compare_with_the_start check (moment in ('end', 'after')),
  constraint outcomes_are_changes check (change in ('better', 'same', 'worse', 'missing'))
);

-- The outcomes of one municipality at one moment, by dimension.
create index outcomes_by_moment on outcomes (tenant, moment, dimension);

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
