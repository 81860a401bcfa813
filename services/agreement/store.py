"""What the agreement service's lists and figures read, and how it is kept in step with the cases."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.agreement.domain_states import Agreement, Case, Ended, InForce, Invited, status_of
from services.agreement.domain_waits import waits_of
from services.kernel.decider.service import ProjectionWriter, StreamChange, Tx

LEAST_SHOWN: Final = 5
"""How many cases a group must hold before its outcome is told: with fewer a child could be known."""

_Row = tuple[Any, ...]


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Write agreements, goals and work lists of the cases that were saved, where they changed."""
    if agreements := [row for one in _moved(saved, _agreements) for row in _agreements(one, one.state)]:
        await tx.execute(_KEEP_AGREEMENTS, *_columns(agreements))
    if moved := _moved(saved, _goals):
        await tx.execute(_DROP_GOALS, [one.stream_id for one in moved])
        if goals := [row for one in moved for row in _goals(one, one.state)]:
            await tx.execute(_KEEP_GOALS, *_columns(goals))
    if moved := _moved(saved, _work):
        await tx.execute(_DROP_WORK, [one.stream_id for one in moved])
        if work := [row for one in moved for row in _work(one, one.state)]:
            await tx.execute(_KEEP_WORK, *_columns(work))


async def mine(tx: Tx, *, tenant: str, role: str, whose: UUID, now: datetime) -> list[dict[str, Any]]:
    """Return the most urgent of what waits for a department, an organisation or a person: ids and codes."""
    return [dict(row) for row in await tx.fetch(_MINE, tenant, role, whose, now)]


async def figures(tx: Tx, *, tenant: str) -> dict[str, Any]:
    """Return a municipality's agreements in numbers; days are calendar days."""
    pace = await tx.fetchrow(_PACE, tenant)
    return {
        "statuses": {row["status"]: row["agreements"] for row in await tx.fetch(_STATUSES, tenant)},
        "reasons": {row["reason"]: row["agreements"] for row in await tx.fetch(_REASONS, tenant)},
        "purposes": [dict(row) for row in await tx.fetch(_PURPOSES, tenant, LEAST_SHOWN)],
        **dict(pace or {}),
    }


def _moved(
    saved: Iterable[StreamChange], rows_of: Callable[[StreamChange, Case | None], list[_Row]]
) -> list[StreamChange]:
    """Return the cases whose rows are others than before."""
    return [
        one
        for one in saved
        if isinstance(one.state, Case) and rows_of(one, one.before) != rows_of(one, one.state)
    ]


def _columns(rows: Sequence[_Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _agreements(one: StreamChange, case: Case | None) -> list[_Row]:
    known = case.agreements.items() if case else ()
    return [
        (
            agreement_id,
            one.tenant,
            one.stream_id,
            agreement.about.organisation_id,
            status_of(agreement),
            agreement.about.invited_on,
            None if isinstance(agreement, Invited) else agreement.held_on,
            agreement.in_force_on if isinstance(agreement, InForce | Ended) else None,
            agreement.ended_on if isinstance(agreement, Ended) else None,
            agreement.reason if isinstance(agreement, Ended) else None,
            *_updates(agreement),
        )
        for agreement_id, agreement in known
    ]


def _updates(agreement: Agreement) -> tuple[int, int, int]:
    """Return how many updates came, how many of them on time, and how many never came."""
    updates = agreement.updates if isinstance(agreement, InForce | Ended) else ()
    came = sum(update.reported_on is not None for update in updates)
    return came, sum(update.on_time for update in updates), len(updates) - came


def _goals(one: StreamChange, case: Case | None) -> list[_Row]:
    if case is None:
        return []
    return [
        (goal.goal_id, one.tenant, one.stream_id, agreement_id, goal.purpose, case.attained.get(goal.goal_id))
        for agreement_id, agreement in case.agreements.items()
        if isinstance(agreement, InForce | Ended) and agreement.terms
        for goal in agreement.terms.goals
    ]


def _work(one: StreamChange, case: Case | None) -> list[_Row]:
    waits = waits_of(case) if case else ()
    return [
        (
            one.tenant,
            wait.role,
            wait.whose,
            one.stream_id,
            wait.agreement_id,
            wait.what,
            wait.shown_from,
            wait.due_on,
            wait.until,
        )
        for wait in waits
    ]


_KEEP_AGREEMENTS: Final = """
insert into agreements (agreement_id, tenant, case_id, organisation_id, status, invited_on, held_on,
                        in_force_on, ended_on, reason, updates, updates_on_time, updates_missed)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::date[], $7::date[],
                     $8::date[], $9::date[], $10::text[], $11::integer[], $12::integer[], $13::integer[])
on conflict (agreement_id) do update
set status = excluded.status, held_on = excluded.held_on, in_force_on = excluded.in_force_on,
    ended_on = excluded.ended_on, reason = excluded.reason, updates = excluded.updates,
    updates_on_time = excluded.updates_on_time, updates_missed = excluded.updates_missed
"""

_DROP_GOALS: Final = "delete from goals where case_id = any ($1::uuid[])"

_KEEP_GOALS: Final = """
insert into goals (goal_id, tenant, case_id, agreement_id, purpose, attainment)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
"""

_DROP_WORK: Final = "delete from work where case_id = any ($1::uuid[])"

_KEEP_WORK: Final = """
insert into work (tenant, role, whose, case_id, agreement_id, what, shown_from, due_on, until)
select * from unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::date[],
                     $8::date[], $9::timestamptz[])
on conflict do nothing
"""

_MINE: Final = """
select case_id, agreement_id, what, due_on
from work
where tenant = $1 and role = $2 and whose = $3
  and shown_from <= ($4 at time zone 'Europe/Copenhagen')::date
  and (until is null or until > $4)
order by due_on nulls last, case_id, agreement_id, what
limit 500
"""

_STATUSES: Final = """
select status, count(*) as agreements from agreements where tenant = $1 group by status order by status
"""

_REASONS: Final = """
select reason, count(*) as agreements from agreements
where tenant = $1 and status = 'ended'
group by reason order by agreements desc, reason
"""

_PACE: Final = """
select percentile_cont(0.5) within group (order by held_on - invited_on) as median_days_to_meeting,
       percentile_cont(0.5) within group (order by in_force_on - invited_on) as median_days_to_in_force,
       coalesce(sum(updates), 0) as updates,
       coalesce(sum(updates_on_time), 0) as updates_on_time,
       coalesce(sum(updates_missed), 0) as updates_missed
from agreements
where tenant = $1
"""

# Goals of one purpose are counted always; how far they were reached only where enough cases stand behind it.
_PURPOSES: Final = """
select purpose, goals,
       case when judged_cases >= $2 then reached end as reached,
       case when judged_cases >= $2 then partly end as partly,
       case when judged_cases >= $2 then not_reached end as not_reached
from (
  select purpose, count(*) as goals,
         count(distinct case_id) filter (where attainment is not null) as judged_cases,
         count(*) filter (where attainment = 'reached') as reached,
         count(*) filter (where attainment = 'partly') as partly,
         count(*) filter (where attainment = 'not_reached') as not_reached
  from goals
  where tenant = $1
  group by purpose
) as counted
order by purpose
"""
