-- Projections of cases and referrals for lists and figures. The system of record is the document in `streams`.

alter table streams add constraint streams_kind_is_a_state
  check (kind in ('expected', 'case', 'offer', 'organisation', 'municipality'));

create table cases (
  tenant text not null,
  case_id uuid not null,
  child_id uuid not null,
  department_id uuid not null,
  status text not null,
  reason text not null default '',
  opened_at timestamptz not null,
  constraint cases_pk primary key (tenant, case_id),
  constraint cases_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint cases_status_is_listed
    check (status in ('opened', 'views_noted', 'eligible', 'not_eligible', 'closed')),
  constraint cases_close_with_a_reason check ((status = 'closed') = (reason <> ''))
);

-- A department's list, newest case first, read in parts; its first column also serves the figures of a municipality.
create index cases_by_department on cases (tenant, department_id, case_id desc);

-- Whether a child that a caseworker names has had a case in the municipality.
create index cases_by_child on cases (tenant, child_id);

create table referrals (
  tenant text not null,
  referral_id uuid not null,
  case_id uuid not null,
  organisation_id uuid not null,
  offer_id uuid not null,
  status text not null,
  reason text not null default '',
  due_on date,
  consent_until timestamptz,
  in_time boolean,
  drafted_at timestamptz,
  awaited_at timestamptz,
  ready_at timestamptz,
  sent_at timestamptz,
  seen_at timestamptz,
  answered_at timestamptz,
  under_way_at timestamptz,
  over_at timestamptz,
  deleted_at timestamptz,
  constraint referrals_pk primary key (tenant, referral_id),
  constraint referrals_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint referrals_status_is_a_state check (status in (
    'drafted', 'awaiting_consent', 'ready', 'sent', 'seen', 'accepted', 'under_way',
    'closed', 'declined', 'recalled', 'withdrawn', 'expired')),
  constraint referrals_end_with_a_reason check (
    (status in ('closed', 'declined', 'recalled', 'withdrawn', 'expired')) = (reason <> ''))
) with (fillfactor = 70);

-- No index holds a column that a step changes, so that each step is a heap-only update of its row.

-- The referrals beside each case of a department's list.
create index referrals_of_a_case on referrals (tenant, case_id, referral_id);

-- An organisation's inbox, read in parts; its first column also serves the figures of a municipality.
create index referrals_by_organisation on referrals (tenant, organisation_id, referral_id);
