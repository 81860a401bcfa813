"""The entries of the trail in PostgreSQL: written once, read in order, never changed."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.audit.app import SERVICE
from services.audit.projections import BEGINNING, END, figures, project, search, trail_of
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from tests.examples_audit import (
    CASE,
    CASEWORKER,
    READINGS_OF_CASEWORKER,
    STRANGER,
    TENANT,
    a_life,
    consumed,
    events,
    minute,
    saved,
    was_read,
)

WHOLE: dict[str, Any] = {"after": BEGINNING, "until": END, "limit": 50}


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to an empty trail."""
    await migrate(postgres_dsn, SERVICE)
    connection = await connect(postgres_dsn, schema="audit")
    yield connection
    await connection.close()


def _details(rows: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [(row["type"], row["actor"], row["what"], row["purpose"], row["slug"]) for row in rows]


async def test_every_event_is_projected(tx: Session) -> None:
    """The database takes an entry of each event of any service."""
    kept = [consumed(event, n, seq=n) for n, event in enumerate(events(), 1)]

    await project(tx, [saved(CASE, *kept)])

    rows = await search(tx, tenant=TENANT, actor=CASEWORKER, type=None, after=BEGINNING, until=END, limit=500)
    assert [row["type"] for row in rows] == [event.type for event in events()]


async def test_the_trail_of_a_case_holds_changes_readings_and_refusals(tx: Session) -> None:
    """Who did what, who read what and what for, who was refused: in the order of its time."""
    await project(tx, a_life())

    rows = await trail_of(tx, tenant=TENANT, case_id=CASE, after=BEGINNING, limit=50)

    assert _details(rows) == [
        ("referral.case_opened.v1", CASEWORKER, [], None, None),
        ("referral.views_noted.v1", CASEWORKER, [], None, None),
        ("referral.looked.v1", CASEWORKER, ["child", "views"], "casework", None),
        ("consent.access_refused.v1", STRANGER, ["look"], None, "not_allowed"),
    ]
    assert {row["case_id"] for row in rows} == {CASE}


async def test_the_trail_is_read_page_by_page(tx: Session) -> None:
    """Each page begins where the one before ended, and the pages together are the trail."""
    await project(tx, a_life())

    after, found = BEGINNING, []
    while page := await trail_of(tx, tenant=TENANT, case_id=CASE, after=after, limit=3):
        found += [row["type"] for row in page]
        after = (page[-1]["at"], page[-1]["event_id"])

    assert len(found) == len(set(found)) == 4


async def test_another_municipality_sees_nothing_of_it(tx: Session) -> None:
    """A municipality's trail is its own."""
    await project(tx, a_life())

    assert await trail_of(tx, tenant="0657", case_id=CASE, after=BEGINNING, limit=50) == []
    assert await search(tx, tenant="0657", actor=CASEWORKER, type=None, **WHOLE) == []
    assert await figures(tx, tenant="0657") == []


@pytest.mark.parametrize(
    ("actor", "kind", "found"),
    [
        (None, None, 4),
        (CASEWORKER, None, 3),
        (CASEWORKER, "referral.looked.v1", 1),
        (None, "consent.access_refused.v1", 1),
        (STRANGER, "referral.looked.v1", 0),
    ],
)
async def test_the_trail_is_searched(tx: Session, actor: UUID | None, kind: str | None, found: int) -> None:
    """By person, by type, or by both."""
    await project(tx, a_life())

    assert len(await search(tx, tenant=TENANT, actor=actor, type=kind, **WHOLE)) == found


async def test_a_search_keeps_to_its_time(tx: Session) -> None:
    """From a moment on, and before another."""
    await project(tx, a_life())

    after = (minute(2), UUID(int=0))
    rows = await search(tx, tenant=TENANT, actor=None, type=None, after=after, until=minute(4), limit=50)

    assert [row["at"] for row in rows] == [minute(2), minute(3)]


async def test_a_missing_entry_shows(tx: Session) -> None:
    """A stream whose numbers do not add up is counted among those with holes."""
    await project(tx, a_life())
    whole = await figures(tx, tenant=TENANT)
    await project(tx, [saved(READINGS_OF_CASEWORKER, consumed(was_read(), 9, seq=3))])

    assert whole == [
        {"source": "consent", "entries": 1, "streams": 1, "with_holes": 0, "latest": minute(4)},
        {"source": "referral", "entries": 3, "streams": 2, "with_holes": 0, "latest": minute(3)},
    ]
    assert (await figures(tx, tenant=TENANT))[1]["with_holes"] == 1


@pytest.mark.parametrize(
    "tampering",
    ["update entries set role = 'other'", "delete from entries where seq = 1", "truncate entries"],
)
async def test_the_trail_cannot_be_altered(tx: Session, tampering: str) -> None:
    """What stands there stays: the database itself refuses to change, delete or empty it."""
    await project(tx, a_life())

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await tx.execute(tampering)

    assert len(await trail_of(tx, tenant=TENANT, case_id=CASE, after=BEGINNING, limit=50)) == 4


@pytest.mark.parametrize("size", [1, 100, 2000])
async def test_a_batch_of_any_size_is_written(tx: Session, size: int) -> None:
    """One statement writes one entry or two thousand."""
    for _ in range(2):
        base = await tx.fetchval("select count(*) from entries")
        events = [consumed(was_read(), base + n + 1, seq=base + n + 1) for n in range(size)]
        await project(tx, [saved(READINGS_OF_CASEWORKER, *events)])

    [found] = await figures(tx, tenant=TENANT)
    assert (found["entries"], found["streams"], found["with_holes"]) == (2 * size, 1, 0)
