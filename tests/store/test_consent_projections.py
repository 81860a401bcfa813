"""The projection of consent on PostgreSQL: every example state is stored, projected and read again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, get_args
from uuid import UUID

import msgspec
import pytest

from services.consent.app import SERVICE
from services.consent.domain.states import Case, Consent, Permission
from services.consent.projections import cases_of, project
from services.kernel.decider.service import RecordedEvent, StreamChange
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from tests.examples_consent import (
    CASE,
    FATHER,
    FIFTEEN,
    LATER,
    MOTHER,
    STRANGER,
    TENANT,
    YOUNG_PERSON,
    opened,
    recorded,
    the_mother,
)
from tests.story import Story
from tests.subject_consent import CASES, STEPS, SUBJECT

METADATA: Final[Any] = None
"""The projection uses types and bodies of events alone."""

A_STREAM: Final = """
insert into streams (stream_id, tenant, version, seq, marks, kind, state)
values ($1, $2, 7, 0, '{}', 'case', $3)
"""


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to an empty database of the service."""
    await migrate(postgres_dsn, SERVICE)
    connection = await connect(postgres_dsn, schema="consent")
    yield connection
    await connection.close()


async def store(tx: Session, story: Story[Case]) -> None:
    """Store the document of a story and project what it has published."""
    document = msgspec.json.encode(story.state).decode()
    await tx.execute(A_STREAM, CASE, TENANT, document)
    published = tuple(
        RecordedEvent(UUID(int=n), "consent", n, event.type, event, METADATA)
        for n, event in enumerate(story.events, 1)
    )
    await project(tx, [StreamChange(CASE, TENANT, 7, None, story.state, published, ())])


async def cases_in_which(tx: Session, person_id: UUID, tenant: str = TENANT) -> list[dict[str, Any]]:
    """Return the cases in which a person may be asked."""
    return await cases_of(tx, tenant=tenant, person_id=person_id)


@pytest.mark.parametrize("name", STEPS)
async def test_every_state_is_found_by_the_persons_who_may_be_asked(tx: Session, name: str) -> None:
    """Both parents find the case as it was stored, once custody is on record; nobody else does."""
    story = Story(SUBJECT).when(*STEPS[name])
    await store(tx, story)

    found = [{"case_id": CASE, "version": 7, "case": CASES[name]}] if CASES[name].custody else []
    assert await cases_in_which(tx, MOTHER) == await cases_in_which(tx, FATHER) == found
    assert await cases_in_which(tx, STRANGER) == []
    assert await cases_in_which(tx, MOTHER, tenant="0657") == []


def test_every_state_is_among_them() -> None:
    """A new state of a record or a permission must be stored and projected here."""
    found = {type(thing) for case in CASES.values() for _machine, thing in SUBJECT.things(case).values()}

    assert found == {*get_args(Consent), *get_args(Permission)}


async def test_a_young_person_and_a_former_holder_are_found_too(tx: Session) -> None:
    """A person is kept: they may have answered, and what they answered is theirs to see."""
    passed_on = recorded(the_mother(), born=FIFTEEN, young=YOUNG_PERSON, at=LATER)
    await store(tx, Story(SUBJECT).when(opened(), recorded(), passed_on))

    for person_id in (MOTHER, FATHER, YOUNG_PERSON):
        assert len(await cases_in_which(tx, person_id)) == 1


def test_the_schema_stores_no_status_beside_the_document() -> None:
    """There is no list of states in the schema that a new state would have to be added to."""
    (schema,) = (Path(SERVICE.schema)).glob("*.sql")

    assert "status" not in schema.read_text(encoding="utf-8")
