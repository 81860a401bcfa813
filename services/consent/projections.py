"""Projection of consent: the cases in which a person may be asked, for the person's own list."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from contracts.consent import CustodyRecorded
from services.consent.domain.states import Case
from services.kernel.decider.service import ProjectionWriter, QueryConnection, StreamChange

_case_of: Final = msgspec.json.Decoder(Case).decode


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Insert the persons whom a case may ask; a person is kept, for they may have answered."""
    persons = [
        (row.tenant, person, row.stream_id)
        for row in saved
        for event in row.events
        if type(event.body) is CustodyRecorded
        for person in (*event.body.holder_ids, event.body.young_person_id)
        if person is not None
    ]
    if persons:
        await tx.execute(_INSERT_PERSONS, *(list(column) for column in zip(*persons, strict=True)))


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

_CASES_OF: Final = """
select s.stream_id, s.version, s.state
from persons p
join streams s on s.tenant = p.tenant and s.stream_id = p.case_id
where p.tenant = $1 and p.person_id = $2
order by s.stream_id
"""
