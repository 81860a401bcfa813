"""Accounts: roles are given, renewed, handed over and end; nobody gives themselves one."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from contracts.directory import (
    AccessRevoked,
    DetailsRecorded,
    IdentityBound,
    MembershipEnded,
    MembershipEndsSoon,
    MembershipGiven,
    MembershipHandedOver,
    PersonReleased,
)
from services.directory.domain.commands import (
    AddIdentity,
    EndMembership,
    GiveMembership,
    RecordDetails,
    RenewMembership,
)
from services.directory.domain.lifecycle import decide, related_streams
from services.directory.domain.refusals import (
    AccountMissing,
    DaysReversed,
    DepartmentMissing,
    IdentityTaken,
    LastAdministrator,
    OrganisationMissing,
    OwnRole,
    PositionIncomplete,
    RoleHere,
    RoleNotForMachines,
    RoleOfAnother,
)
from services.directory.domain.states import (
    Account,
    Administrators,
    Bound,
    Ended,
    Identity,
    Organisation,
    Person,
    Position,
    Released,
    Running,
)
from services.directory.domain.steps.memberships import EXPIRY, FOREWARNING, administrators_of
from services.kernel.decider.decision import Decision, Timer, TimerFired
from services.kernel.errors import InvalidTransition, NotFound
from tests.examples_accounts import (
    ACCOUNT,
    AUDITOR,
    GUARDIAN,
    LAST_DAY,
    MACHINE,
    MEMBERSHIP,
    MOTHER,
    NAME,
    NEW,
    OTHER_ACCOUNT,
    OTHER_IDENTITY,
    OTHER_MEMBERSHIP,
    a_machine,
    an_account,
    context,
    ended,
    ending,
    giving,
    handing_over,
    registering_a_machine,
    renewing,
    running,
)
from tests.examples_directory import DEPARTMENT, MUNICIPALITY, ORGANISATION, PERSON, TODAY

ADMINISTRATOR = Position("administrator")
ADMINISTRATORS = administrators_of(MUNICIPALITY)


def membership(decision: Decision, membership_id: UUID = MEMBERSHIP) -> object:
    """Return a role of an account after a step."""
    assert isinstance(decision.state, Account)
    return decision.state.memberships[membership_id]


def test_a_role_is_given_from_a_day_with_who_gave_it() -> None:
    """The event names the place, and timers forewarn and end it on the morning after its last day."""
    position = Position("caseworker", DEPARTMENT)
    decision = decide(an_account(), giving(position, LAST_DAY), context())
    given = membership(decision, OTHER_MEMBERSHIP)

    assert isinstance(given, Running)
    assert (given.since, given.until, given.history[0].by) == (TODAY, LAST_DAY, PERSON)
    assert decision.events == (
        MembershipGiven(
            membership_id=OTHER_MEMBERSHIP,
            role="caseworker",
            department_id=DEPARTMENT,
            since=TODAY,
            until=LAST_DAY,
        ),
    )
    assert decision.timers == (
        Timer(FOREWARNING, OTHER_MEMBERSHIP, datetime(2026, 8, 31, 4, tzinfo=UTC)),
        Timer(EXPIRY, OTHER_MEMBERSHIP, datetime(2026, 10, 1, 4, tzinfo=UTC)),
    )


@pytest.mark.parametrize(
    ("position", "refusal"),
    [
        (Position("caseworker"), PositionIncomplete),
        (Position("coordinator"), PositionIncomplete),
        (Position("auditor", DEPARTMENT), PositionIncomplete),
        (Position("caseworker", DEPARTMENT, ORGANISATION), PositionIncomplete),
        (Position("caseworker", OTHER_ACCOUNT), DepartmentMissing),
        (Position("coordinator", None, NEW), OrganisationMissing),
        (AUDITOR, RoleHere),
        (GUARDIAN, RoleOfAnother),
    ],
)
def test_a_role_needs_its_place(position: Position, refusal: type[Exception]) -> None:
    """A caseworker is of a department, a coordinator of an organisation that takes part."""
    with pytest.raises(refusal):
        decide(an_account(), giving(position), context())


@pytest.mark.parametrize("position", [Position("leader"), Position("leader", DEPARTMENT), ADMINISTRATOR])
def test_a_leader_is_of_a_department_or_of_the_municipality(position: Position) -> None:
    """Both are taken."""
    assert decide(an_account(), giving(position), context()).events


def test_a_coordinators_organisation_takes_part() -> None:
    """The one that has joined is taken."""
    position = Position("coordinator", None, ORGANISATION)
    command = giving(position)

    assert decide(an_account(), command, context()).events
    assert ORGANISATION in related_streams(None, command)
    assert isinstance(context().others[ORGANISATION], Organisation)


def test_days_count_forward() -> None:
    """A role that has ended already, or ends before it begins, is given to nobody; one may begin later."""
    yesterday, later = TODAY - timedelta(days=1), TODAY + timedelta(days=30)
    with pytest.raises(DaysReversed):
        decide(an_account(), giving(until=yesterday), context())
    with pytest.raises(DaysReversed):
        decide(an_account(), renewing(yesterday), context())
    command = GiveMembership(MUNICIPALITY, OTHER_MEMBERSHIP, Position("leader"), later, TODAY)
    with pytest.raises(DaysReversed):
        decide(an_account(), command, context())
    given = membership(
        decide(
            an_account(),
            GiveMembership(MUNICIPALITY, OTHER_MEMBERSHIP, Position("leader"), later),
            context(),
        ),
        OTHER_MEMBERSHIP,
    )

    assert isinstance(given, Running)
    assert given.since == later


def test_nobody_gives_renews_or_takes_over_a_role_of_their_own() -> None:
    """The actor of these steps is another than the account."""
    with pytest.raises(OwnRole):
        decide(an_account(), giving(), context(PERSON))
    with pytest.raises(OwnRole):
        decide(an_account(), renewing(), context(PERSON))
    with pytest.raises(OwnRole):
        decide(an_account(), handing_over(PERSON), context(others={PERSON: an_account()}))


def test_a_renewed_role_has_new_timers_and_a_line_in_its_history() -> None:
    """Without a last day it goes on, and its timers are taken back."""
    decision = decide(an_account(), renewing(), context())
    renewed = membership(decision)

    assert isinstance(renewed, Running)
    assert (renewed.until, [entry.what for entry in renewed.history]) == (None, ["given", "renewed"])
    assert [timer.due_at for timer in decision.timers] == [None, None]
    assert decide(an_account(), renewing(LAST_DAY), context()).events == ()


def test_a_role_ends_at_once_and_its_tokens_too() -> None:
    """Every service lets the membership in no more; other roles of the account go on."""
    decision = decide(an_account(), ending(), context())
    end = membership(decision)

    assert isinstance(end, Ended)
    assert (end.last_day, end.reason) == (TODAY, "ended")
    assert decision.events == (
        MembershipEnded(membership_id=MEMBERSHIP, role="auditor", last_day=TODAY, reason="ended"),
        AccessRevoked(membership_id=MEMBERSHIP),
    )


def test_the_last_administrator_is_not_ended_but_expires() -> None:
    """One who begins later does not count; what was agreed to end does end."""
    state = an_account(running(ADMINISTRATOR))
    only, later = {MEMBERSHIP: TODAY}, {MEMBERSHIP: TODAY, OTHER_MEMBERSHIP: TODAY + timedelta(days=1)}
    for since in (only, later):
        with pytest.raises(LastAdministrator):
            decide(state, ending(), context(others={ADMINISTRATORS: Administrators(since)}))
    morning = datetime(2026, 10, 1, 4, tzinfo=UTC)
    expired = decide(
        state, TimerFired(EXPIRY, MEMBERSHIP, morning), context(others={ADMINISTRATORS: Administrators(only)})
    )

    assert isinstance(membership(expired), Ended)
    assert expired.others[ADMINISTRATORS].state == Administrators()


def test_administrators_are_counted() -> None:
    """Given, handed over and ended roles change the count in the same transaction."""
    two = {MEMBERSHIP: TODAY, OTHER_MEMBERSHIP: TODAY}
    given = decide(an_account(), giving(ADMINISTRATOR), context(others={ADMINISTRATORS: None}))
    counted = {ADMINISTRATORS: Administrators(two)}
    state = an_account(running(ADMINISTRATOR))
    gone = decide(state, ending(), context(others=counted))
    fresh = {**counted, OTHER_ACCOUNT: an_account()}
    handed = decide(state, handing_over(), context(others=fresh))

    assert given.others[ADMINISTRATORS].state == Administrators({OTHER_MEMBERSHIP: TODAY})
    assert gone.others[ADMINISTRATORS].state == Administrators({OTHER_MEMBERSHIP: TODAY})
    assert handed.others[ADMINISTRATORS].state == Administrators({OTHER_MEMBERSHIP: TODAY, NEW: TODAY})


def test_a_role_is_forewarned_of_and_expires_on_the_next_morning() -> None:
    """A timer of before a renewal changes nothing."""
    warned = decide(
        an_account(), TimerFired(FOREWARNING, MEMBERSHIP, datetime(2026, 8, 31, 4, tzinfo=UTC)), context()
    )
    expired = decide(
        an_account(), TimerFired(EXPIRY, MEMBERSHIP, datetime(2026, 10, 1, 4, tzinfo=UTC)), context()
    )
    renewed = an_account(running(until=date(2027, 1, 1)))
    late = [
        decide(renewed, TimerFired(kind, MEMBERSHIP, datetime(2026, 10, 1, 4, tzinfo=UTC)), context())
        for kind in (FOREWARNING, EXPIRY)
    ]

    assert warned.events == (MembershipEndsSoon(membership_id=MEMBERSHIP, role="auditor", until=LAST_DAY),)
    end = membership(expired)
    assert isinstance(end, Ended)
    assert (end.last_day, end.reason) == (LAST_DAY, "expired")
    assert [(one.state, one.events) for one in late] == [(renewed, ())] * 2


@pytest.mark.req("N10")
def test_a_role_is_handed_over_with_its_last_day() -> None:
    """An event names both accounts, so that nothing waits for somebody who is gone."""
    position = Position("caseworker", DEPARTMENT)
    decision = decide(an_account(running(position)), handing_over(), context())
    successor = decision.others[OTHER_ACCOUNT]
    taken = membership(successor, NEW)

    assert isinstance(taken, Running)
    assert (taken.position, taken.since, taken.until) == (position, TODAY, LAST_DAY)
    assert decision.events[0] == MembershipHandedOver(
        membership_id=MEMBERSHIP,
        role="caseworker",
        department_id=DEPARTMENT,
        to_account_id=OTHER_ACCOUNT,
        to_membership_id=NEW,
    )
    assert [type(event) for event in decision.events[1:]] == [MembershipEnded, AccessRevoked]


def test_who_has_the_role_already_keeps_it_when_it_is_handed_over() -> None:
    """No second membership is made."""
    others = {OTHER_ACCOUNT: an_account()}
    decision = decide(an_account(), handing_over(), context(others=others))

    assert OTHER_ACCOUNT not in decision.others
    assert decision.events[0].model_dump()["to_membership_id"] == MEMBERSHIP


def test_a_role_is_handed_over_to_an_account_that_is_there() -> None:
    """Not to itself, to a program or to nobody; a role in a family to nobody at all."""
    for to, found in ((NEW, None), (OTHER_ACCOUNT, a_machine()), (ACCOUNT, an_account())):
        with pytest.raises(AccountMissing):
            decide(an_account(), handing_over(to), context(others={to: found}))
    with pytest.raises(RoleOfAnother):
        decide(an_account(running(GUARDIAN)), handing_over(), context())
    with pytest.raises(InvalidTransition):
        decide(an_account(ended(PERSON)), handing_over(), context())


def test_a_guardian_who_is_released_can_be_bound_anew() -> None:
    """The person's own stream says so, in the same transaction; another binding is left alone."""
    state = an_account(running(GUARDIAN, None))
    command = EndMembership(MUNICIPALITY, MEMBERSHIP)
    bound = {MOTHER: Person(Bound(ACCOUNT, MEMBERSHIP))}
    decision = decide(state, command, context(others=bound))
    elsewhere = decide(state, command, context(others={MOTHER: Person(Bound(ACCOUNT, OTHER_MEMBERSHIP))}))

    assert MOTHER in related_streams(state, command)
    assert decision.others[MOTHER] == Decision(Person(Released()), (PersonReleased(),))
    assert MOTHER not in elsewhere.others


def test_details_are_sealed_and_the_event_has_the_deputy_alone() -> None:
    """What is repeated changes nothing; a deputy is an account that is there."""
    command = RecordDetails(NAME, "a@b.dk", "12", "9-15", OTHER_ACCOUNT)
    decision = decide(an_account(), command, context())
    values = {one.name: one.value for one in decision.private_values}
    again = decide(decision.state, command, context(private=values))

    assert {one.subject for one in decision.private_values} == {ACCOUNT}
    assert values == {"name": NAME, "mail": "a@b.dk", "phone": "12", "hours": "9-15"}
    assert decision.events == (DetailsRecorded(deputy_id=OTHER_ACCOUNT),)
    assert again == Decision(decision.state)
    with pytest.raises(AccountMissing):
        decide(an_account(), RecordDetails(NAME, deputy_id=NEW), context())


def test_the_holder_of_an_account_adds_an_identity() -> None:
    """One that is theirs already changes nothing, another's is refused."""
    decision = decide(an_account(), AddIdentity((NEW,)), context())

    assert decision.events == (IdentityBound(kind="sign_in"),)
    assert decision.others[NEW].state == Identity(ACCOUNT)
    again = decide(decision.state, AddIdentity((NEW,)), context(others={NEW: Identity(ACCOUNT)}))
    assert again == Decision(decision.state)
    with pytest.raises(IdentityTaken):
        decide(an_account(), AddIdentity((OTHER_IDENTITY,)), context())


@pytest.mark.parametrize("role", ["administrator", "guardian", "young_person"])
def test_some_roles_are_for_people_alone(role: str) -> None:
    """A program administers nobody, and is nobody's parent."""
    with pytest.raises(RoleNotForMachines):
        decide(None, registering_a_machine(Position(role)), context(NEW))
    with pytest.raises(RoleNotForMachines):
        decide(a_machine(), giving(Position(role)), context(MACHINE))


def test_a_membership_that_is_not_there_is_not_found() -> None:
    """In an account, and where there is none."""
    command = RenewMembership(MUNICIPALITY, OTHER_MEMBERSHIP)
    for state in (an_account(), None):
        with pytest.raises(NotFound):
            decide(state, command, context())
