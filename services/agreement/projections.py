"""Projections of the agreement service: its own tables for lists and figures, and their queries."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from services.agreement.domain.deadlines import work_items_of
from services.agreement.domain.states import Case, Summary, status_of, summary_of
from services.kernel.decider.projection_rows import (
    DELETE_WORK_ITEMS,
    INSERT_WORK_ITEMS,
    SELECT_WORK_ITEMS,
    Row,
    changed,
    columns,
    keys_of,
    work_item_row,
)
from services.kernel.decider.service import ProjectionWriter, QueryConnection, StreamChange


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Write agreements, goals and work items of the cases that were saved, where they changed."""
    if agreements := [
        row for one in changed(saved, Case, _agreements) for row in _agreements(one, one.state)
    ]:
        await tx.execute(_UPSERT_AGREEMENTS, *columns(agreements))
    if cases := changed(saved, Case, _goals):
        await tx.execute(_DELETE_GOALS, *keys_of(cases))
        if goals := [row for one in cases for row in _goals(one, one.state)]:
            await tx.execute(_INSERT_GOALS, *columns(goals))
    if cases := changed(saved, Case, _work_items):
        await tx.execute(DELETE_WORK_ITEMS, *keys_of(cases))
        if items := [row for one in cases for row in _work_items(one, one.state)]:
            await tx.execute(INSERT_WORK_ITEMS, *columns(items))


async def work_list(
    tx: QueryConnection,
    *,
    tenant: str,
    role: str,
    owner_id: UUID,
    now: datetime,
    days: tuple[list[str], list[date]],
) -> list[dict[str, Any]]:
    """Return the most urgent work items of a department, an organisation or a person: ids and codes.

    `days` gives the local day by version of the model.
    """
    rows = await tx.fetch(SELECT_WORK_ITEMS, tenant, role, owner_id, now, *days)
    return [{name: row[name] for name in ("case_id", "agreement_id", "what", "due_on")} for row in rows]


async def figures(tx: QueryConnection, *, tenant: str) -> dict[str, Any]:
    """Return a municipality's agreements in exact numbers, each with that of the cases behind it.

    Days are calendar days.
    """
    pace = await tx.fetchrow(_PACE, tenant)
    return {
        "statuses": [tuple(row) for row in await tx.fetch(_STATUSES, tenant)],
        "reasons": [tuple(row) for row in await tx.fetch(_REASONS, tenant)],
        "purposes": [dict(row) for row in await tx.fetch(_PURPOSES, tenant)],
        "pace": dict(pace or {}),
    }


def _agreements(one: StreamChange, case: Case | None) -> list[Row]:
    return [
        (
            agreement_id,
            one.tenant,
            one.stream_id,
            agreement.about.organisation_id,
            status_of(agreement),
            agreement.about.invited_on,
            *_dates_and_updates(summary_of(agreement)),
        )
        for agreement_id, agreement in (case.agreements.items() if case else ())
    ]


def _dates_and_updates(one: Summary) -> Row:
    """Return the days and the reason, and how many updates came, came on time, and never came."""
    came = sum(update.reported_on is not None for update in one.updates)
    on_time = sum(update.on_time for update in one.updates)
    return one.held_on, one.in_force_on, one.ended_on, one.reason, came, on_time, len(one.updates) - came


def _goals(one: StreamChange, case: Case | None) -> list[Row]:
    if case is None:
        return []
    return [
        (goal.goal_id, one.tenant, one.stream_id, agreement_id, goal.purpose, case.attained.get(goal.goal_id))
        for agreement_id, agreement in case.agreements.items()
        if (terms := summary_of(agreement).terms)
        for goal in terms.goals
    ]


def _work_items(one: StreamChange, case: Case | None) -> list[Row]:
    return [work_item_row(one, item) for item in (work_items_of(case) if case else ())]


_UPSERT_AGREEMENTS: Final = """
insert into agreements (agreement_id, tenant, case_id, organisation_id, status, invited_on, held_on,
                        in_force_on, ended_on, reason, updates, updates_on_time, updates_missed)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::date[], $7::date[],
                     $8::date[], $9::date[], $10::text[], $11::integer[], $12::integer[], $13::integer[])
on conflict (tenant, agreement_id) do update
set status = excluded.status, held_on = excluded.held_on, in_force_on = excluded.in_force_on,
    ended_on = excluded.ended_on, reason = excluded.reason, updates = excluded.updates,
    updates_on_time = excluded.updates_on_time, updates_missed = excluded.updates_missed
"""

_DELETE_GOALS: Final = """
delete from goals g using unnest($1::text[], $2::uuid[]) as w (tenant, case_id)
where g.tenant = w.tenant and g.case_id = w.case_id
"""

_INSERT_GOALS: Final = """
insert into goals (goal_id, tenant, case_id, agreement_id, purpose, attainment)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
"""

_STATUSES: Final = """
select status, count(*), count(distinct case_id) from agreements
where tenant = $1 group by status order by status
"""

_REASONS: Final = """
select reason, count(*) as agreements, count(distinct case_id) from agreements
where tenant = $1 and status = 'ended'
group by reason order by agreements desc, reason
"""

_PACE: Final = """
select percentile_cont(0.5) within group (order by held_on - invited_on) as days_to_meeting,
       count(distinct case_id) filter (where held_on is not null) as cases_met,
       percentile_cont(0.5) within group (order by in_force_on - invited_on) as days_to_in_force,
       count(distinct case_id) filter (where in_force_on is not null) as cases_in_force,
       coalesce(sum(updates), 0) as updates,
       count(distinct case_id) filter (where updates > 0) as updates_cases,
       coalesce(sum(updates_on_time), 0) as updates_on_time,
       count(distinct case_id) filter (where updates_on_time > 0) as updates_on_time_cases,
       coalesce(sum(updates_missed), 0) as updates_missed,
       count(distinct case_id) filter (where updates_missed > 0) as updates_missed_cases
from agreements
where tenant = $1
"""

_PURPOSES: Final = """
select purpose, count(*) as goals, count(distinct case_id) as goals_cases,
       count(*) filter (where attainment = 'reached') as reached,
       count(distinct case_id) filter (where attainment = 'reached') as reached_cases,
       count(*) filter (where attainment = 'partly') as partly,
       count(distinct case_id) filter (where attainment = 'partly') as partly_cases,
       count(*) filter (where attainment = 'not_reached') as not_reached,
       count(distinct case_id) filter (where attainment = 'not_reached') as not_reached_cases
from goals
where tenant = $1
group by purpose
order by purpose
"""
