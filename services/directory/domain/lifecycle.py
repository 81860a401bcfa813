"""Lifecycles of the directory: adopted model, accesses, departments, memberships of organisations, offers."""

from typing import Any, Final
from uuid import UUID

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
from services.directory.domain.refusals import OrganisationUnknown
from services.directory.domain.states import (
    Adoption,
    Department,
    Joined,
    Left,
    Municipality,
    Offer,
    Organisation,
    Restored,
    Revoked,
    State,
)
from services.directory.domain.steps import (
    adopt_model,
    change_capacity,
    join,
    leave,
    publish,
    register_department,
    restore_access,
    revoke_access,
    stay_as_it_is,
)
from services.directory.domain.transition import Transition
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row
from services.kernel.errors import InvalidTransition, NotFound

MODEL: Final = Lifecycle(
    "adopted model",
    (Adoption,),
    on_command=(
        row(ABSENT, AdoptModel, adopt_model, Adoption),
        row(Adoption, AdoptModel, adopt_model),
    ),
)

DEPARTMENT: Final = Lifecycle(
    "department",
    (Department,),
    on_command=(
        row(ABSENT, RegisterDepartment, register_department, Department),
        row(Department, RegisterDepartment, register_department),
    ),
)

ORGANISATION: Final = Lifecycle(
    "organisation",
    (Joined, Left),
    on_command=(
        row(ABSENT, JoinOrganisation, join, Joined),
        row(Joined, JoinOrganisation, join),
        row(Left, JoinOrganisation, join, Joined),
        row(Joined, LeaveOrganisation, leave, Left),
        row(Left, LeaveOrganisation, stay_as_it_is),
    ),
)

OFFER: Final = Lifecycle(
    "offer",
    (Offer,),
    on_command=(
        row(ABSENT, PublishOffer, publish, Offer),
        row(Offer, PublishOffer, stay_as_it_is),
        row(Offer, ChangeCapacity, change_capacity),
    ),
)

ACCESS: Final = Lifecycle(
    "access",
    (Revoked, Restored),
    on_command=(
        row(ABSENT, RevokeAccess, revoke_access, Revoked),
        row(Restored, RevokeAccess, revoke_access, Revoked),
        row(Revoked, RevokeAccess, stay_as_it_is),
        row(Revoked, RestoreAccess, restore_access, Restored),
        row(Restored, RestoreAccess, stay_as_it_is),
    ),
)

LIFECYCLES: Final = (MODEL, ACCESS, DEPARTMENT, ORGANISATION, OFFER)


def related_streams(_state: State | None, trigger: Any) -> tuple[UUID, ...]:
    """Name the municipality, whose model a step follows, and the organisation that an offer is of."""
    match trigger:
        case JoinOrganisation() | LeaveOrganisation() | ChangeCapacity():
            return (trigger.municipality_id,)
        case PublishOffer():
            return (trigger.municipality_id, trigger.organisation_id)
    return ()


def decide(state: State | None, trigger: Any, context: Context) -> Decision:
    """Return the stream after a command, and its events.

    Raises `NotFound` where there is nothing to change, or something else under the id; `OrganisationUnknown`
    where that is to join again; `InvalidTransition` where the command does not fit.
    """
    lifecycle, before = _subject(state, trigger)
    step = lifecycle.step(before, trigger) if lifecycle else None
    if step is not None:
        return step(Transition(state, context), before, trigger)
    if isinstance(trigger, JoinOrganisation):
        raise OrganisationUnknown
    if state is None or lifecycle is None:
        raise NotFound
    raise InvalidTransition(type(trigger).__name__)


def _subject(state: State | None, trigger: Any) -> tuple[Lifecycle | None, object]:
    """Return whose lifecycle a command concerns, and in which state of it the document is."""
    match state, trigger:
        case ((None | Municipality()), AdoptModel()):
            return MODEL, state and state.adoption
        case ((None | Municipality()), RevokeAccess() | RestoreAccess()):
            return ACCESS, state and state.accesses.get(trigger.subject)
        case ((None | Municipality()), RegisterDepartment()):
            return DEPARTMENT, state and state.departments.get(trigger.department_id)
        case ((None | Organisation()), JoinOrganisation() | LeaveOrganisation()):
            return ORGANISATION, state and state.membership
        case ((None | Offer()), PublishOffer() | ChangeCapacity()):
            return OFFER, state
    return None, None
