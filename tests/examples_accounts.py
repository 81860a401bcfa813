"""Sample data for accounts: an auditor, a second administrator, an invitation, a mother and her case."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from contracts.consent import CustodyConfirmed, CustodyRecorded
from contracts.event import Event
from contracts.referral import CaseOpened
from services.directory.domain.commands import (
    AddIdentity,
    BindPerson,
    EndMembership,
    GiveMembership,
    HandOver,
    MakeInvitation,
    NoteWrongCode,
    RecordDetails,
    RegisterMachine,
    RenewMembership,
    RevokeInvitation,
    UseInvitation,
)
from services.directory.domain.states import (
    Account,
    AccountMembership,
    Administrators,
    Bound,
    Ended,
    Entry,
    FamilyCase,
    Identity,
    Invitation,
    InvitationStage,
    Lapsed,
    Machine,
    Open,
    Person,
    Position,
    Released,
    Running,
    State,
    TakenBack,
    Used,
    WrongCode,
    WrongCodes,
)
from services.directory.domain.steps.invitations import LAPSE, wrong_codes_of
from services.directory.domain.steps.memberships import EXPIRY, FOREWARNING, administrators_of
from services.kernel.decider.decision import Actor, Context, TimerFired
from tests.examples_directory import (
    DEPARTMENT,
    MODELS,
    MUNICIPALITY,
    NOW,
    ORGANISATION,
    PERSON,
    TENANT,
    TODAY,
    a_municipality_with_a_department,
    an_actor,
    an_organisation,
)

ACCOUNT = UUID("0198d200-0000-7000-8000-000000000001")
OTHER_ACCOUNT = UUID("0198d200-0000-7000-8000-000000000002")
MEMBERSHIP = UUID("0198d200-0000-7000-8000-000000000003")
OTHER_MEMBERSHIP = UUID("0198d200-0000-7000-8000-000000000004")
INVITATION = UUID("0198d200-0000-7000-8000-000000000005")
CASE = UUID("0198d200-0000-7000-8000-000000000006")
MOTHER = UUID("0198d200-0000-7000-8000-000000000007")
CHILD = UUID("0198d200-0000-7000-8000-000000000008")
MACHINE = UUID("0198d200-0000-7000-8000-000000000009")
NEW = UUID("0198d200-0000-7000-8000-00000000000a")
IDENTITY = UUID("0198d200-0000-8000-8000-00000000000b")
OTHER_IDENTITY = UUID("0198d200-0000-8000-8000-00000000000c")
LAST_DAY = date(2026, 9, 30)
NAME = "Kirsten Å. Sørensen"
AUDITOR = Position("auditor")
GUARDIAN = Position("guardian", person_id=MOTHER)
GIVEN = Entry("given", NOW, PERSON)
CASEWORKER = Actor(PERSON, "caseworker", TENANT, None, DEPARTMENT)
PORTAL = an_actor("portal")


def running(position: Position = AUDITOR, until: date | None = LAST_DAY) -> Running:
    """Return a role that somebody has, until autumn unless it says otherwise."""
    return Running(position, TODAY, until, (GIVEN,))


def ended(successor_id: UUID | None = None) -> Ended:
    """Return a role that somebody had, or that another account took over."""
    reason = "handed_over" if successor_id else "ended"
    entry = Entry(reason, NOW, PERSON, TODAY)
    return Ended(AUDITOR, TODAY, TODAY, reason, (GIVEN, entry), successor_id)


def an_account(membership: AccountMembership | None = None, identity: UUID = IDENTITY) -> Account:
    """Return the account of an auditor, or with another role."""
    memberships = {MEMBERSHIP: membership or running()}
    return Account(MUNICIPALITY, NOW, PERSON, memberships, frozenset({identity}))


def a_machine() -> Machine:
    """Return a program with a role."""
    return Machine(MUNICIPALITY, NOW, PERSON, "Fagsystem", '{"kty":"OKP"}', {MEMBERSHIP: running()})


def an_invitation(stage: InvitationStage | None = None, position: Position = AUDITOR) -> Invitation:
    """Return an invitation whose code can be used, or that has ended."""
    return Invitation(
        position=position,
        account_id=NEW,
        code_digest="0" * 64,
        made_at=NOW,
        made_by=PERSON,
        expires_on=TODAY + timedelta(days=30),
        until=None,
        stage=stage or Open(),
    )


def a_family() -> FamilyCase:
    """Return the case of the mother and her child, whose custody a second employee has confirmed."""
    return FamilyCase(DEPARTMENT, CHILD, frozenset({MOTHER}), custody_recorded_at=NOW, custody_confirmed=NOW)


def wrong_codes(number: int = 1, identity_id: UUID = IDENTITY) -> WrongCodes:
    """Return some wrong codes that somebody has just given."""
    return WrongCodes((WrongCode(NOW, identity_id),) * number)


def beside() -> dict[UUID, Any]:
    """Return what the steps read besides their own stream."""
    return {
        MUNICIPALITY: a_municipality_with_a_department(),
        ORGANISATION: an_organisation(),
        OTHER_ACCOUNT: an_account(running(Position("administrator"), None), OTHER_IDENTITY),
        OTHER_IDENTITY: Identity(OTHER_ACCOUNT),
        CASE: a_family(),
        administrators_of(MUNICIPALITY): Administrators({OTHER_MEMBERSHIP: TODAY}),
    }


def context(
    stream_id: UUID = ACCOUNT,
    others: Mapping[UUID, Any] | None = None,
    actor: Actor | None = None,
    private: Mapping[str, Any] | None = None,
) -> Context:
    """Return the context of a step about people; what is in `others` comes before what is as usual."""
    found = {at: one for at, one in {**beside(), **(others or {})}.items() if one is not None}
    return Context(NOW, stream_id, TENANT, actor or an_actor("administrator"), MODELS, found, private or {})


def inviting(position: Position = AUDITOR, until: date | None = None) -> MakeInvitation:
    """Return the command by which somebody is invited."""
    named_in = (CASE,) if position.person_id else ()
    return MakeInvitation(MUNICIPALITY, position, NEW, "0" * 64, until, NAME, named_in)


def using(account_id: UUID = NEW, *identity_ids: UUID) -> UseInvitation:
    """Return the command by which somebody takes the role of an invitation."""
    return UseInvitation(MUNICIPALITY, identity_ids or (IDENTITY,), account_id, OTHER_MEMBERSHIP)


def giving(position: Position | None = None, until: date | None = None) -> GiveMembership:
    """Return the command by which an account gets a role more."""
    return GiveMembership(MUNICIPALITY, OTHER_MEMBERSHIP, position or Position("leader"), None, until)


def renewing(until: date | None = None) -> RenewMembership:
    """Return the command by which a role goes on."""
    return RenewMembership(MUNICIPALITY, MEMBERSHIP, until)


def ending(membership_id: UUID = MEMBERSHIP) -> EndMembership:
    """Return the command by which a role ends."""
    return EndMembership(MUNICIPALITY, membership_id)


def handing_over(to: UUID = OTHER_ACCOUNT) -> HandOver:
    """Return the command by which another account takes a role over."""
    return HandOver(MUNICIPALITY, MEMBERSHIP, to, NEW)


def binding(account_id: UUID = NEW) -> BindPerson:
    """Return the command by which the mother can sign in."""
    return BindPerson(MUNICIPALITY, IDENTITY, account_id, OTHER_MEMBERSHIP, (CASE,))


def registering_a_machine(position: Position = AUDITOR) -> RegisterMachine:
    """Return the command by which a program gets an account."""
    return RegisterMachine(MUNICIPALITY, "Fagsystem", '{"kty":"OKP"}', "0" * 64, MEMBERSHIP, position)


def states() -> tuple[State, ...]:
    """Return an example of every state."""
    return (
        an_account(),
        an_account(ended()),
        an_account(ended(OTHER_ACCOUNT)),
        a_machine(),
        an_invitation(),
        an_invitation(Used(NOW, OTHER_ACCOUNT)),
        an_invitation(Lapsed(NOW)),
        an_invitation(TakenBack(NOW, PERSON)),
        Identity(ACCOUNT),
        Person(Bound(ACCOUNT, MEMBERSHIP)),
        Person(Released()),
        a_family(),
        Administrators({MEMBERSHIP: TODAY}),
        wrong_codes(),
    )


def commands() -> tuple[object, ...]:
    """Return an example of every command, and more where one leads to different steps."""
    return (
        inviting(),
        RevokeInvitation(),
        using(),
        using(OTHER_ACCOUNT, OTHER_IDENTITY),
        NoteWrongCode(IDENTITY),
        binding(),
        binding(ACCOUNT),
        giving(),
        replace(giving(), membership_id=MEMBERSHIP),
        renewing(),
        ending(),
        handing_over(),
        RecordDetails(NAME),
        AddIdentity((NEW,)),
        registering_a_machine(),
    )


def events() -> tuple[Event, ...]:
    """Return the events that the directory consumes."""
    return (
        CaseOpened(department_id=DEPARTMENT, caseworker_id=PERSON, model="kerteminde", model_version=1),
        CustodyRecorded(holder_ids=(MOTHER,), quorum="all", rule="custody", recorded_at=NOW),
        CustodyConfirmed(recorded_at=NOW),
    )


def timers() -> tuple[TimerFired, ...]:
    """Return the timers of an account and of an invitation, as they fire."""
    morning = NOW.replace(year=2026, month=10, day=1)
    return (
        TimerFired(FOREWARNING, MEMBERSHIP, morning),
        TimerFired(EXPIRY, MEMBERSHIP, morning),
        TimerFired(EXPIRY, MEMBERSHIP, NOW),
        TimerFired(LAPSE, INVITATION, morning),
    )


def counted() -> UUID:
    """Return the stream that counts wrong codes."""
    return wrong_codes_of(MUNICIPALITY)
