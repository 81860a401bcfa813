-- What inboxes list and figures count. The truth about a notice stands in its case's stream.

create table notices (
  tenant text not null,
  notice_id uuid not null,
  case_id uuid not null,
  recipient_id uuid not null,
  role text not null,
  kind text not null,
  at timestamptz not null,
  codes jsonb not null,
  mail text not null,
  read_at timestamptz,
  shown boolean not null,
  constraint notices_pk primary key (tenant, notice_id),
  constraint notices_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint notices_role_is_known check (role in ('caseworker', 'colleague', 'leader', 'coordinator', 'family')),
  constraint notices_mail_is_known check (mail in ('queued', 'delivered', 'failed', 'inbox', 'spared'))
);

-- One recipient's inbox, newest first, page by page.
create index notices_by_recipient on notices (tenant, recipient_id, role, at desc, notice_id desc) where shown;

-- How many notices of an inbox are unread.
create index notices_unread on notices (tenant, recipient_id, role) where shown and read_at is null;

-- The figures of a municipality: notices by kind and mails by how they went.
create index notices_by_kind on notices (tenant, kind, mail);

-- The mails that were refused for good, the latest first, for operators.
create index notices_refused on notices (tenant, at desc, notice_id) where mail = 'failed';

-- Which stream says how a recipient is reached: its id is random, and known here only.
create table contacts (
  tenant text not null,
  recipient_id uuid not null,
  contact_id uuid not null,
  constraint contacts_pk primary key (tenant, recipient_id),
  constraint contacts_tenant_is_a_code check (tenant ~ '^[0-9]{4}$')
);

alter table streams add constraint streams_hold_a_case_a_recipient_or_parties
  check (kind in ('case', 'recipient', 'parties'));
