"""Sample data for the directory: Kerteminde, one association, and one offer of it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from contracts.event import municipality_stream
from contracts.model import CollaborationModel, load_models, model_folder
from services.directory.domain.commands import (
    AdoptModel,
    ChangeCapacity,
    JoinOrganisation,
    LeaveOrganisation,
    PublishOffer,
    RegisterDepartment,
    RestoreAccess,
    RevokeAccess,
)
from services.directory.domain.lifecycle import decide
from services.directory.domain.states import (
    Joined,
    Left,
    Municipality,
    Offer,
    Organisation,
    Period,
    Restored,
    Revoked,
    State,
)
from services.kernel.decider.decision import Actor, Context

TENANT = "0440"
MUNICIPALITY = municipality_stream(TENANT)
DEPARTMENT = UUID("0198d100-0000-7000-8000-000000000001")
ORGANISATION = UUID("0198d100-0000-7000-8000-000000000002")
OTHER_ORGANISATION = UUID("0198d100-0000-7000-8000-000000000003")
OFFER = UUID("0198d100-0000-7000-8000-000000000004")
PERSON = UUID("0198d100-0000-7000-8000-000000000005")
OTHER_PERSON = UUID("0198d100-0000-7000-8000-000000000006")

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TODAY = date(2026, 3, 2)
A_YEAR_ON = date(2027, 3, 1)

MODELS: Mapping[str, CollaborationModel] = load_models(model_folder())
MODEL = MODELS["kerteminde/1"]


def an_actor(role: str, organisation_id: UUID | None = None, tenant: str = TENANT) -> Actor:
    """Return somebody in a role."""
    return Actor(PERSON, role, tenant, organisation_id)


def context(
    stream_id: UUID,
    now: datetime = NOW,
    *,
    others: Mapping[UUID, Any] | None = None,
    actor: Actor | None = None,
    models: Mapping[str, CollaborationModel] = MODELS,
) -> Context:
    """Return the context of a step; by default the municipality and the organisation are as usual."""
    beside = {MUNICIPALITY: a_municipality(), ORGANISATION: an_organisation()} if others is None else others
    return Context(now, stream_id, TENANT, actor or an_actor("administrator"), models, beside)


def a_municipality() -> Municipality:
    """Return Kerteminde, which follows its own model."""
    adopting = Context(NOW, MUNICIPALITY, TENANT, an_actor("administrator"), MODELS)
    state = decide(None, AdoptModel("kerteminde", 1), adopting).state
    assert isinstance(state, Municipality)
    return state


def a_municipality_with_a_department() -> Municipality:
    """Return Kerteminde after it has named a department."""
    state = decide(a_municipality(), registering(), context(MUNICIPALITY)).state
    assert isinstance(state, Municipality)
    return state


def an_organisation(declaration_until: date = A_YEAR_ON) -> Organisation:
    """Return an association that takes part."""
    return Organisation("Børns Voksenvenner", "12345678", Joined("kerteminde_1", TODAY, declaration_until))


def a_left_organisation() -> Organisation:
    """Return an association that takes part no longer."""
    return Organisation("Børns Voksenvenner", "12345678", Left(TODAY), (Period(TODAY, TODAY, "x"),))


def an_offer() -> Offer:
    """Return an adult friend for a child between six and fifteen, four at a time."""
    return Offer(
        organisation_id=ORGANISATION,
        title="En voksenven",
        theme="mentor",
        format="one_to_one",
        age_from=6,
        age_to=15,
        areas=(TENANT,),
        price="free",
        places=4,
        as_of=TODAY,
    )


def joining(
    terms: str = "kerteminde_1", declaration_until: date = A_YEAR_ON, *, again: bool = False
) -> JoinOrganisation:
    """Return the command by which the association comes in."""
    return JoinOrganisation(MUNICIPALITY, "Børns Voksenvenner", "12345678", terms, declaration_until, again)


def leaving() -> LeaveOrganisation:
    """Return the command by which the association leaves."""
    return LeaveOrganisation(MUNICIPALITY, "too_few_volunteers")


def publishing(
    *,
    theme: str = "mentor",
    format: str = "one_to_one",  # noqa: A002  the word of the command
    price: str = "free",
    age_from: int = 6,
    age_to: int = 15,
    organisation_id: UUID = ORGANISATION,
) -> PublishOffer:
    """Return the command by which the offer is published."""
    return PublishOffer(
        municipality_id=MUNICIPALITY,
        organisation_id=organisation_id,
        title="En voksenven",
        theme=theme,
        format=format,
        age_from=age_from,
        age_to=age_to,
        areas=(TENANT,),
        price=price,
        places=4,
    )


def registering(kind: str = "child_welfare", *, again: bool = False) -> RegisterDepartment:
    """Return the command by which a department is named."""
    return RegisterDepartment(DEPARTMENT, kind, "Familieafdelingen", again)


def revoking() -> RevokeAccess:
    """Return the command by which somebody is let in no more."""
    return RevokeAccess(OTHER_PERSON)


def restoring() -> RestoreAccess:
    """Return the command by which they are let in again."""
    return RestoreAccess(OTHER_PERSON)


def a_municipality_that_revoked(*, restored: bool = False) -> Municipality:
    """Return Kerteminde, which lets one person in no more, or again."""
    access = Restored(NOW) if restored else Revoked(NOW)
    return replace(a_municipality(), accesses={str(OTHER_PERSON): access})


def states() -> tuple[State, ...]:
    """Return an example of every state."""
    return (
        a_municipality(),
        a_municipality_with_a_department(),
        a_municipality_that_revoked(),
        a_municipality_that_revoked(restored=True),
        an_organisation(),
        a_left_organisation(),
        an_offer(),
    )


def commands() -> tuple[object, ...]:
    """Return an example of every command."""
    return (
        AdoptModel("kerteminde", 1),
        registering(),
        revoking(),
        restoring(),
        joining(),
        leaving(),
        publishing(),
        ChangeCapacity(MUNICIPALITY, 3),
    )
