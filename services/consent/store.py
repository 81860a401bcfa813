"""What consent asks of PostgreSQL besides the streams: in which cases a person may be asked."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from contracts.consent import CustodyRecorded
from services.consent.domain_states import Case
from services.kernel.decider.service import ProjectionWriter, StreamChange, Tx

_case_of: Final = msgspec.json.Decoder(Case).decode


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Remember whom a case may ask; a person is kept, for they may have answered."""
    known = [
        (row.tenant, person, row.stream_id)
        for row in saved
        for sent in row.events
        if type(sent.body) is CustodyRecorded
        for person in (*sent.body.holder_ids, sent.body.young_person_id)
        if person is not None
    ]
    if known:
        await tx.execute(_REMEMBER, *(list(column) for column in zip(*known, strict=True)))


async def cases_of(tx: Tx, *, tenant: str, person_id: UUID) -> list[dict[str, Any]]:
    """Return the cases in which a person may be asked, with the version of each."""
    rows = await tx.fetch(_CASES_OF, tenant, person_id)
    return [
        {"case_id": row["stream_id"], "version": row["version"], "case": _case_of(row["state"])}
        for row in rows
    ]


_REMEMBER: Final = """
insert into persons (tenant, person_id, case_id)
select * from unnest($1::text[], $2::uuid[], $3::uuid[])
on conflict do nothing
"""

_CASES_OF: Final = """
select s.stream_id, s.version, s.state
from persons p
join streams s on s.stream_id = p.case_id and s.tenant = p.tenant
where p.tenant = $1 and p.person_id = $2
order by s.stream_id
"""
