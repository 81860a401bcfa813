"""Projection of consent: the cases in which a person is named, for their own list and for who is known."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from contracts.consent import CustodyRecorded
from services.consent.domain.states import Case
from services.kernel.decider.service import ProjectionWriter, QueryConnection, StreamChange

_case_of: Final = msgspec.json.Decoder(Case).decode


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Insert the persons of a case: its child, and whom it may ask; they are kept, for they may answer."""
    persons = [(row.tenant, person, row.stream_id) for row in saved for person in _persons(row)]
    if persons:
        await tx.execute(_INSERT_PERSONS, *(list(column) for column in zip(*persons, strict=True)))


def _persons(change: StreamChange) -> Iterator[UUID]:
    before, child = (case.child_id if case else None for case in (change.before, change.state))
    if child is not None and child != before:
        yield child
    for event in change.events:
        if type(event.body) is CustodyRecorded:
            yield from event.body.holder_ids
            if event.body.young_person_id is not None:
                yield event.body.young_person_id


async def known_persons(tx: QueryConnection, *, tenant: str, person_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of some persons whom this municipality has on record in any of its cases."""
    rows = await tx.fetch(_KNOWN_PERSONS, tenant, list(person_ids))
    return {row["person_id"] for row in rows}


async def cases_of(tx: QueryConnection, *, tenant: str, person_id: UUID) -> list[dict[str, Any]]:
    """Return the cases in which a person may be asked, with the version of each."""
    rows = await tx.fetch(_CASES_OF, tenant, person_id)
    return [
        {"case_id": row["stream_id"], "version": row["version"], "case": _case_of(row["state"])}
        for row in rows
    ]


_INSERT_PERSONS: Final = """
insert into persons (tenant, person_id, case_id)
select * from unnest($1::text[], $2::uuid[], $3::uuid[])
on conflict do nothing
"""

_KNOWN_PERSONS: Final = """
select distinct person_id from persons where tenant = $1 and person_id = any ($2::uuid[])
"""

_CASES_OF: Final = """
select s.stream_id, s.version, s.state
from persons p
join streams s on s.tenant = p.tenant and s.stream_id = p.case_id
where p.tenant = $1 and p.person_id = $2
order by s.stream_id
"""
