"""Projections of accounts, their roles and identities, invitations, and the persons of families; the queries.

No name stands in these tables: ids, codes, days and keyed digests only.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, assert_never
from uuid import UUID

from services.directory.domain.states import (
    AccountMembership,
    Ended,
    FamilyCase,
    Holder,
    Invitation,
    InvitationStage,
    Lapsed,
    Open,
    Running,
    TakenBack,
    Used,
)
from services.kernel.decider.service import QueryConnection, StreamChange

Row = tuple[Any, ...]


def account_row(change: StreamChange, holder: Holder) -> Row:
    """Return an account as a row of `KEEP_ACCOUNTS`."""
    kind = holder.__struct_config__.tag
    return change.tenant, change.stream_id, kind, holder.opened_at, holder.opened_by, change.version


def membership_rows(change: StreamChange, holder: Holder) -> Iterator[Row]:
    """Yield the roles of an account as rows of `KEEP_MEMBERSHIPS`."""
    for membership_id, one in holder.memberships.items():
        status, until = _days(one)
        position = one.position
        yield (
            change.tenant,
            membership_id,
            change.stream_id,
            position.role,
            position.department_id,
            position.organisation_id,
            position.person_id,
            one.since,
            until,
            status,
        )


def _days(membership: AccountMembership) -> tuple[str, date | None]:
    """Return the status of a role, and its last day."""
    match membership:
        case Running(until=until):
            return "running", until
        case Ended(last_day=last_day):
            return "ended", last_day
        case _:
            assert_never(membership)


def identity_row(change: StreamChange, account_id: UUID) -> Row:
    """Return whose an identity is, as a row of `KEEP_IDENTITIES`."""
    return change.tenant, change.stream_id, account_id


def invitation_row(change: StreamChange, invitation: Invitation) -> Row:
    """Return an invitation as a row of `KEEP_INVITATIONS`."""
    position = invitation.position
    return (
        change.tenant,
        change.stream_id,
        invitation.account_id,
        position.role,
        position.department_id,
        position.organisation_id,
        position.person_id,
        invitation.made_at,
        invitation.made_by,
        invitation.expires_on,
        invitation.until,
        _status(invitation.stage),
        invitation.code_digest,
        change.version,
    )


def _status(stage: InvitationStage) -> str:
    match stage:
        case Open():
            return "open"
        case Used():
            return "used"
        case Lapsed():
            return "lapsed"
        case TakenBack():
            return "revoked"
        case _:
            assert_never(stage)


def person_rows(change: StreamChange, case: FamilyCase | None) -> set[tuple[str, UUID, UUID, UUID]]:
    """Return the persons of a case, with its department, as rows of `KEEP_PEOPLE`."""
    if case is None or case.department_id is None:
        return set()
    named = {*case.holder_ids, case.child_id, case.young_person_id}
    return {
        (change.tenant, person_id, change.stream_id, case.department_id)
        for person_id in named
        if person_id is not None
    }


async def accounts(
    tx: QueryConnection,
    *,
    tenant: str,
    role: str | None,
    status: str | None,
    department_id: UUID | None,
    organisation_id: UUID | None,
    after: UUID,
    limit: int,
) -> list[dict[str, Any]]:
    """Return a page of the accounts that have a role of some kind, in the order in which they were opened."""
    parameters = (tenant, role, status, department_id, organisation_id, after, limit)
    return [dict(row) for row in await tx.fetch(_ACCOUNTS, *parameters)]


async def memberships(
    tx: QueryConnection, *, tenant: str, account_ids: Sequence[UUID]
) -> list[dict[str, Any]]:
    """Return the roles of some accounts, the first day first."""
    return [dict(row) for row in await tx.fetch(_MEMBERSHIPS, tenant, list(account_ids))]


async def administrators(tx: QueryConnection, *, tenant: str) -> set[UUID]:
    """Return the memberships by which the municipality has administrators; later ones are among them."""
    return {row["membership_id"] for row in await tx.fetch(_ADMINISTRATORS, tenant)}


async def places(tx: QueryConnection, *, tenant: str) -> dict[UUID, Mapping[str, Any]]:
    """Return the names and numbers of the organisations by their ids."""
    rows = await tx.fetch(_ORGANISATION_NAMES, tenant)
    return {row["organisation_id"]: dict(row) for row in rows}


async def account_of(tx: QueryConnection, *, tenant: str, identity_ids: Sequence[UUID]) -> UUID | None:
    """Return whose account identities are of, the first that is known; None where none is."""
    found: UUID | None = await tx.fetchval(_ACCOUNT_OF, tenant, list(identity_ids))
    return found


async def invitation_with(tx: QueryConnection, *, tenant: str, code_digest: str) -> dict[str, Any] | None:
    """Return the invitation with a code; None where there is none."""
    row = await tx.fetchrow(_INVITATION_WITH, tenant, code_digest)
    return None if row is None else dict(row)


async def invitations(
    tx: QueryConnection,
    *,
    tenant: str,
    department_id: UUID | None,
    status: str | None,
    before: UUID,
    limit: int,
) -> list[dict[str, Any]]:
    """Return a page of invitations, newest first: a department's families, or without one all others."""
    return [dict(row) for row in await tx.fetch(_INVITATIONS, tenant, department_id, status, before, limit)]


async def cases_naming(
    tx: QueryConnection, *, tenant: str, person_id: UUID, department_id: UUID
) -> tuple[UUID, ...]:
    """Return the cases of a department that name a person of a family."""
    rows = await tx.fetch(_CASES_NAMING, tenant, person_id, department_id)
    return tuple(row["case_id"] for row in rows)


async def membership_of_person(
    tx: QueryConnection, *, tenant: str, person_id: UUID, department_id: UUID
) -> dict[str, Any] | None:
    """Return by which account and role a person of a department's cases signs in; None where they do not."""
    row = await tx.fetchrow(_MEMBERSHIP_OF_PERSON, tenant, person_id, department_id)
    return None if row is None else dict(row)


async def person_of_invitation(tx: QueryConnection, *, tenant: str, invitation_id: UUID) -> UUID | None:
    """Return the person of a family whom an invitation is for; None for any other."""
    found: UUID | None = await tx.fetchval(_PERSON_OF_INVITATION, tenant, invitation_id)
    return found


KEEP_ACCOUNTS: Final = """
insert into accounts (tenant, account_id, kind, opened_at, opened_by, version)
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::uuid[], $6::bigint[])
on conflict (tenant, account_id) do update set version = excluded.version
"""

KEEP_MEMBERSHIPS: Final = """
insert into memberships (tenant, membership_id, account_id, role, department_id, organisation_id, person_id,
                         since, until, status)
select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[],
                     $8::date[], $9::date[], $10::text[])
on conflict (tenant, membership_id) do update
set until = excluded.until, status = excluded.status
"""

KEEP_IDENTITIES: Final = """
insert into identities (tenant, identity_id, account_id)
select * from unnest($1::text[], $2::uuid[], $3::uuid[])
on conflict (tenant, identity_id) do update set account_id = excluded.account_id
"""

KEEP_INVITATIONS: Final = """
insert into invitations (tenant, invitation_id, account_id, role, department_id, organisation_id, person_id,
                         made_at, made_by, expires_on, until, status, code_digest, version)
select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[],
                     $8::timestamptz[], $9::uuid[], $10::date[], $11::date[], $12::text[], $13::text[],
                     $14::bigint[])
on conflict (tenant, invitation_id) do update set status = excluded.status, version = excluded.version
"""

KEEP_PEOPLE: Final = """
insert into people (tenant, person_id, case_id, department_id)
select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[])
on conflict (tenant, person_id, case_id) do update set department_id = excluded.department_id
"""

DELETE_PEOPLE: Final = """
delete from people using unnest($1::text[], $2::uuid[], $3::uuid[]) as w (tenant, person_id, case_id)
where people.tenant = w.tenant and people.person_id = w.person_id and people.case_id = w.case_id
"""

_ACCOUNTS: Final = """
select a.account_id, a.kind, a.opened_at, a.opened_by, a.version
from accounts a
where a.tenant = $1 and a.account_id > $6
  and exists (
    select from memberships m
    where m.tenant = a.tenant and m.account_id = a.account_id
      and ($2::text is null or m.role = $2) and ($3::text is null or m.status = $3)
      and ($4::uuid is null or m.department_id = $4) and ($5::uuid is null or m.organisation_id = $5)
  )
order by a.account_id
limit $7
"""

_MEMBERSHIPS: Final = """
select membership_id, account_id, role, department_id, organisation_id, person_id, since, until, status
from memberships where tenant = $1 and account_id = any ($2::uuid[])
order by since, membership_id
"""

_ADMINISTRATORS: Final = """
select membership_id from memberships
where tenant = $1 and role = 'administrator' and status = 'running'
"""

_ORGANISATION_NAMES: Final = """
select organisation_id, name, number from organisations where tenant = $1
"""

_ACCOUNT_OF: Final = """
select i.account_id
from unnest($2::uuid[]) with ordinality as w (identity_id, place)
join identities i on i.tenant = $1 and i.identity_id = w.identity_id
order by w.place
limit 1
"""

_INVITATION_WITH: Final = """
select invitation_id, account_id from invitations
where tenant = $1 and code_digest = $2
order by made_at desc limit 1
"""

_INVITATIONS: Final = """
select i.invitation_id, i.role, i.department_id, i.organisation_id, i.person_id, i.made_at, i.made_by,
       i.expires_on, i.until, i.status, i.version
from invitations i
where i.tenant = $1 and i.invitation_id < $4 and ($3::text is null or i.status = $3)
  and case
    when $2::uuid is null then i.person_id is null
    else exists (
      select from people p
      where p.tenant = i.tenant and p.person_id = i.person_id and p.department_id = $2
    )
  end
order by i.invitation_id desc
limit $5
"""

_CASES_NAMING: Final = """
select case_id from people
where tenant = $1 and person_id = $2 and department_id = $3
order by case_id
"""

_MEMBERSHIP_OF_PERSON: Final = """
select m.account_id, m.membership_id
from memberships m
where m.tenant = $1 and m.person_id = $2 and m.status = 'running'
  and exists (
    select from people p where p.tenant = m.tenant and p.person_id = m.person_id and p.department_id = $3
  )
"""

_PERSON_OF_INVITATION: Final = """
select person_id from invitations where tenant = $1 and invitation_id = $2
"""
