"""Revocations: persons, memberships and tokens let in no more by a municipality, as a service stores it."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from contracts.event import AccessChanged


class Revocation(Struct, frozen=True):
    """Whether a person, a membership or a token is revoked in a municipality, and since when.

    `subject` is the person's or the membership's id, or the SHA-256 of the token's. Whichever is the latest
    counts, in whatever order they arrive.
    """

    tenant: str
    subject: str
    revoked: bool
    changed_at: datetime


def revocation_of(tenant: str, event: AccessChanged, at: datetime) -> Revocation:
    """Return what an event says; raise `ValueError` unless it names exactly one subject."""
    named = [
        str(one) for one in (event.person_id, event.token_sha256, event.membership_id) if one is not None
    ]
    if len(named) != 1:
        raise ValueError("a person, a membership or a token")
    return Revocation(tenant, named[0], event.revoked, at)


KEEP_REVOCATIONS: Final = """
insert into revocations as old (tenant, subject, revoked, changed_at)
select distinct on (tenant, subject) tenant, subject, revoked, changed_at
from unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[])
     as n (tenant, subject, revoked, changed_at)
order by tenant, subject, changed_at desc, revoked desc
on conflict (tenant, subject) do update
set revoked = excluded.revoked, changed_at = excluded.changed_at
where excluded.changed_at > old.changed_at or (excluded.changed_at = old.changed_at and excluded.revoked)
"""
