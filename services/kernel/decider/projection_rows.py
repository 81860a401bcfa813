"""Rows of a projection: which of the saved streams change them, their columns, and the table of work items.

Every service with a work list has the table `work_items` with the columns of `INSERT_WORK_ITEMS`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, TypeVar

from contracts.model import CollaborationModel
from services.kernel.decider.service import StreamChange
from services.kernel.decider.work_items import WorkItem
from services.kernel.decider.working_days import calendar_of

S = TypeVar("S")

Row = tuple[Any, ...]
RowsOf = Callable[[StreamChange, S | None], Sequence[Row]]
"""The rows of one stream in a state, or before it had one."""


def changed(saved: Iterable[StreamChange], state: type[S], rows_of: RowsOf[S]) -> list[StreamChange]:
    """Return the saved streams of a kind of state whose rows differ from the ones before."""
    return [
        one
        for one in saved
        if isinstance(one.state, state) and rows_of(one, one.before) != rows_of(one, one.state)
    ]


def columns(rows: Sequence[Row]) -> list[list[Any]]:
    """Return rows as columns, one list for each argument of a set-based statement."""
    return [list(column) for column in zip(*rows, strict=True)]


def local_days(models: Mapping[str, CollaborationModel], now: datetime) -> tuple[list[str], list[date]]:
    """Return the versions of the models, and the local day of a moment by the calendar of each."""
    return list(models), [calendar_of(model).today(now) for model in models.values()]


def keys_of(streams: Iterable[StreamChange]) -> list[list[Any]]:
    """Return the municipalities and the ids of streams, as two columns."""
    return columns([(one.tenant, one.stream_id) for one in streams])


def work_item_row(change: StreamChange, item: WorkItem) -> Row:
    """Return a work item as a row of `INSERT_WORK_ITEMS`."""
    return (
        change.tenant,
        item.role,
        item.owner_id,
        change.stream_id,
        item.agreement_id,
        item.about,
        item.model,
        item.what,
        item.shown_from,
        item.due_on,
        item.until,
    )


DELETE_WORK_ITEMS: Final = """
delete from work_items i using unnest($1::text[], $2::uuid[]) as w (tenant, case_id)
where i.tenant = w.tenant and i.case_id = w.case_id
"""

INSERT_WORK_ITEMS: Final = """
insert into work_items (tenant, role, owner_id, case_id, agreement_id, about, model, what, shown_from, due_on,
                        until)
select * from unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[],
                     $8::text[], $9::date[], $10::date[], $11::timestamptz[])
on conflict do nothing
"""

# The local day is that of the calendar of the model that an agreement began under; without the model, UTC's.
SELECT_WORK_ITEMS: Final = """
select case_id, agreement_id, about, what, due_on
from work_items left join unnest($5::text[], $6::date[]) as calendar (model, today) using (model)
where tenant = $1 and role = $2 and owner_id = $3
  and shown_from <= coalesce(today, ($4 at time zone 'UTC')::date)
  and (until is null or until > $4)
order by due_on nulls last, case_id, about, what
limit 500
"""
