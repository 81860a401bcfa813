"""Steps of memberships: a role is given, renewed, handed over, forewarned of, and ends; pure."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from contracts.directory import (
    AccessRevoked,
    MembershipEnded,
    MembershipEndsSoon,
    MembershipGiven,
    MembershipHandedOver,
    MembershipRenewed,
    PersonReleased,
)
from services.directory.domain.commands import EndMembership, GiveMembership, HandOver, RenewMembership
from services.directory.domain.refusals import AccountMissing, LastAdministrator, RoleHere, RoleOfAnother
from services.directory.domain.states import (
    Account,
    Administrators,
    Bound,
    Ended,
    Entry,
    Machine,
    Person,
    Position,
    Released,
    Running,
)
from services.directory.domain.steps.guards import (
    FAMILY,
    require_another,
    require_days,
    require_for_machines,
    require_place,
)
from services.directory.domain.transition import Transition
from services.kernel.decider.decision import Decision, Timer, TimerFired
from services.kernel.decider.derived_ids import derived_id
from services.kernel.errors import InvalidTransition

FOREWARNING: Final = "forewarning"
EXPIRY: Final = "expiry"
_FOREWARNED: Final = timedelta(days=30)
_ONE_DAY: Final = timedelta(days=1)


def administrators_of(municipality_id: UUID) -> UUID:
    """Return the stream that counts a municipality's administrators."""
    return derived_id(municipality_id, "administrators")


def give_membership(transition: Transition, _before: None, command: GiveMembership) -> Decision:
    """Give an account a role more, from today or a later day on."""
    context, position, today = transition.context, command.position, transition.local_day
    since = max(command.since or today, today)
    if isinstance(transition.holder, Machine):
        require_for_machines(position)
    if position.role in FAMILY:
        raise RoleOfAnother
    require_another(context.actor.id, context.stream_id)
    require_place(transition, position)
    require_days(since, command.until, today)
    if membership_in(transition.holder, position) is not None:
        raise RoleHere
    entry = Entry("given", context.now, context.actor.id, command.until)
    running = Running(position, since, command.until, (entry,))
    decision = with_membership(transition, transition.holder, command.membership_id, running)
    return with_administrators(transition, decision, added={command.membership_id: running})


def with_membership(
    transition: Transition, holder: Account | Machine, membership_id: UUID, running: Running
) -> Decision:
    """Return the stream of an account with a role more, its event and its timers."""
    position = running.position
    event = MembershipGiven(
        membership_id=membership_id,
        role=position.role,
        department_id=position.department_id,
        organisation_id=position.organisation_id,
        since=running.since,
        until=running.until,
    )
    after = replace(holder, memberships={**holder.memberships, membership_id: running})
    return Decision(after, (event,), _timers(transition, membership_id, running.until))


def membership_in(holder: Account | Machine, position: Position) -> UUID | None:
    """Return the membership by which an account has a role in a place now; None where it has not."""
    return next(
        (
            at
            for at, one in holder.memberships.items()
            if isinstance(one, Running) and one.position == position
        ),
        None,
    )


def renew_membership(transition: Transition, before: Running, command: RenewMembership) -> Decision:
    """Let a role go on until another day; the same day again changes nothing."""
    context, today = transition.context, transition.local_day
    if command.until == before.until:
        return Decision(transition.document)
    require_another(context.actor.id, context.stream_id)
    require_days(before.since, command.until, today)
    entry = Entry("renewed", context.now, context.actor.id, command.until)
    renewed = replace(before, until=command.until, history=(*before.history, entry))
    holder = transition.holder
    event = MembershipRenewed(membership_id=command.membership_id, until=command.until)
    return Decision(
        replace(holder, memberships={**holder.memberships, command.membership_id: renewed}),
        (event,),
        _timers(transition, command.membership_id, command.until),
    )


def end_membership(transition: Transition, before: Running, command: EndMembership) -> Decision:
    """End a role today; who has it is let in no more within a minute."""
    _require_further_administrator(transition, before.position, command.membership_id)
    return _ended(transition, before, command.membership_id, transition.local_day, "ended")


def expire(transition: Transition, before: Running, fired: TimerFired) -> Decision:
    """End a role on the morning after its last day."""
    if before.until is None or fired.due_at.date() <= before.until:
        return Decision(transition.document)  # it was renewed meanwhile
    return _ended(transition, before, fired.ref, before.until, "expired")


def forewarn(transition: Transition, before: Running, fired: TimerFired) -> Decision:
    """Say some weeks before that a role ends."""
    if before.until is None or fired.due_at.date() < before.until - _FOREWARNED:
        return Decision(transition.document)  # it was renewed meanwhile
    position = before.position
    event = MembershipEndsSoon(
        membership_id=fired.ref,
        role=position.role,
        department_id=position.department_id,
        organisation_id=position.organisation_id,
        until=before.until,
    )
    return Decision(transition.document, (event,))


def hand_over(transition: Transition, before: Running, command: HandOver) -> Decision:
    """End a role today, and let another account have it; one that has it already keeps its own days."""
    context, position = transition.context, before.position
    successor = transition.account(command.to_account_id)
    if successor is None or command.to_account_id == context.stream_id:
        raise AccountMissing
    if position.role in FAMILY:
        raise RoleOfAnother
    require_another(context.actor.id, command.to_account_id)
    membership_id = membership_in(successor, position)
    given: dict[UUID, Running] = {}
    beside: dict[UUID, Decision] = {}
    if membership_id is None:
        membership_id = command.new_id
        entry = Entry("given", context.now, context.actor.id, before.until)
        given[membership_id] = Running(position, transition.local_day, before.until, (entry,))
        beside[command.to_account_id] = with_membership(
            transition, successor, membership_id, given[membership_id]
        )
    event = MembershipHandedOver(
        membership_id=command.membership_id,
        role=position.role,
        department_id=position.department_id,
        organisation_id=position.organisation_id,
        to_account_id=command.to_account_id,
        to_membership_id=membership_id,
    )
    ended = _ended(
        transition,
        before,
        command.membership_id,
        transition.local_day,
        "handed_over",
        successor_id=command.to_account_id,
        given=given,
    )
    return replace(ended, events=(event, *ended.events), others={**ended.others, **beside})


def hand_over_again(transition: Transition, before: Ended, command: HandOver) -> Decision:
    """Change nothing where the same account has taken the role over."""
    if before.successor_id != command.to_account_id:
        raise InvalidTransition
    return Decision(transition.document)


def with_administrators(
    transition: Transition,
    decision: Decision,
    *,
    added: Mapping[UUID, Running] | None = None,
    removed: UUID | None = None,
) -> Decision:
    """Return a decision that also counts the administrators that it makes, and no longer one that it ends."""
    new = {at: one.since for at, one in (added or {}).items() if one.position.role == "administrator"}
    counted = _administrators(transition)
    if not new and removed not in counted.since:
        return decision
    since = {at: day for at, day in counted.since.items() if at != removed} | new
    stream_id = administrators_of(_municipality_of(transition, decision))
    return replace(decision, others={**decision.others, stream_id: Decision(Administrators(since))})


def _ended(
    transition: Transition,
    before: Running,
    membership_id: UUID,
    last_day: date,
    reason: str,
    *,
    successor_id: UUID | None = None,
    given: Mapping[UUID, Running] | None = None,
) -> Decision:
    context, position, holder = transition.context, before.position, transition.holder
    entry = Entry(reason, context.now, context.actor.id, last_day)
    ended = Ended(position, before.since, last_day, reason, (*before.history, entry), successor_id)
    event = MembershipEnded(
        membership_id=membership_id,
        role=position.role,
        department_id=position.department_id,
        organisation_id=position.organisation_id,
        last_day=last_day,
        reason=reason,
    )
    decision = Decision(
        replace(holder, memberships={**holder.memberships, membership_id: ended}),
        (event, AccessRevoked(membership_id=membership_id)),
        _timers(transition, membership_id, None),
        others=_released(transition, position, membership_id),
    )
    return with_administrators(transition, decision, added=given, removed=membership_id)


def _released(transition: Transition, position: Position, membership_id: UUID) -> Mapping[UUID, Decision]:
    """Return the person of a family who can sign in no more by a membership; none for other roles."""
    person_id = position.person_id
    person = transition.context.others.get(person_id) if person_id else None
    if person_id is None or not isinstance(person, Person):
        return {}
    match person.binding:
        case Bound(membership_id=bound) if bound == membership_id:
            return {person_id: Decision(Person(Released()), (PersonReleased(),))}
    return {}


def _require_further_administrator(transition: Transition, position: Position, membership_id: UUID) -> None:
    if position.role != "administrator":
        return
    today = transition.local_day
    others = {at for at, since in _administrators(transition).since.items() if since <= today}
    if not others - {membership_id}:
        raise LastAdministrator


def _administrators(transition: Transition) -> Administrators:
    found = (one for one in transition.context.others.values() if isinstance(one, Administrators))
    return next(found, Administrators())


def _municipality_of(transition: Transition, decision: Decision) -> UUID:
    for one in (
        transition.document,
        decision.state,
        *(further.state for further in decision.others.values()),
    ):
        if isinstance(one, Account | Machine):
            return one.municipality_id
    raise InvalidTransition


def _timers(transition: Transition, membership_id: UUID, until: date | None) -> tuple[Timer, ...]:
    """Return the timers of a role: some weeks before its last day, and on the morning after it."""
    if until is None:
        return Timer(FOREWARNING, membership_id, None), Timer(EXPIRY, membership_id, None)
    calendar = transition.calendar
    warning = calendar.morning(until - _FOREWARNED)
    is_ahead = warning > transition.context.now
    return (
        Timer(FOREWARNING, membership_id, warning if is_ahead else None),
        Timer(EXPIRY, membership_id, calendar.morning(until + _ONE_DAY)),
    )
