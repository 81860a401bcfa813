"""Projections of the catalogue: the tables of organisations and offers, and the queries on them."""

import unicodedata
from datetime import date
from typing import Any, Final, assert_never
from uuid import UUID

from services.directory.domain.states import Joined, Left, Membership, Offer, Organisation
from services.kernel.decider.service import QueryConnection, StreamChange

_LAST_LETTERS: Final = str.maketrans({"æ": "{", "ä": "{", "ø": "|", "ö": "|", "å": "}"})


def sorts_as(name: str) -> str:
    """Return the text by which a name sorts bytewise as in Danish and Norwegian: æ, ø, å last, aa as å."""
    folded = name.casefold().replace("aa", "å").translate(_LAST_LETTERS)
    return "".join(part for part in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(part))


def organisation_row(change: StreamChange, organisation: Organisation) -> tuple[Any, ...]:
    """Return an organisation as a row of `KEEP_ORGANISATIONS`."""
    return (
        change.tenant,
        change.stream_id,
        organisation.name,
        sorts_as(organisation.name),
        organisation.number,
        *_membership(organisation.membership),
        change.version,
    )


def _membership(membership: Membership) -> tuple[str, date | None, date | None, date | None]:
    """Return the status, the first day, the last day, and the last day of the declaration."""
    match membership:
        case Joined():
            return "joined", membership.joined_on, None, membership.declaration_until
        case Left():
            return "left", None, membership.left_on, None
        case _:
            assert_never(membership)


def offer_row(change: StreamChange, offer: Offer) -> tuple[Any, ...]:
    """Return an offer as a row of `KEEP_OFFERS`."""
    return (
        change.tenant,
        change.stream_id,
        offer.organisation_id,
        offer.title,
        sorts_as(offer.title),
        offer.theme,
        offer.format,
        offer.age_from,
        offer.age_to,
        ",".join(offer.areas),
        offer.price,
        offer.places,
        offer.as_of,
        change.version,
    )


async def organisations(tx: QueryConnection, *, tenant: str) -> list[dict[str, Any]]:
    """Return who takes part or did, by name."""
    return [dict(row) for row in await tx.fetch(_ORGANISATIONS, tenant)]


async def offers(
    tx: QueryConnection,
    *,
    tenant: str,
    theme: str | None = None,
    age: int | None = None,
    area: str | None = None,
    organisation_id: UUID | None = None,
    offer_id: UUID | None = None,
) -> list[dict[str, Any]]:
    """Return the offers of those who take part, narrowed by the criteria that are set."""
    rows = await tx.fetch(_OFFERS, tenant, theme, age, area, organisation_id, offer_id)
    return [dict(row) for row in rows]


KEEP_ORGANISATIONS: Final = """
insert into organisations (tenant, organisation_id, name, sorts_as, number, status, joined_on, left_on,
                           declaration_until, version)
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::date[],
                     $8::date[], $9::date[], $10::bigint[])
on conflict (tenant, organisation_id) do update
set name = excluded.name, sorts_as = excluded.sorts_as, number = excluded.number, status = excluded.status,
    joined_on = excluded.joined_on, left_on = excluded.left_on,
    declaration_until = excluded.declaration_until, version = excluded.version
"""

KEEP_OFFERS: Final = """
insert into offers (tenant, offer_id, organisation_id, title, sorts_as, theme, format, age_from, age_to,
                    areas, price, places, as_of, version)
select tenant, offer_id, organisation_id, title, sorts_as, theme, format, age_from, age_to,
       string_to_array(areas, ','), price, places, as_of, version
from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
            $9::integer[], $10::text[], $11::text[], $12::integer[], $13::date[], $14::bigint[])
     as n (tenant, offer_id, organisation_id, title, sorts_as, theme, format, age_from, age_to, areas, price,
           places, as_of, version)
on conflict (tenant, offer_id) do update
set title = excluded.title, sorts_as = excluded.sorts_as, theme = excluded.theme, format = excluded.format,
    age_from = excluded.age_from, age_to = excluded.age_to, areas = excluded.areas, price = excluded.price,
    places = excluded.places, as_of = excluded.as_of, version = excluded.version
"""

_ORGANISATIONS: Final = """
select organisation_id, name, number, status, joined_on, left_on, declaration_until, version
from organisations where tenant = $1
order by sorts_as, organisation_id
"""

# The version is the stream's own: events of other services may have moved it since the row was written.
_OFFERS: Final = """
select f.offer_id, f.organisation_id, o.name as organisation, f.title, f.theme, f.format, f.age_from,
       f.age_to, f.areas, f.price, f.places, f.as_of, o.declaration_until, s.version
from offers f
join organisations o on o.tenant = f.tenant and o.organisation_id = f.organisation_id
join streams s on s.tenant = f.tenant and s.stream_id = f.offer_id
where f.tenant = $1 and o.status = 'joined'
  and ($2::text is null or f.theme = $2)
  and ($3::integer is null or $3 between f.age_from and f.age_to)
  and ($4::text is null or $4 = any (f.areas))
  and ($5::uuid is null or f.organisation_id = $5)
  and ($6::uuid is null or f.offer_id = $6)
order by f.sorts_as, f.offer_id
"""
