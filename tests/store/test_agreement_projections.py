"""The tables of the agreement service on PostgreSQL: every state reaches them, and its lists find it."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any, Final, get_args

import pytest

from services.agreement.app import SERVICE
from services.agreement.domain.deadlines import work_items_of
from services.agreement.domain.states import Agreement, Case, status_of
from services.agreement.projections import figures, project, work_list
from services.kernel.decider.projection_rows import local_days
from services.kernel.decider.service import StreamChange
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from tests.examples_agreement import (
    AGREEMENT,
    CASE,
    GOAL,
    KERTEMINDE,
    MOTHER,
    TENANT,
    TODAY,
    a_case,
    a_met,
    agreements,
    an_adjustable,
    an_invited,
)

MODELS: Final = {KERTEMINDE.ref: KERTEMINDE}
SUMMER: Final = datetime(2026, 8, 1, 10, tzinfo=UTC)


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to empty tables."""
    await migrate(postgres_dsn, SERVICE)
    connection = await connect(postgres_dsn, schema="agreement")
    yield connection
    await connection.close()


def saved(case: Case, before: Case | None = None) -> StreamChange:
    """Return a case as it was just saved."""
    return StreamChange(CASE, TENANT, 1, before, case, (), ())


@pytest.mark.parametrize("agreement", [*agreements(), an_adjustable("family")], ids=status_of)
async def test_every_state_reaches_the_tables(tx: Session, agreement: Agreement) -> None:
    """The status and the work items of each state are written, and written again without a change."""
    case = a_case(agreement, attained={GOAL: "reached"})

    await project(tx, [saved(case)])
    await project(tx, [saved(case, a_case(an_invited()))])

    statuses = [row["status"] for row in await tx.fetch("select status from agreements")]
    written = await tx.fetch("select role, owner_id, what, shown_from, due_on from work_items")
    assert statuses == [status_of(agreement)]
    assert {tuple(row) for row in written} == {
        (one.role, one.owner_id, one.what, one.shown_from, one.due_on) for one in work_items_of(case)
    }
    assert (await figures(tx, tenant=TENANT))["statuses"] == [(status_of(agreement), 1, 1)]


async def test_the_status_check_names_every_state(tx: Session) -> None:
    """The examples cover the union of the states, and the database refuses no status of it."""
    check = await tx.fetchval(
        "select pg_get_constraintdef(oid) from pg_constraint where conname = 'agreements_have_a_status'"
    )
    members = get_args(Agreement)

    assert {type(one) for one in agreements()} == set(members)
    assert set(re.findall(r"'(\w+)'", check)) == {str(one.__struct_config__.tag) for one in members}


async def test_an_ended_wait_leaves_the_list(tx: Session) -> None:
    """Once the meeting is held, no list shows it."""
    invited, met = a_case(an_invited()), a_case(a_met())
    owner: dict[str, Any] = {"tenant": TENANT, "role": "guardian", "owner_id": MOTHER}
    days = local_days(MODELS, SUMMER)

    await project(tx, [saved(invited)])
    before = await work_list(tx, **owner, now=SUMMER, days=days)
    await project(tx, [saved(met, invited)])

    assert [(row["agreement_id"], row["what"]) for row in before] == [(AGREEMENT, "meeting")]
    assert await work_list(tx, **owner, now=SUMMER, days=days) == []


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        (datetime(2026, 3, 1, 22, 30, tzinfo=UTC), False),
        (datetime(2026, 3, 1, 23, 30, tzinfo=UTC), True),  # past midnight in Kerteminde
    ],
)
async def test_a_list_begins_a_day_by_the_models_calendar(tx: Session, now: datetime, *, shown: bool) -> None:
    """A work item is shown from its local day on, in the time zone of the collaboration model."""
    case = a_case(an_invited())
    await project(tx, [saved(case)])

    found = await work_list(
        tx, tenant=TENANT, role="guardian", owner_id=MOTHER, now=now, days=local_days(MODELS, now)
    )

    assert date(2026, 3, 2) == TODAY
    assert bool(found) == shown
