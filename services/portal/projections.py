"""Projections of the portal: a line for each case, and its timeline; ids, codes and dates."""

from collections.abc import Sequence
from typing import Any, Final, assert_never
from uuid import UUID

from services.kernel.decider.projection_rows import columns
from services.kernel.decider.service import ProjectionWriter, QueryConnection, StreamChange
from services.portal.domain.states import Account, Case, State


async def project(tx: ProjectionWriter, changes: Sequence[StreamChange]) -> None:
    """Write the line of each changed case, and the entries that are new in it."""
    cases = [change for change in changes if _is_case(change.state)]
    if cases:
        await tx.execute(_WRITE_LINES, *columns([_line(change) for change in cases]))
    if entries := [row for change in cases for row in _entries(change)]:
        await tx.execute(_WRITE_ENTRIES, *columns(entries))


def _is_case(state: State | None) -> bool:
    match state:
        case Case():
            return True
        case Account() | None:
            return False
        case _:
            assert_never(state)


def _line(change: StreamChange) -> tuple[Any, ...]:
    case: Case = change.state
    changed_at = case.entries[-1].at if case.entries else None
    return (change.tenant, change.stream_id, case.department_id, case.caseworker_id, case.closed, changed_at)


def _entries(change: StreamChange) -> list[tuple[Any, ...]]:
    known = set(change.before.entries if change.before else ())
    return [
        (change.tenant, change.stream_id, entry.at, entry.type, entry.role, entry.about)
        for entry in change.state.entries
        if entry not in known
    ]


async def timeline_of(tx: QueryConnection, *, tenant: str, case_id: UUID, limit: int) -> list[dict[str, Any]]:
    """Return what happened in a case, the latest first."""
    return [dict(row) for row in await tx.fetch(_TIMELINE, tenant, case_id, limit)]


_WRITE_LINES: Final = """
insert into lines (tenant, case_id, department_id, caseworker_id, closed, changed_at)
select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::boolean[], $6::timestamptz[])
on conflict on constraint lines_pk do update
set department_id = excluded.department_id, caseworker_id = excluded.caseworker_id,
    closed = excluded.closed, changed_at = excluded.changed_at
"""

_WRITE_ENTRIES: Final = """
insert into timeline (tenant, case_id, at, type, role, about)
select * from unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[])
on conflict on constraint timeline_pk do nothing
"""

_TIMELINE: Final = """
select at, type, role, about from timeline where tenant = $1 and case_id = $2 order by at desc, type limit $3
"""
