"""Projections of the referral service on PostgreSQL: each state is written, read back and rebuilt."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final, get_args

import pytest

from contracts.event import Event, service_of
from contracts.referral import ReferralAccepted, ReferralDrafted
from services.kernel.decider.decision import SYSTEM
from services.kernel.decider.service import EventMetadata, RecordedEvent, StreamChange
from services.kernel.ids import new_id
from services.kernel.postgres.connections import connect
from services.kernel.postgres.migrations import migrate
from services.referral.app import SERVICE
from services.referral.domain.deadlines import waiting
from services.referral.domain.states import Case, Ending, Referral, State
from services.referral.projections.queries import answers, case_counts, cases_of, inbox, pace, referral_counts
from services.referral.projections.tables import project, rebuild
from tests.examples_referral import (
    CASE,
    DEPARTMENT,
    NOW,
    OFFER,
    ORGANISATION,
    REFERRAL,
    TENANT,
    TODAY,
    a_case,
    a_consent,
    a_sent,
    an_eligibility,
    consent_of,
    documents,
    referrals,
)

ONE_PART: Final[dict[str, Any]] = {"status": None, "before": None, "limit": 10}
CASES: Final = {
    "opened": a_case(views=None, eligibility=None),
    "views_noted": a_case(eligibility=None),
    "eligible": a_case(),
    "not_eligible": a_case(eligibility=an_eligibility(eligible=False)),
    "closed": a_case(ending=Ending("family_moved", NOW)),
}
STATUS_CHECKS: Final = """
select conname, pg_get_constraintdef(oid) from pg_constraint where conname = any ($1::text[])
"""


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Any]:
    """Lend a connection to empty tables."""
    await migrate(postgres_dsn, SERVICE)
    connection = await connect(postgres_dsn, schema="referral")
    yield connection
    await connection.close()


def recorded(event: Event) -> RecordedEvent:
    """Return an event as it stands in the log."""
    meta = EventMetadata(NOW, str(SYSTEM), "system", str(SYSTEM), str(SYSTEM))
    return RecordedEvent(new_id(), service_of(event.type), 1, event.type, event, meta)


def drafted() -> RecordedEvent:
    """Return the first event of a referral."""
    return recorded(
        ReferralDrafted(
            referral_id=REFERRAL,
            organisation_id=ORGANISATION,
            offer_id=OFFER,
            purposes=("networks",),
            public_help=(),
        )
    )


def changed(state: State, *events: RecordedEvent, before: State | None = None) -> StreamChange:
    """Return a stream as it was just saved."""
    return StreamChange(CASE, TENANT, 1, before, state, events, ())


async def rows(tx: Any, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table."""
    return [dict(row) for row in await tx.fetch(f"select * from {table}")]  # noqa: S608  a table of ours


def test_the_examples_are_all_the_states() -> None:
    """No state is left out of the tests below."""
    assert {type(referral) for referral in referrals()} == set(get_args(Referral))
    assert {type(document) for document in documents()} == set(get_args(State))


@pytest.mark.parametrize("referral", referrals(), ids=lambda referral: str(referral.__struct_config__.tag))
async def test_every_state_of_a_referral_has_its_row(tx: Any, referral: Referral) -> None:
    """Status, reason, day and punctuality are those of the state; projected again, the row stays."""
    case, wait = a_case(referral, consent_of(referral)), waiting(referral)

    await project(tx, [changed(case, drafted())])
    await project(tx, [changed(case, before=a_case())])
    (row,) = await rows(tx, "referrals")

    assert row["status"] == referral.__struct_config__.tag
    assert row["reason"] == referral.reason
    assert row["due_on"] == (wait.until if wait else None)
    assert row["in_time"] == referral.in_time
    assert row["drafted_at"] == NOW


@pytest.mark.parametrize("referral", referrals(), ids=lambda referral: str(referral.__struct_config__.tag))
async def test_a_rebuild_writes_the_same_rows(tx: Any, referral: Referral) -> None:
    """From the state and the events of a case both tables are as the projection wrote them."""
    case = a_case(referral, consent_of(referral))
    await project(tx, [changed(case, drafted())])
    projected = await rows(tx, "cases"), await rows(tx, "referrals")
    await tx.execute("delete from referrals; delete from cases")

    await rebuild(tx, [changed(case, drafted())])

    assert (await rows(tx, "cases"), await rows(tx, "referrals")) == projected


@pytest.mark.parametrize("status", CASES)
async def test_every_status_of_a_case_has_its_row(tx: Any, status: str) -> None:
    """A case is listed under the step that it has reached, and counted with its reason."""
    await project(tx, [changed(CASES[status])])

    (row,) = await case_counts(tx, tenant=TENANT)

    reason = "family_moved" if status == "closed" else ""
    assert row == {"status": status, "reason": reason, "count": 1, "people": 1}


@pytest.mark.parametrize("document", documents(), ids=lambda document: type(document).__name__)
async def test_only_a_case_has_rows(tx: Any, document: State) -> None:
    """An expected case, an offer, an organisation and a municipality stand in no list."""
    events = (drafted(),) if isinstance(document, Case) else ()

    await project(tx, [changed(document, *events)])

    assert len(await rows(tx, "cases")) == len(await rows(tx, "referrals")) == len(events)


async def test_the_checks_of_the_database_are_the_states_of_the_code(tx: Any) -> None:
    """A new state cannot be forgotten in the schema: its tag is in the check, and no other is."""
    names = ["referrals_status_is_a_state", "streams_kind_is_a_state", "cases_status_is_listed"]
    checks = {name: set(re.findall(r"'(\w+)'", text)) for name, text in await tx.fetch(STATUS_CHECKS, names)}

    assert checks == {
        "referrals_status_is_a_state": {str(one.__struct_config__.tag) for one in get_args(Referral)},
        "streams_kind_is_a_state": {str(one.__struct_config__.tag) for one in get_args(State)},
        "cases_status_is_listed": set(CASES),
    }


async def test_a_department_lists_its_cases_with_their_referrals(tx: Any) -> None:
    """The list is in the streams' order and holds each referral's status and day."""
    case = a_case(a_sent(), a_consent())
    await tx.execute(
        "insert into streams (stream_id, tenant, version, seq, marks, kind, state)"
        " values ($1, $2, 7, 0, '{}', 'case', '{}')",
        CASE,
        TENANT,
    )
    await project(tx, [changed(case, drafted())])

    (listed,) = await cases_of(tx, tenant=TENANT, department_id=DEPARTMENT, **ONE_PART)
    elsewhere = await cases_of(tx, tenant="0461", department_id=DEPARTMENT, **ONE_PART)

    assert (listed["case_id"], listed["version"], listed["status"]) == (CASE, 7, "eligible")
    assert (listed["statuses"], listed["due"]) == (["sent"], [a_sent().answer_by])
    assert elsewhere == []
    assert await inbox(tx, tenant=TENANT, organisation_id=ORGANISATION, now=NOW, after=None, limit=9) == []


async def test_the_figures_count_answers_and_those_in_time(tx: Any) -> None:
    """An accepted referral stays counted as answered in time, whatever becomes of it."""
    accepted = next(one for one in referrals() if one.__struct_config__.tag == "accepted")
    closed = next(one for one in referrals() if one.__struct_config__.tag == "closed")
    answer = ReferralAccepted(
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        offer_id=OFFER,
        purposes=("networks",),
        model="kerteminde",
        model_version=1,
        accepted_at=NOW,
        meeting_by=TODAY,
    )
    case = a_case(accepted, a_consent())
    await project(tx, [changed(case, drafted(), recorded(answer))])
    await project(tx, [changed(a_case(closed, a_consent()), before=case)])

    found = {row["name"]: (row["count"], row["people"]) for row in await answers(tx, tenant=TENANT)}
    lasted = {row["step"]: row["people"] for row in await pace(tx, tenant=TENANT)}

    assert found == {"asked": (0, 0), "answered": (1, 1), "answered_in_time": (1, 1)}
    assert set(lasted.values()) == {0}
    assert await referral_counts(tx, tenant=TENANT) == [
        {"status": "closed", "reason": "goals_reached", "count": 1, "people": 1}
    ]
