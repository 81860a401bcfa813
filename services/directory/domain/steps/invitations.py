"""Steps of invitations: made, used by whoever gives the code, lapsed, revoked; wrong codes counted; pure."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from contracts.directory import (
    CodeRejected,
    InvitationLapsed,
    InvitationMade,
    InvitationRevoked,
    InvitationUsed,
    PersonBound,
)
from services.directory.domain.commands import (
    BindPerson,
    MakeInvitation,
    NoteWrongCode,
    RevokeInvitation,
    UseInvitation,
)
from services.directory.domain.refusals import (
    CodeExpired,
    CodeUsed,
    CustodyUnconfirmed,
    OwnRole,
    PersonBoundAlready,
    TooManyWrongCodes,
)
from services.directory.domain.states import (
    Bound,
    Entry,
    Identity,
    Invitation,
    InvitationStage,
    Lapsed,
    Open,
    Person,
    Position,
    Released,
    Running,
    TakenBack,
    Used,
    WrongCode,
    WrongCodes,
)
from services.directory.domain.steps.accounts import IDENTITY_KINDS, NAME, account_with
from services.directory.domain.steps.guards import (
    FAMILY,
    require_days,
    require_family,
    require_place,
    roles_of,
)
from services.directory.domain.transition import Transition
from services.kernel.decider.decision import Decision, PrivateValue, Timer, TimerFired
from services.kernel.decider.derived_ids import derived_id
from services.kernel.errors import NotFound

LAPSE: Final = "lapse"
_VALID: Final = timedelta(days=30)
_ONE_DAY: Final = timedelta(days=1)
_WINDOW: Final = timedelta(hours=1)
_MOST_OF_ONE: Final = 5
_MOST_OF_ALL: Final = 60


def wrong_codes_of(municipality_id: UUID) -> UUID:
    """Return the stream that counts the wrong codes given in a municipality."""
    return derived_id(municipality_id, "wrong codes")


def make_invitation(transition: Transition, _before: None, command: MakeInvitation) -> Decision:
    """Invite somebody to a role; the name stays sealed, and the code is kept by its digest alone."""
    context, position, today = transition.context, command.position, transition.local_day
    if position.role in FAMILY:
        require_family(transition, position)
    else:
        require_place(transition, position)
    require_days(today, command.until, today)
    invitation = Invitation(
        position=position,
        account_id=command.account_id,
        code_digest=command.code_digest,
        made_at=context.now,
        made_by=context.actor.id,
        expires_on=today + _VALID,
        until=command.until,
        named_in=command.named_in,
    )
    event = InvitationMade(
        role=position.role,
        department_id=position.department_id,
        organisation_id=position.organisation_id,
        expires_on=invitation.expires_on,
    )
    lapse = Timer(LAPSE, context.stream_id, transition.calendar.morning(invitation.expires_on + _ONE_DAY))
    named = (PrivateValue(command.account_id, NAME, command.name),) if command.name else ()
    return Decision(invitation, (event,), (lapse,), named)


def use_invitation(transition: Transition, _before: Open, command: UseInvitation) -> Decision:
    """Give the role of an invitation to the account of whoever signed in with its code."""
    context, invitation, today = transition.context, transition.invitation, transition.local_day
    require_patience(transition, command.identity_ids[0])
    if today > invitation.expires_on or today > (invitation.until or today):
        raise CodeExpired
    if command.account_id == invitation.made_by:
        raise OwnRole
    position = invitation.position
    if position.role in FAMILY:
        require_family(transition, position)
    entry = Entry("given", context.now, invitation.made_by, invitation.until)
    others, membership_id = account_with(
        transition,
        command.account_id,
        command.municipality_id,
        zip(IDENTITY_KINDS, command.identity_ids, strict=False),
        command.membership_id,
        Running(position, today, invitation.until, (entry,)),
        name=context.private.get(NAME, ""),
    )
    if position.person_id is not None:
        bound = Bound(command.account_id, membership_id)
        others[position.person_id] = Decision(Person(bound), (PersonBound(role=position.role),))
    decision = _closed(transition, Used(context.now, command.account_id))
    return replace(decision, events=(InvitationUsed(account_id=command.account_id),), others=others)


def use_again(transition: Transition, before: Used, command: UseInvitation) -> Decision:
    """Change nothing where the same person gives the code again."""
    require_patience(transition, command.identity_ids[0])
    found = [transition.context.others.get(one) for one in command.identity_ids]
    if Identity(before.account_id) not in found:
        raise CodeUsed
    return Decision(transition.document)


def revoke_invitation(transition: Transition, _before: Open, _command: RevokeInvitation) -> Decision:
    """Take an invitation back; its code is refused from now on."""
    context = transition.context
    decision = _closed(transition, TakenBack(context.now, context.actor.id))
    return replace(decision, events=(InvitationRevoked(),))


def lapse(transition: Transition, _before: Open, _fired: TimerFired) -> Decision:
    """End an invitation whose code was not used in time."""
    return replace(_closed(transition, Lapsed(transition.context.now)), events=(InvitationLapsed(),))


def _closed(transition: Transition, stage: InvitationStage) -> Decision:
    """Return the invitation at its end: without timer, and without the name that it was made for."""
    invitation = transition.invitation
    return Decision(
        replace(invitation, stage=stage),
        timers=(Timer(LAPSE, transition.context.stream_id, None),),
        private_values=(PrivateValue(invitation.account_id, NAME, ""),),
    )


def bind_person(transition: Transition, _before: Released | None, command: BindPerson) -> Decision:
    """Let somebody of a family sign in by their national number."""
    context, person_id = transition.context, transition.context.stream_id
    role = next(iter(roles_of(transition, person_id)), None)
    if role is None:
        raise NotFound
    if role not in roles_of(transition, person_id, confirmed=True):
        raise CustodyUnconfirmed
    if command.account_id == context.actor.id:
        raise OwnRole
    entry = Entry("given", context.now, context.actor.id)
    position = Position(role, person_id=person_id)
    others, membership_id = account_with(
        transition,
        command.account_id,
        command.municipality_id,
        [("national_number", command.identity_id)],
        command.membership_id,
        Running(position, transition.local_day, None, (entry,)),
    )
    bound = Person(Bound(command.account_id, membership_id))
    return Decision(bound, (PersonBound(role=role),), others=others)


def bind_again(transition: Transition, before: Bound, command: BindPerson) -> Decision:
    """Change nothing where the person signs in by the same account."""
    if before.account_id != command.account_id:
        raise PersonBoundAlready
    return Decision(transition.document)


def note_wrong_code(transition: Transition, before: WrongCodes | None, command: NoteWrongCode) -> Decision:
    """Count a wrong code; raise `TooManyWrongCodes` where there were too many within the hour."""
    now = transition.context.now
    recent = tuple(one for one in (before or WrongCodes()).given if one.at > now - _WINDOW)
    _require_few(recent, command.identity_id, transition)
    return Decision(WrongCodes((*recent, WrongCode(now, command.identity_id))), (CodeRejected(),))


def require_patience(transition: Transition, identity_id: UUID) -> None:
    """Raise `TooManyWrongCodes` for somebody who has tried too often, whatever their code is now."""
    counted = (one for one in transition.context.others.values() if isinstance(one, WrongCodes))
    now = transition.context.now
    given = tuple(one for codes in counted for one in codes.given if one.at > now - _WINDOW)
    _require_few(given, identity_id, transition)


def _require_few(given: tuple[WrongCode, ...], identity_id: UUID, transition: Transition) -> None:
    own = [one for one in given if one.identity_id == identity_id]
    if len(own) < _MOST_OF_ONE and len(given) < _MOST_OF_ALL:
        return
    ends_at = min(one.at for one in (own if len(own) >= _MOST_OF_ONE else given)) + _WINDOW
    minutes = -(-(ends_at - transition.context.now).total_seconds() // 60)
    raise TooManyWrongCodes(f"{minutes:.0f} min")
