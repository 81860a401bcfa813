"""Projections of the evaluation service: its own tables for lists and figures, and their queries."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, assert_never
from uuid import UUID

from services.evaluation.domain.deadlines import work_items_of
from services.evaluation.domain.states import Case, Change, Collaboration, Moment, Over, Running
from services.evaluation.views.outcomes import Tally
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
    """Write outcomes and work items of the cases that were saved, where they changed."""
    if outcomes := [
        row for one in changed(saved, Case, outcome_rows) for row in outcome_rows(one, one.state)
    ]:
        await tx.execute(_UPSERT_OUTCOMES, *columns(outcomes))
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

    `days` gives the local day by version of the model. An item about no evaluation is a measurement.
    """
    return [
        {
            "case_id": row["case_id"],
            "agreement_id": row["agreement_id"],
            "evaluation_id": None if row["about"] == row["agreement_id"] else row["about"],
            "what": row["what"],
            "due_on": row["due_on"],
        }
        for row in await tx.fetch(SELECT_WORK_ITEMS, tenant, role, owner_id, now, *days)
    ]


async def tallies(
    tx: QueryConnection,
    *,
    tenant: str,
    moment: Moment,
    now: datetime,
    days: tuple[list[str], list[date]],
) -> list[Tally]:
    """Return how the children of a municipality moved on each dimension, in exact counts.

    `days` gives the local day by version of the model.
    """
    return [Tally(**dict(row)) for row in await tx.fetch(_TALLIES, tenant, moment, now, *days)]


def outcome_rows(one: StreamChange, case: Case | None) -> list[Row]:
    """Return what counts in the figures: a change for each dimension and each later measurement."""
    return [
        (
            agreement_id,
            dimension,
            moment,
            one.tenant,
            one.stream_id,
            change,
            collaboration.about.model,
            counts_from,
        )
        for agreement_id, collaboration in (case.collaborations.items() if case else ())
        for moment, counts_from in _counted(collaboration)
        for dimension, change in _changes(collaboration, moment).items()
    ]


def _counted(collaboration: Collaboration) -> list[tuple[Moment, date]]:
    """Return since when each later measurement counts: its day, or the day on which it should have been."""
    due: dict[Moment, date]
    match collaboration:
        case Running():
            due = {}
        case Over(ended_on=ended_on, after_on=after_on):
            due = {"end": ended_on, "after": after_on}
        case _:
            assert_never(collaboration)
    taken = {moment: collaboration.measured[moment].taken_on for moment in collaboration.outcomes}
    return list((due | taken).items())


def _changes(collaboration: Collaboration, moment: Moment) -> dict[str, Change]:
    missing: dict[str, Change] = dict.fromkeys(collaboration.about.dimensions, "missing")
    return missing | collaboration.outcomes.get(moment, {})


def _work_items(one: StreamChange, case: Case | None) -> list[Row]:
    return [work_item_row(one, item) for item in (work_items_of(case) if case else ())]


_UPSERT_OUTCOMES: Final = """
insert into outcomes (agreement_id, dimension, moment, tenant, case_id, change, model, counts_from)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[],
                     $8::date[])
on conflict (tenant, agreement_id, dimension, moment) do update
set change = excluded.change, counts_from = excluded.counts_from
"""

# The local day is that of the calendar of the model that an agreement began under; without the model, UTC's.
_TALLIES: Final = """
select dimension,
       count(*) filter (where change = 'better') as better,
       count(*) filter (where change = 'same') as same,
       count(*) filter (where change = 'worse') as worse,
       count(*) filter (where change = 'missing') as missing,
       count(distinct case_id) filter (where change <> 'missing') as children,
       count(distinct case_id) filter (where change = 'better') as children_better,
       count(distinct case_id) filter (where change = 'same') as children_same,
       count(distinct case_id) filter (where change = 'worse') as children_worse,
       count(distinct case_id) filter (where change = 'missing') as children_missing
from outcomes left join unnest($4::text[], $5::date[]) as calendar (model, today) using (model)
where tenant = $1 and moment = $2 and counts_from <= coalesce(today, ($3 at time zone 'UTC')::date)
group by dimension
order by dimension
"""
