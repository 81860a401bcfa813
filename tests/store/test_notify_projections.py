"""Notices in PostgreSQL: what inboxes list, page by page, and what figures count."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, get_args
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from contracts.event import Event
from services.kernel.decider.service import StreamChange
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from services.notify.app import SERVICE
from services.notify.domain.states import Case, Delivered, Mail, Read, State
from services.notify.projections import case_of, contact_of, figures, inbox, project, unread
from tests.examples_notify import (
    AUNT,
    CASE,
    CASEWORKER,
    DEPARTMENT,
    FATHER,
    MOTHER,
    NOW,
    ORGANISATION,
    REACHED,
    TENANT,
    a_case,
    accepted,
    at,
    consume,
    custody_recorded,
    lost,
    meeting_invited,
    minuted_for,
    notice_to,
    progress_nudged,
    proposed,
    sent,
    states,
    withdrawn,
)

FIRST: dict[str, Any] = {"unread": False, "before": None, "limit": 50}

_CHECK = "select pg_get_constraintdef(oid) from pg_constraint where conname = $1"


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to empty inboxes."""
    await migrate(postgres_dsn, SERVICE)
    connection = await connect(postgres_dsn, schema="notify")
    yield connection
    await connection.close()


def saved(state: State, before: object = None, stream_id: UUID = CASE) -> StreamChange:
    """Return a stream as it was just saved."""
    return StreamChange(stream_id, TENANT, 1, before, state, (), ())


async def _kinds(tx: Session, recipient_id: UUID, role: str) -> list[str]:
    rows = await inbox(tx, tenant=TENANT, recipient_ids=[recipient_id], roles=[role], **FIRST)
    return [row["kind"] for row in rows]


def _then(case: Case, events: Sequence[Event]) -> Case:
    after, _ = consume([(event, at(20 + day)) for day, event in enumerate(events)], case)
    assert isinstance(after, Case)
    return after


@pytest.mark.parametrize("state", states(), ids=lambda state: type(state).__name__)
async def test_every_state_is_projected(tx: Session, state: State) -> None:
    """The database takes the rows of each state, writes them once, and deletes them again."""
    expected = len(state.notices) if isinstance(state, Case) else 0

    for before in (None, state):
        await project(tx, [saved(state, before)])
        assert await tx.fetchval("select count(*) from notices") == expected
    await project(tx, [saved(Case(), state)])
    assert await tx.fetchval("select count(*) from notices") == 0


@pytest.mark.parametrize(
    ("name", "union"),
    [("notices_mail_is_known", Mail), ("streams_hold_a_case_a_recipient_or_parties", State)],
)
async def test_the_database_repeats_the_states(tx: Session, name: str, union: object) -> None:
    """A new state needs a migration; each check names exactly the tags of the states."""
    check = await tx.fetchval(_CHECK, name)

    assert set(re.findall(r"'(\w+)'", check)) == {one.__struct_config__.tag for one in get_args(union)}


async def test_an_inbox_lists_the_newest_first(tx: Session) -> None:
    """The organisation sees its own notices, with the codes that it may know."""
    await project(tx, [saved(a_case(sent(), accepted(), meeting_invited()))])

    rows = await inbox(tx, tenant=TENANT, recipient_ids=[ORGANISATION], roles=["coordinator"], **FIRST)

    assert [row["kind"] for row in rows] == ["meeting_invited", "referral_sent"]
    assert rows[0]["codes"]["meeting_by"] == "2026-03-16"
    assert rows[0]["case_id"] == CASE


async def test_an_inbox_is_read_page_by_page(tx: Session) -> None:
    """Each page begins where the one before ended."""
    await project(tx, [saved(a_case(sent(), accepted(), meeting_invited(), proposed()))])

    before, kinds = None, []
    while page := await inbox(
        tx, tenant=TENANT, recipient_ids=[MOTHER], roles=["family"], unread=False, before=before, limit=2
    ):
        kinds += [row["kind"] for row in page]
        before = (page[-1]["at"], page[-1]["notice_id"])

    assert kinds == [
        "agreement_proposed", "meeting_invited", "referral_accepted", "consent_granted", "consent_requested",
    ]  # fmt: skip


async def test_an_inbox_belongs_to_one_recipient_in_one_role_of_one_municipality(tx: Session) -> None:
    """A person's notices as a guardian are not among those they have as a caseworker, nor elsewhere."""
    await project(tx, [saved(a_case(sent(), accepted(), progress_nudged("leader")))])

    assert await _kinds(tx, MOTHER, "caseworker") == []
    assert await _kinds(tx, DEPARTMENT, "leader") == ["progress_nudged"]
    assert await _kinds(tx, CASEWORKER, "caseworker") == ["referral_accepted"]
    assert await inbox(tx, tenant="0657", recipient_ids=[MOTHER], roles=["family"], **FIRST) == []
    assert (
        await case_of(tx, tenant="0657", notice_id=notice_to(a_case(sent()), ORGANISATION, "referral_sent"))
        is None
    )


@pytest.mark.req("K3")
async def test_what_an_organisation_may_no_longer_read_leaves_its_inbox(tx: Session) -> None:
    """With the withdrawal all of its notices are gone, but for the one to stop."""
    open_case = a_case(sent(), accepted())
    closed = _then(open_case, [lost(), withdrawn()])
    await project(tx, [saved(open_case)])
    await project(tx, [saved(closed, open_case)])

    assert await _kinds(tx, ORGANISATION, "coordinator") == ["referral_withdrawn"]
    hidden = notice_to(closed, ORGANISATION, "referral_sent")
    assert await case_of(tx, tenant=TENANT, notice_id=hidden) is None


async def test_a_notice_that_is_taken_back_leaves_the_inbox(tx: Session) -> None:
    """Custody had passed on before: the row goes, and the new holder's comes."""
    early = a_case(sent(), accepted())
    late, _ = consume([(custody_recorded(AUNT), at(1))], early)
    assert isinstance(late, Case)
    await project(tx, [saved(early)])
    await project(tx, [saved(late, early)])

    assert await _kinds(tx, FATHER, "family") == []
    assert "referral_accepted" in await _kinds(tx, AUNT, "family")
    assert await tx.fetchval("select count(*) from notices") == len(late.notices)


async def test_what_is_read_counts_no_more_among_the_unread(tx: Session) -> None:
    """Reading takes one from the number beside the inbox."""
    case = a_case(sent(), accepted())
    notice_id = notice_to(case, MOTHER, "referral_accepted")
    notices = {**case.notices, notice_id: replace(case.notices[notice_id], reading=Read(NOW))}
    read = replace(case, notices=notices)
    whose: dict[str, Any] = {"tenant": TENANT, "recipient_ids": [MOTHER], "roles": ["family"]}

    await project(tx, [saved(case)])
    before = await unread(tx, **whose)
    await project(tx, [saved(read, case)])

    assert (before, await unread(tx, **whose)) == (3, 2)
    rows = await inbox(tx, **whose, unread=True, before=None, limit=50)
    assert [row["kind"] for row in rows] == ["consent_granted", "consent_requested"]


async def test_figures_count_by_kind_and_by_outcome_of_the_mail(tx: Session) -> None:
    """A municipality sees how many notices there are, not whose."""
    await project(tx, [saved(a_case(sent()))])

    assert await figures(tx, tenant=TENANT) == [
        {"kind": "consent_granted", "mail": None, "notices": 2, "cases": 1},
        {"kind": "consent_requested", "mail": None, "notices": 1, "cases": 1},
        {"kind": "referral_sent", "mail": None, "notices": 1, "cases": 1},
        {"kind": None, "mail": "queued", "notices": 4, "cases": 1},
    ]
    assert await figures(tx, tenant="0657") == []


async def test_only_cases_have_notices(tx: Session) -> None:
    """A recipient's stream leaves no notice, but where it is found; of two first ones the later holds."""
    first, later = UUID(int=1), UUID(int=2)
    await project(tx, [saved(REACHED, stream_id=first)])
    await project(tx, [saved(REACHED, REACHED, stream_id=UUID(int=3))])
    found = await contact_of(tx, tenant=TENANT, recipient_id=MOTHER)
    await project(tx, [saved(REACHED, stream_id=later)])

    assert await tx.fetchval("select count(*) from notices") == 0
    assert (found, await contact_of(tx, tenant=TENANT, recipient_id=MOTHER)) == (first, later)
    assert await contact_of(tx, tenant="0657", recipient_id=MOTHER) is None


async def test_an_employee_reads_their_own_notices_and_those_of_the_department(tx: Session) -> None:
    """One list, newest first, of both inboxes."""
    await project(tx, [saved(a_case(sent(), minuted_for(), accepted()))])

    whose: dict[str, Any] = {"recipient_ids": [CASEWORKER, DEPARTMENT], "roles": ["caseworker", "colleague"]}
    rows = await inbox(tx, tenant=TENANT, **whose, **FIRST)

    assert [(row["kind"], row["role"]) for row in rows] == [
        ("referral_accepted", "caseworker"),
        ("confirmation_awaited", "colleague"),
    ]
    assert await unread(tx, tenant=TENANT, **whose) == 2


@pytest.mark.parametrize("size", [1, 100, 2000])
async def test_a_batch_of_any_size_is_written(tx: Session, size: int) -> None:
    """One statement writes one notice or two thousand, and again when they change."""
    case = a_case()
    (notification_id,) = {notice.notification_id for notice in a_case(sent()).notices.values()} - {
        notice.notification_id for notice in case.notices.values()
    }
    notification = a_case(sent()).notifications[notification_id]
    some = next(iter(case.notices.values()))
    many = Case(
        notifications={some.notification_id: replace(notification, audience="caseworker")},
        notices={UUID(int=n + 1): some for n in range(size)},
    )
    sent_off = replace(many, notices={at: replace(one, mail=Delivered()) for at, one in many.notices.items()})

    await project(tx, [saved(many)])
    await project(tx, [saved(sent_off, many)])
    await project(tx, [saved(Case(), sent_off)])
    assert await tx.fetchval("select count(*) from notices") == 0

    await project(tx, [saved(sent_off)])
    assert await figures(tx, tenant=TENANT) == [
        {"kind": "referral_sent", "mail": None, "notices": size, "cases": 1},
        {"kind": None, "mail": "delivered", "notices": size, "cases": 1},
    ]


async def test_a_stream_holds_a_case_or_a_recipient(tx: Session) -> None:
    """The database repeats what states there are."""
    with pytest.raises(asyncpg.CheckViolationError):
        await tx.execute(
            "insert into streams (stream_id, tenant, version, seq, marks, kind, state) "
            "values ($1, '0440', 1, 0, '{}', 'other', '{}')",
            CASE,
        )
