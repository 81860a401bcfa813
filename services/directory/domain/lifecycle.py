"""Lifecycles of the directory: model, accesses, departments, organisations, offers, accounts, invitations."""

from typing import Any, Final
from uuid import UUID

from contracts.consent import CustodyConfirmed, CustodyRecorded
from contracts.event import Event
from contracts.referral import CaseOpened
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
from services.directory.domain.refusals import CodeExpired, CodeRevoked, OrganisationUnknown
from services.directory.domain.states import (
    Account,
    Adoption,
    Bound,
    Department,
    Ended,
    FamilyCase,
    Invitation,
    Joined,
    Lapsed,
    Left,
    Machine,
    Municipality,
    Offer,
    Open,
    Organisation,
    Person,
    Released,
    Restored,
    Revoked,
    Running,
    State,
    TakenBack,
    Used,
    WrongCodes,
)
from services.directory.domain.steps.accounts import add_identity, record_details, register_machine
from services.directory.domain.steps.catalogue import (
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
from services.directory.domain.steps.families import note_case, note_confirmation, note_custody
from services.directory.domain.steps.invitations import (
    LAPSE,
    bind_again,
    bind_person,
    lapse,
    make_invitation,
    note_wrong_code,
    revoke_invitation,
    use_again,
    use_invitation,
    wrong_codes_of,
)
from services.directory.domain.steps.memberships import (
    EXPIRY,
    FOREWARNING,
    administrators_of,
    end_membership,
    expire,
    forewarn,
    give_membership,
    hand_over,
    hand_over_again,
    renew_membership,
)
from services.directory.domain.transition import Transition
from services.kernel.decider.decision import Context, Decision, TimerFired
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row, timer_row
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

ACCOUNT: Final = Lifecycle(
    "account",
    (Account, Machine),
    on_command=(
        row(Account, RecordDetails, record_details),
        row(Account, AddIdentity, add_identity),
        row(ABSENT, RegisterMachine, register_machine, Machine),
        row(Machine, RegisterMachine, stay_as_it_is),
    ),
)

MEMBERSHIP: Final = Lifecycle(
    "membership",
    (Running, Ended),
    on_command=(
        row(ABSENT, GiveMembership, give_membership, Running),
        row(Running, GiveMembership, stay_as_it_is),
        row(Running, RenewMembership, renew_membership),
        row(Running, EndMembership, end_membership, Ended),
        row(Ended, EndMembership, stay_as_it_is),
        row(Running, HandOver, hand_over, Ended),
        row(Ended, HandOver, hand_over_again),
    ),
    on_timer=(
        timer_row(Running, FOREWARNING, forewarn),
        timer_row(Running, EXPIRY, expire, Running, Ended),
    ),
)

INVITATION: Final = Lifecycle(
    "invitation",
    (Open, Used, Lapsed, TakenBack),
    on_command=(
        row(ABSENT, MakeInvitation, make_invitation, Open),
        row(Open, MakeInvitation, stay_as_it_is),
        row(Open, RevokeInvitation, revoke_invitation, TakenBack),
        row(TakenBack, RevokeInvitation, stay_as_it_is),
        row(Open, UseInvitation, use_invitation, Used),
        row(Used, UseInvitation, use_again),
    ),
    on_timer=(timer_row(Open, LAPSE, lapse, Lapsed),),
)

PERSON: Final = Lifecycle(
    "person of a family",
    (Bound, Released),
    on_command=(
        row(ABSENT, BindPerson, bind_person, Bound),
        row(Released, BindPerson, bind_person, Bound),
        row(Bound, BindPerson, bind_again),
    ),
)

FAMILY: Final = Lifecycle(
    "family",
    (FamilyCase,),
    on_event=(
        row(ABSENT, CaseOpened, note_case, FamilyCase),
        row(FamilyCase, CaseOpened, note_case),
        row(ABSENT, CustodyRecorded, note_custody, FamilyCase),
        row(FamilyCase, CustodyRecorded, note_custody),
        row(ABSENT, CustodyConfirmed, note_confirmation, FamilyCase),
        row(FamilyCase, CustodyConfirmed, note_confirmation),
    ),
)

WRONG_CODES: Final = Lifecycle(
    "wrong codes",
    (WrongCodes,),
    on_command=(
        row(ABSENT, NoteWrongCode, note_wrong_code, WrongCodes),
        row(WrongCodes, NoteWrongCode, note_wrong_code),
    ),
)

LIFECYCLES: Final = (
    MODEL,
    ACCESS,
    DEPARTMENT,
    ORGANISATION,
    OFFER,
    ACCOUNT,
    MEMBERSHIP,
    INVITATION,
    PERSON,
    FAMILY,
    WRONG_CODES,
)


def related_streams(  # noqa: C901, PLR0911  the table of commands
    state: State | None, trigger: Any
) -> tuple[UUID, ...]:
    """Name the further streams of a step: the municipality, places, families, identities, counts."""
    match trigger:
        case JoinOrganisation() | LeaveOrganisation() | ChangeCapacity():
            return (trigger.municipality_id,)
        case PublishOffer():
            return (trigger.municipality_id, trigger.organisation_id)
        case RevokeInvitation():
            return trigger.named_in
        case RecordDetails():
            return _if_there(trigger.deputy_id)
        case AddIdentity():
            return trigger.identity_ids
        case BindPerson():
            return (*trigger.named_in, trigger.municipality_id, trigger.identity_id, trigger.account_id)
        case MakeInvitation(position=position):
            place = _if_there(position.organisation_id, position.person_id)
            return (trigger.municipality_id, *trigger.named_in, *place)
        case UseInvitation():
            return _of_a_use(state, trigger)
        case GiveMembership(position=position) | RegisterMachine(position=position):
            counted = administrators_of(trigger.municipality_id)
            return (trigger.municipality_id, counted, *_if_there(position.organisation_id))
        case RenewMembership():
            return (trigger.municipality_id,)
        case EndMembership():
            person = _if_there(_person_of(state, trigger.membership_id))
            counted = administrators_of(trigger.municipality_id)
            return (*trigger.named_in, trigger.municipality_id, counted, *person)
        case HandOver():
            counted = administrators_of(trigger.municipality_id)
            return (trigger.municipality_id, counted, trigger.to_account_id)
    return _of_a_timer(state, trigger)


def _of_a_use(state: State | None, command: UseInvitation) -> tuple[UUID, ...]:
    municipality_id = command.municipality_id
    person_id = state.position.person_id if isinstance(state, Invitation) else None
    named_in = state.named_in if isinstance(state, Invitation) else ()
    return (
        municipality_id,
        *command.identity_ids,
        command.account_id,
        administrators_of(municipality_id),
        wrong_codes_of(municipality_id),
        *named_in,
        *_if_there(person_id),
    )


def _of_a_timer(state: State | None, trigger: Any) -> tuple[UUID, ...]:
    """Name what a timer of an account needs; a command or an event that is not named before needs nothing."""
    if not isinstance(trigger, TimerFired) or not isinstance(state, Account | Machine):
        return ()
    municipality_id = state.municipality_id
    person = _if_there(_person_of(state, trigger.ref))
    return (municipality_id, administrators_of(municipality_id), *person)


def _person_of(state: State | None, membership_id: UUID) -> UUID | None:
    membership = state.memberships.get(membership_id) if isinstance(state, Account | Machine) else None
    return membership.position.person_id if membership else None


def _if_there(*ids: UUID | None) -> tuple[UUID, ...]:
    return tuple(one for one in ids if one is not None)


def decide(state: State | None, trigger: Any, context: Context) -> Decision:
    """Return the stream after a command, an event or a timer, and its events.

    Raises `NotFound` where there is nothing to change, or something else under the id; `OrganisationUnknown`
    where that is to join again; `CodeExpired` and `CodeRevoked` for an invitation that has ended;
    `InvalidTransition` where the command does not fit.
    """
    lifecycle, before = _subject(state, trigger)
    step = lifecycle.step(before, trigger) if lifecycle else None
    if step is not None:
        return step(Transition(state, context), before, trigger)
    if isinstance(trigger, Event | TimerFired):
        return Decision(state)
    if isinstance(trigger, JoinOrganisation):
        raise OrganisationUnknown
    if isinstance(trigger, UseInvitation) and isinstance(before, Lapsed | TakenBack):
        raise CodeExpired if isinstance(before, Lapsed) else CodeRevoked
    if state is None or lifecycle is None or (lifecycle is MEMBERSHIP and before is None):
        raise NotFound
    raise InvalidTransition(type(trigger).__name__)


def _subject(state: State | None, trigger: Any) -> tuple[Lifecycle | None, object]:
    """Return whose lifecycle a trigger concerns, and in which state of it the document is."""
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
    return _subject_of_people(state, trigger)


def _subject_of_people(  # noqa: PLR0911  the table of commands
    state: State | None, trigger: Any
) -> tuple[Lifecycle | None, object]:
    match state, trigger:
        case ((None | Account() | Machine()), RecordDetails() | AddIdentity() | RegisterMachine()):
            return ACCOUNT, state
        case (
            (Account() | Machine()),
            GiveMembership(membership_id=at)
            | RenewMembership(membership_id=at)
            | EndMembership(membership_id=at)
            | HandOver(membership_id=at)
            | TimerFired(ref=at),
        ):
            return MEMBERSHIP, state.memberships.get(at)
        case ((None | Invitation()), MakeInvitation() | RevokeInvitation() | UseInvitation() | TimerFired()):
            return INVITATION, state and state.stage
        case ((None | Person()), BindPerson()):
            return PERSON, state and state.binding
        case ((None | FamilyCase()), CaseOpened() | CustodyRecorded() | CustodyConfirmed()):
            return FAMILY, state
        case ((None | WrongCodes()), NoteWrongCode()):
            return WRONG_CODES, state
    return None, None
