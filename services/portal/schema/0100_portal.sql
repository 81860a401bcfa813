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

-- Sign-ins under way, for ten minutes: what was asked of a provider, and then, sealed under a secret that only the
-- browser has, who the person is, until a session begins.
create table sign_ins (
  tenant text not null,
  state bytea not null,
  browser bytea not null,
  issuer text not null,
  nonce text not null,
  verifier text not null,
  level text not null,
  again boolean not null,
  return_path text not null,
  identity bytea,
  begun_at timestamptz not null,
  constraint sign_ins_pk primary key (tenant, state),
  constraint sign_ins_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint sign_ins_secrets_are_digests check (length(state) = 32 and length(browser) = 32)
);

-- The sign-ins of one browser, and those whose time is over, which the next one deletes.
create index sign_ins_by_browser on sign_ins (tenant, browser);
create index sign_ins_by_age on sign_ins (tenant, begun_at);

-- Sessions, under the digest of the browser's secret: who acts in which role, how sure that is, and until when.
create table sessions (
  tenant text not null,
  secret bytea not null,
  session_id uuid not null,
  account_id uuid not null,
  membership_id uuid,
  role text not null,
  sub uuid not null,
  department_id uuid,
  organisation_id uuid,
  assurance text not null,
  method text not null,
  issuer text not null,
  provider_session bytea,
  browser text not null,
  proven_at timestamptz not null,
  begun_at timestamptz not null,
  seen_at timestamptz not null,
  ends_at timestamptz not null,
  sealed_name bytea, -- what the holder is called, encrypted under the session's own secret
  constraint sessions_pk primary key (tenant, secret),
  constraint sessions_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint sessions_secret_is_a_digest check (length(secret) = 32)
);

-- A session by its id, and those of one account, for its owner.
create unique index sessions_by_id on sessions (tenant, session_id);
create index sessions_by_account on sessions (tenant, account_id);
-- The sessions whose time is over, which the next sign-in deletes.
create index sessions_by_end on sessions (tenant, ends_at);
-- The sessions of a session at a provider, which ends them.
create index sessions_by_provider on sessions (tenant, provider_session) where provider_session is not null;

alter table streams add constraint streams_are_of_the_portal check (kind in ('case', 'account'));
