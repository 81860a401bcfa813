"""What the evaluation service's lists and figures read, and how it is kept in step with the cases."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from services.evaluation.domain_outcome import Tally
from services.evaluation.domain_states import Case, Change, Collaboration, Moment, Over
from services.evaluation.domain_waits import waits_of
from services.kernel.decider.service import ProjectionWriter, StreamChange, Tx

_Row = tuple[Any, ...]


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Write outcomes and work lists of the cases that were saved, where they changed."""
    if outcomes := [row for one in _moved(saved, outcome_rows) for row in outcome_rows(one, one.state)]:
        await tx.execute(_KEEP_OUTCOMES, *_columns(outcomes))
    if moved := _moved(saved, _work):
        await tx.execute(_DROP_WORK, [one.stream_id for one in moved])
        if work := [row for one in moved for row in _work(one, one.state)]:
            await tx.execute(_KEEP_WORK, *_columns(work))


async def mine(tx: Tx, *, tenant: str, role: str, whose: UUID, now: datetime) -> list[dict[str, Any]]:
    """Return the most urgent of what waits for a department, an organisation or a person: ids and codes."""
    return [dict(row) for row in await tx.fetch(_MINE, tenant, role, whose, now)]


async def tallies(tx: Tx, *, tenant: str, moment: Moment, now: datetime) -> list[Tally]:
    """Return how the children of a municipality moved on each dimension, in exact counts."""
    return [Tally(**dict(row)) for row in await tx.fetch(_TALLIES, tenant, moment, now)]


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


def outcome_rows(one: StreamChange, case: Case | None) -> list[_Row]:
    """Return what counts in the figures: a change for each dimension and each later measurement."""
    known = case.collaborations.items() if case else ()
    return [
        (agreement_id, dimension, moment, one.tenant, one.stream_id, change, counts_from)
        for agreement_id, collaboration in known
        for moment, counts_from in _counted(collaboration)
        for dimension, change in _changes(collaboration, moment).items()
    ]


def _counted(collaboration: Collaboration) -> list[tuple[Moment, date]]:
    """Return since when each later measurement counts: its day, or the day on which it should have been."""
    due: dict[Moment, date] = {}
    if isinstance(collaboration, Over):
        due = {"end": collaboration.ended_on, "after": collaboration.after_on}
    taken = {moment: collaboration.measured[moment].taken_on for moment in collaboration.outcomes}
    return list((due | taken).items())


def _changes(collaboration: Collaboration, moment: Moment) -> dict[str, Change]:
    missing: dict[str, Change] = dict.fromkeys(collaboration.about.dimensions, "missing")
    return missing | collaboration.outcomes.get(moment, {})


def _work(one: StreamChange, case: Case | None) -> list[_Row]:
    waits = waits_of(case) if case else ()
    return [
        (
            one.tenant,
            wait.role,
            wait.whose,
            one.stream_id,
            wait.agreement_id,
            wait.about,
            wait.what,
            wait.shown_from,
            wait.due_on,
            wait.until,
        )
        for wait in waits
    ]


_KEEP_OUTCOMES: Final = """
insert into outcomes (agreement_id, dimension, moment, tenant, case_id, change, counts_from)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::date[])
on conflict (agreement_id, dimension, moment) do update
set change = excluded.change, counts_from = excluded.counts_from
"""

_DROP_WORK: Final = "delete from work where case_id = any ($1::uuid[])"

_KEEP_WORK: Final = """
insert into work (tenant, role, whose, case_id, agreement_id, about, what, shown_from, due_on, until)
select * from unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[],
                     $8::date[], $9::date[], $10::timestamptz[])
on conflict do nothing
"""

_MINE: Final = """
select case_id, agreement_id, nullif(about, agreement_id) as evaluation_id, what, due_on
from work
where tenant = $1 and role = $2 and whose = $3
  and shown_from <= ($4 at time zone 'Europe/Copenhagen')::date
  and (until is null or until > $4)
order by due_on, case_id, about, what
limit 500
"""

_TALLIES: Final = """
select dimension,
       count(*) filter (where change = 'better') as better,
       count(*) filter (where change = 'same') as same,
       count(*) filter (where change = 'worse') as worse,
       count(*) filter (where change = 'missing') as missing,
       count(distinct case_id) filter (where change <> 'missing') as children
from outcomes
where tenant = $1 and moment = $2 and counts_from <= ($3 at time zone 'Europe/Copenhagen')::date
group by dimension
order by dimension
"""
