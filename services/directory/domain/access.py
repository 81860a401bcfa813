"""Access: administrators admit, coordinators offer, caseworkers let families in; the catalogue is for all.

Accounts are read by administrators, by their holders, and by the portal, which asks for whoever signs in.
"""

from typing import Any, Final
from uuid import UUID

from services.directory.domain.commands import (
    AddIdentity,
    AdoptModel,
    BindPerson,
    ChangeCapacity,
    EndMembership,
    GiveMembership,
    HandOver,
    JoinOrganisation,
    LeaveOrganisation,
    MakeInvitation,
    NoteWrongCode,
    PublishOffer,
    RecordDetails,
    RegisterDepartment,
    RegisterMachine,
    RenewMembership,
    RestoreAccess,
    RevokeAccess,
    RevokeInvitation,
    UseInvitation,
)
from services.directory.domain.states import (
    Account,
    AccountMembership,
    FamilyCase,
    Holder,
    Invitation,
    Machine,
    Municipality,
    Offer,
    Organisation,
    Position,
    Running,
    State,
)
from services.directory.domain.steps.guards import FAMILY
from services.kernel.decider.decision import Actor, Context, ReadRequest

NAMES: Final = "names"
CONTACT: Final = "contact"
OWN_INVITATION: Final = "invitation"
_FOR_ALL: Final = frozenset({(NAMES,), (CONTACT,)})
"""Parts of an account that everybody in the municipality reads: who an employee is, and how to reach them."""


def authorize(  # noqa: PLR0911  the table of the catalogue's commands
    state: State | None, trigger: Any, context: Context
) -> bool:
    """Return whether the actor may take this step, or read; refused is the default."""
    actor = context.actor
    match trigger:
        case ReadRequest():
            return actor.tenant == context.tenant and _may_read(state, trigger.what, context)
        case AdoptModel() | RegisterDepartment() | JoinOrganisation():
            return actor.role == "administrator"
        case RevokeAccess() | RestoreAccess():
            return actor.role in {"administrator", "operator"} and trigger.person_id != actor.id
        case LeaveOrganisation():
            own = actor.role == "coordinator" and actor.organisation_id == context.stream_id
            return own or actor.role == "administrator"
        case PublishOffer():
            return actor.role == "coordinator" and actor.organisation_id == trigger.organisation_id
        case ChangeCapacity():
            return (
                isinstance(state, Offer)
                and actor.role == "coordinator"
                and actor.organisation_id == state.organisation_id
            )
    return _may_admit(state, trigger, context)


def _may_admit(  # noqa: PLR0911  the table of the commands about people
    state: State | None, trigger: Any, context: Context
) -> bool:
    """Return whether the actor may take a step about accounts, invitations or the persons of a family."""
    actor = context.actor
    match trigger:
        case GiveMembership() | RenewMembership() | HandOver() | RegisterMachine():
            return actor.role == "administrator" and not isinstance(state, Invitation)
        case RecordDetails():
            is_own = actor.id == context.stream_id
            return isinstance(state, Account) and (is_own or actor.role == "administrator")
        case MakeInvitation(position=position):
            is_first = actor.role == "operator" and position.role == "administrator"
            return state is None and (is_first or _may_invite(position, context))
        case RevokeInvitation():
            return isinstance(state, Invitation) and _may_invite(state.position, context)
        case EndMembership():
            return actor.role == "administrator" or _may_release(state, trigger.membership_id, context)
        case BindPerson():
            return _is_of_own_case(context.stream_id, context)
        case UseInvitation():
            return actor.role == "portal" and isinstance(state, Invitation)
        case AddIdentity():
            return actor.role == "portal" and isinstance(state, Account)
        case NoteWrongCode():
            return actor.role == "portal"
    return False


def _may_invite(position: Position, context: Context) -> bool:
    if position.role in FAMILY:
        return position.person_id is not None and _is_of_own_case(position.person_id, context)
    return context.actor.role == "administrator"


def _may_release(state: State | None, membership_id: UUID, context: Context) -> bool:
    """Return whether a membership is that of a person whom a case of the caseworker's department names."""
    membership = state.memberships.get(membership_id) if isinstance(state, Account) else None
    person_id = membership.position.person_id if membership else None
    return person_id is not None and _is_of_own_case(person_id, context)


def _is_of_own_case(person_id: UUID, context: Context) -> bool:
    """Return whether the actor is a caseworker in the department of a case that names a person."""
    actor = context.actor
    return actor.role == "caseworker" and any(
        isinstance(case, FamilyCase)
        and actor.department_id is not None
        and case.department_id == actor.department_id
        and case.role_of(person_id) is not None
        for case in context.others.values()
    )


def account_actions(holder: Holder, account_id: UUID, actor: Actor) -> tuple[str, ...]:
    """Return the commands on an account that the actor may give now, by the names of the routes."""
    is_administrator = actor.role == "administrator"
    may_correct = isinstance(holder, Account) and (is_administrator or actor.id == account_id)
    corrects = ("record_details",) if may_correct else ()
    return (*corrects, "give_membership") if is_administrator and actor.id != account_id else corrects


def membership_actions(
    membership: AccountMembership, account_id: UUID, actor: Actor, *, is_needed: bool
) -> tuple[str, ...]:
    """Return the commands on a role of an account; `is_needed` is that of the last administrator."""
    if actor.role != "administrator" or not isinstance(membership, Running):
        return ()
    ends = () if is_needed else ("end_membership",)
    hands_over = () if membership.position.role in FAMILY else ("hand_over",)
    return (*ends, *hands_over) if actor.id == account_id else ("renew_membership", *ends, *hands_over)


def _may_read(state: State | None, what: tuple[str, ...], context: Context) -> bool:
    actor = context.actor
    match state:
        case None | Municipality() | Organisation() | Offer():
            return True
        case Account() | Machine():
            is_theirs = actor.id == context.stream_id or actor.role in {"administrator", "portal"}
            return is_theirs or what in _FOR_ALL
        case Invitation():
            return actor.id == state.made_by or actor.role == "administrator"
    return False
