"""The directory's projections on PostgreSQL: every state is written, and its rows are read back."""

import re
from collections.abc import AsyncIterator
from typing import get_args
from uuid import UUID

import pytest

from services.directory.app import SERVICE
from services.directory.domain.states import (
    AccountMembership,
    Holder,
    InvitationStage,
    Membership,
    Organisation,
    State,
)
from services.directory.projections import project
from services.directory.projections.catalogue import offers, organisations
from services.kernel.decider.service import StreamChange
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from tests import examples_accounts as people
from tests.examples_directory import (
    A_YEAR_ON,
    MUNICIPALITY,
    OFFER,
    ORGANISATION,
    OTHER_ORGANISATION,
    TENANT,
    TODAY,
    a_left_organisation,
    a_municipality,
    an_offer,
    an_organisation,
    states,
)

_CHECK = "select pg_get_constraintdef(oid) from pg_constraint where conname = $1"


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to an empty catalogue."""
    await migrate(postgres_dsn, SERVICE)
    connection = await connect(postgres_dsn, schema="directory")
    yield connection
    await connection.close()


def changed(stream_id: UUID, state: State | None, version: int = 1) -> StreamChange:
    """Return a stream as it was just saved."""
    return StreamChange(stream_id, TENANT, version, None, state, (), ())


async def statuses(tx: Session) -> dict[UUID, str]:
    """Return the status of each organisation in the list."""
    return {row["organisation_id"]: row["status"] for row in await organisations(tx, tenant=TENANT)}


@pytest.mark.parametrize("state", [*states(), *people.states()], ids=lambda state: type(state).__name__)
async def test_every_state_is_projected(tx: Session, state: State) -> None:
    """The database takes the rows of each state, once and again."""
    for version in (1, 2):
        await project(tx, [changed(ORGANISATION, state, version)])


def test_the_examples_are_all_the_states() -> None:
    """No document and no membership is left out of the test above."""
    assert {type(state) for state in (*states(), *people.states())} == set(get_args(State))
    memberships = {type(state.membership) for state in states() if isinstance(state, Organisation)}
    assert memberships == set(get_args(Membership))


@pytest.mark.parametrize(
    ("name", "union"),
    [
        ("organisations_status_is_known", Membership),
        ("streams_are_of_the_directory", State),
        ("memberships_status_is_known", AccountMembership),
        ("invitations_status_is_known", InvitationStage),
        ("accounts_kind_is_known", Holder),
    ],
)
async def test_the_database_repeats_the_states(tx: Session, name: str, union: object) -> None:
    """A new state needs a migration; each check names exactly the tags of the states."""
    check = await tx.fetchval(_CHECK, name)

    assert set(re.findall(r"'(\w+)'", check)) == {one.__struct_config__.tag for one in get_args(union)}


async def test_the_list_shows_who_takes_part_and_who_did(tx: Session) -> None:
    """Each organisation stands there once, with its status and its days."""
    await project(tx, [changed(ORGANISATION, an_organisation())])
    await project(tx, [changed(OTHER_ORGANISATION, a_left_organisation(), 2)])

    rows = {row["organisation_id"]: row for row in await organisations(tx, tenant=TENANT)}
    joined, left = rows[ORGANISATION], rows[OTHER_ORGANISATION]
    assert (joined["status"], joined["joined_on"], joined["left_on"]) == ("joined", TODAY, None)
    assert (joined["declaration_until"], joined["version"]) == (A_YEAR_ON, 1)
    assert (left["status"], left["joined_on"], left["left_on"]) == ("left", None, TODAY)
    assert await organisations(tx, tenant="0657") == []


async def test_the_catalogue_shows_offers_of_those_who_take_part(tx: Session) -> None:
    """When its organisation leaves, an offer is no longer in the catalogue."""
    await project(tx, [changed(ORGANISATION, an_organisation()), changed(OFFER, an_offer())])
    (shown,) = await offers(tx, tenant=TENANT)
    await project(tx, [changed(ORGANISATION, a_left_organisation(), 2)])

    assert (shown["offer_id"], shown["places"], shown["areas"]) == (OFFER, 4, [TENANT])
    assert await offers(tx, tenant=TENANT) == []
    assert await statuses(tx) == {ORGANISATION: "left"}


@pytest.mark.parametrize("state", [a_municipality(), None], ids=["municipality", "accesses"])
async def test_other_streams_have_no_row(tx: Session, state: State | None) -> None:
    """A municipality is read from its stream alone, and a stream of refused accesses has no state."""
    await project(tx, [changed(MUNICIPALITY, state)])

    assert await organisations(tx, tenant=TENANT) == []
    assert await offers(tx, tenant=TENANT) == []


async def test_the_stream_of_a_persons_accesses_has_no_row(tx: Session) -> None:
    """It holds events without a state: a denied command is recorded, and answered 404 and not 500."""
    await project(tx, [StreamChange(new_id(), TENANT, 1, None, None, (), ())])

    assert await organisations(tx, tenant=TENANT) == []
