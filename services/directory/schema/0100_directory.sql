-- The catalogue: who takes part, and what they offer. Names are those of associations, and public.

create table organisations (
  tenant text not null,
  organisation_id uuid not null,
  name text not null,
  sorts_as text collate "C" not null,
  number text not null,
  status text not null,
  joined_on date,
  left_on date,
  declaration_until date,
  version bigint not null,
  constraint organisations_pk primary key (tenant, organisation_id),
  constraint organisations_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint organisations_status_is_known check (status in ('joined', 'left')),
  constraint organisations_joined_on_a_day check ((status = 'joined') = (joined_on is not null)),
  constraint organisations_left_on_a_day check ((status = 'left') = (left_on is not null))
);

-- The list of those who take part, in the order of the Danish and Norwegian alphabet.
create index organisations_by_name on organisations (tenant, sorts_as, organisation_id);

create table offers (
  tenant text not null,
  offer_id uuid not null,
  organisation_id uuid not null,
  title text not null,
  sorts_as text collate "C" not null,
  theme text not null,
  format text not null,
  age_from integer not null,
  age_to integer not null,
  areas text[] not null,
  price text not null,
  places integer not null,
  as_of date not null,
  version bigint not null,
  constraint offers_pk primary key (tenant, offer_id),
  constraint offers_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint offers_ages_count_up check (0 <= age_from and age_from <= age_to),
  constraint offers_places_are_counted check (places >= 0)
);

-- The catalogue by theme, and an organisation's own offers.
create index offers_by_theme on offers (tenant, theme, sorts_as, offer_id);
create index offers_by_organisation on offers (tenant, organisation_id);

-- Who has an account, and by which roles. No name stands here: names are sealed in the account's stream.
create table accounts (
  tenant text not null,
  account_id uuid not null,
  kind text not null,
  opened_at timestamptz not null,
  opened_by uuid not null,
  version bigint not null,
  constraint accounts_pk primary key (tenant, account_id),
  constraint accounts_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint accounts_kind_is_known check (kind in ('account', 'machine'))
);

create table memberships (
  tenant text not null,
  membership_id uuid not null,
  account_id uuid not null,
  role text not null,
  department_id uuid,
  organisation_id uuid,
  person_id uuid,
  since date not null,
  until date,
  status text not null,
  constraint memberships_pk primary key (tenant, membership_id),
  constraint memberships_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint memberships_status_is_known check (status in ('running', 'ended')),
  constraint memberships_end_on_a_day check (status = 'running' or until is not null)
);

-- The roles of an account, at sign-in and in the list of accounts.
create index memberships_by_account on memberships (tenant, account_id);

-- By which account a person of a family signs in.
create index memberships_by_person on memberships (tenant, person_id) where person_id is not null;

-- Whose account an identity belongs to: its id is made from the keyed digest of what the sign-in service says.
create table identities (
  tenant text not null,
  identity_id uuid not null,
  account_id uuid not null,
  constraint identities_pk primary key (tenant, identity_id),
  constraint identities_tenant_is_a_code check (tenant ~ '^[0-9]{4}$')
);

-- Invitations, whose codes are kept as keyed digests alone.
create table invitations (
  tenant text not null,
  invitation_id uuid not null,
  account_id uuid not null,
  role text not null,
  department_id uuid,
  organisation_id uuid,
  person_id uuid,
  made_at timestamptz not null,
  made_by uuid not null,
  expires_on date not null,
  until date,
  status text not null,
  code_digest text not null,
  version bigint not null,
  constraint invitations_pk primary key (tenant, invitation_id),
  constraint invitations_tenant_is_a_code check (tenant ~ '^[0-9]{4}$'),
  constraint invitations_status_is_known check (status in ('open', 'used', 'lapsed', 'revoked'))
);

-- The invitation that a code belongs to.
create index invitations_by_code on invitations (tenant, code_digest);

-- The persons of families by the cases that name them, with the department whose caseworkers let them in.
create table people (
  tenant text not null,
  person_id uuid not null,
  case_id uuid not null,
  department_id uuid not null,
  constraint people_pk primary key (tenant, person_id, case_id),
  constraint people_tenant_is_a_code check (tenant ~ '^[0-9]{4}$')
);

alter table streams add constraint streams_are_of_the_directory
  check (kind in (
    'municipality', 'organisation', 'offer', 'account', 'machine', 'invitation', 'identity', 'person', 'case',
    'administrators', 'wrong_codes'
  ));
