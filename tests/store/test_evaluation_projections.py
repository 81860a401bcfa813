"""The tables of the evaluation service on PostgreSQL: every state reaches them, and its lists find it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final, get_args

import pytest

from services.evaluation.app import SERVICE
from services.evaluation.domain.deadlines import work_items_of
from services.evaluation.domain.states import Case, Collaboration, Evaluation
from services.evaluation.projections import project, tallies, work_list
from services.kernel.decider.projection_rows import local_days
from services.kernel.decider.service import StreamChange
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from tests.examples_evaluation import (
    AGREEMENT,
    CASE,
    DEPARTMENT,
    DIMENSIONS,
    DUE_ON,
    EVALUATION,
    KERTEMINDE,
    TENANT,
    a_case,
    a_due,
    a_running,
    an_over,
    collaborations,
    measured,
)

MODELS: Final = {KERTEMINDE.ref: KERTEMINDE}
EXAMPLES: Final = (*collaborations(), an_over(measured=measured("start", "end")))
JUNE: Final = datetime(2026, 6, 8, 10, tzinfo=UTC)


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to empty tables."""
    await migrate(postgres_dsn, SERVICE)
    connection = await connect(postgres_dsn, schema="evaluation")
    yield connection
    await connection.close()


def saved(case: Case, before: Case | None = None) -> StreamChange:
    """Return a case as it was just saved."""
    return StreamChange(CASE, TENANT, 1, before, case, (), ())


def test_the_examples_cover_every_state() -> None:
    """A state that is added to a union is put through the tables below."""
    evaluations = {type(one) for each in EXAMPLES for one in each.evaluations.values()}

    assert {type(one) for one in EXAMPLES} == set(get_args(Collaboration))
    assert evaluations == set(get_args(Evaluation))


@pytest.mark.parametrize("collaboration", EXAMPLES)
async def test_every_state_reaches_the_tables(tx: Session, collaboration: Collaboration) -> None:
    """The work items of each state are written, and written again without a change."""
    case = a_case(collaboration)

    await project(tx, [saved(case)])
    await project(tx, [saved(case, a_case(a_running(a_due())))])

    written = await tx.fetch("select role, owner_id, about, what, shown_from, due_on from work_items")
    assert {tuple(row) for row in written} == {
        (one.role, one.owner_id, one.about, one.what, one.shown_from, one.due_on)
        for one in work_items_of(case)
    }


async def test_a_list_names_the_evaluation_and_leaves_it_out_for_a_measurement(tx: Session) -> None:
    """The caseworker finds the measurement that is missing, then the conversation that is due."""
    await project(tx, [saved(a_case(a_running(a_due())))])

    found = await work_list(
        tx,
        tenant=TENANT,
        role="caseworker",
        owner_id=DEPARTMENT,
        now=JUNE,
        days=local_days(MODELS, JUNE),
    )

    assert [(row["what"], row["evaluation_id"]) for row in found] == [
        ("measurement_start", None),
        ("conclusion", EVALUATION),
    ]
    assert (found[1]["agreement_id"], found[1]["due_on"]) == (AGREEMENT, DUE_ON)


@pytest.mark.parametrize(
    ("now", "counted"),
    [
        (datetime(2026, 9, 8, 21, 30, tzinfo=UTC), []),
        (datetime(2026, 9, 8, 22, 30, tzinfo=UTC), sorted(DIMENSIONS)),  # past midnight in Kerteminde
    ],
)
async def test_an_outcome_counts_from_its_day_by_the_models_calendar(
    tx: Session, now: datetime, counted: list[str]
) -> None:
    """What should have been measured at the end counts from that local day on."""
    await project(tx, [saved(a_case(an_over(measured=measured("start"))))])

    found = await tallies(tx, tenant=TENANT, moment="end", now=now, days=local_days(MODELS, now))

    assert [one.dimension for one in found] == counted
    assert all((one.missing, one.children) == (1, 0) for one in found)
