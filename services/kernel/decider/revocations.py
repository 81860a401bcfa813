"""Revocations: which persons and tokens a municipality lets in no more, as a service stores it."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from contracts.event import AccessChanged


class Revocation(Struct, frozen=True):
    """Whether a person or a token is revoked in a municipality, and since when.

    `subject` is the person's id, or the SHA-256 of the token's. Whichever is the latest counts, in
    whatever order they arrive.
    """

    tenant: str
    subject: str
    revoked: bool
    changed_at: datetime


def revocation_of(tenant: str, event: AccessChanged, at: datetime) -> Revocation:
    """Return what an event says; raise `ValueError` where it names neither a person nor a token, or both."""
    if (event.person_id is None) == (event.token_sha256 is None):
        raise ValueError("a person or a token")
    return Revocation(tenant, str(event.person_id or event.token_sha256), event.revoked, at)


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
