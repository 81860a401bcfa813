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

alter table streams add constraint streams_are_of_the_directory
  check (kind in ('municipality', 'organisation', 'offer'));
