"""Invitations: a code is used once, in time, by somebody else than who invited; guesses are counted."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts.consent import CustodyConfirmed, CustodyRecorded
from contracts.directory import (
    AccountOpened,
    CodeRejected,
    IdentityBound,
    InvitationLapsed,
    InvitationMade,
    InvitationUsed,
    MembershipGiven,
    PersonBound,
)
from contracts.event import Event
from services.directory.domain.access import authorize
from services.directory.domain.codes import ALPHABET, code_of, read_code
from services.directory.domain.commands import (
    AddIdentity,
    BindPerson,
    EndMembership,
    MakeInvitation,
    NoteWrongCode,
    RevokeInvitation,
)
from services.directory.domain.lifecycle import decide, related_streams
from services.directory.domain.refusals import (
    CodeExpired,
    CodeMistyped,
    CodeRevoked,
    CodeUsed,
    CustodyUnconfirmed,
    IdentityTaken,
    OwnRole,
    PersonBoundAlready,
    RoleOfAnother,
    TooManyWrongCodes,
)
from services.directory.domain.states import (
    Account,
    Bound,
    Identity,
    Lapsed,
    Open,
    Person,
    Position,
    TakenBack,
    Used,
    WrongCode,
    WrongCodes,
)
from services.directory.domain.steps.invitations import LAPSE
from services.kernel.decider.decision import Actor, PrivateValue, ReadRequest, Timer, TimerFired
from services.kernel.errors import NotFound
from tests.examples_accounts import (
    ACCOUNT,
    AUDITOR,
    CASE,
    CASEWORKER,
    CHILD,
    GUARDIAN,
    IDENTITY,
    INVITATION,
    MEMBERSHIP,
    MOTHER,
    NAME,
    NEW,
    OTHER_ACCOUNT,
    OTHER_IDENTITY,
    PORTAL,
    a_family,
    an_account,
    an_invitation,
    binding,
    context,
    counted,
    ending,
    events,
    giving,
    inviting,
    renewing,
    running,
    using,
    wrong_codes,
)
from tests.examples_directory import NOW, PERSON, TODAY, an_actor

ADMINISTRATOR = an_actor("administrator")
LATER = NOW + timedelta(days=1)
STRANGER = replace(CASEWORKER, department_id=NEW)


def use(state: Any = None, command: Any = None, **more: Any) -> Any:
    """Return what comes of using a code."""
    return decide(state or an_invitation(), command or using(), context(INVITATION, actor=PORTAL, **more))


def test_an_invitation_keeps_the_digest_of_its_code_and_the_sealed_name() -> None:
    """It lapses on the morning after thirty days; the event has no name and no code."""
    decision = decide(None, inviting(), context(INVITATION))
    last_day = TODAY + timedelta(days=30)

    assert decision.state.code_digest == "0" * 64
    assert decision.events == (InvitationMade(role="auditor", expires_on=last_day),)
    assert decision.private_values == (PrivateValue(NEW, "name", NAME),)
    assert decision.timers == (Timer(LAPSE, INVITATION, datetime(2026, 4, 2, 4, tzinfo=UTC)),)


def test_whoever_uses_the_code_has_an_account_with_the_role() -> None:
    """The name moves to the account, and is no longer kept with the invitation."""
    decision = use(private={"name": NAME})
    account = decision.others[NEW]

    assert decision.state.stage == Used(NOW, NEW)
    assert decision.events == (InvitationUsed(account_id=NEW),)
    assert decision.private_values == (PrivateValue(NEW, "name", ""),)
    assert account.private_values == (PrivateValue(NEW, "name", NAME),)
    assert [type(event) for event in account.events] == [AccountOpened, IdentityBound, MembershipGiven]
    assert decision.others[IDENTITY].state == Identity(NEW)


def test_whoever_has_an_account_gets_the_role_on_it() -> None:
    """By any of their identities, of which a new one is then theirs too; their name stays."""
    decision = use(command=using(OTHER_ACCOUNT, IDENTITY, OTHER_IDENTITY), private={"name": NAME})
    account = decision.others[OTHER_ACCOUNT]

    assert isinstance(account.state, Account)
    assert account.state.identities == {IDENTITY, OTHER_IDENTITY}
    assert [type(event) for event in account.events] == [IdentityBound, MembershipGiven]
    assert account.private_values == ()


def test_an_identity_is_of_one_account_and_an_account_is_added_to_by_its_holder_only() -> None:
    """Neither another's identity nor another's account is taken by a code."""
    with pytest.raises(IdentityTaken):
        use(command=using(NEW, OTHER_IDENTITY))
    with pytest.raises(IdentityTaken):
        use(command=using(OTHER_ACCOUNT, IDENTITY))
    with pytest.raises(IdentityTaken):
        use(command=using(OTHER_ACCOUNT, OTHER_IDENTITY, IDENTITY), others={IDENTITY: Identity(ACCOUNT)})


@pytest.mark.parametrize(
    ("stage", "refusal"),
    [(Used(NOW, NEW), CodeUsed), (Lapsed(NOW), CodeExpired), (TakenBack(NOW, PERSON), CodeRevoked)],
)
def test_a_code_that_is_of_no_use_says_why(stage: Any, refusal: type[Exception]) -> None:
    """Also to somebody without an account, for whom the invitation's own would be opened."""
    with pytest.raises(refusal):
        use(an_invitation(stage))


def test_the_same_person_may_give_the_code_again() -> None:
    """A repetition changes nothing."""
    state = an_invitation(Used(NOW, OTHER_ACCOUNT))

    assert use(state, using(OTHER_ACCOUNT, OTHER_IDENTITY)).events == ()


def test_a_code_is_refused_after_its_last_day_and_that_of_the_role() -> None:
    """Also before the timer has fired."""
    yesterday = TODAY - timedelta(days=1)
    for state in (
        replace(an_invitation(), expires_on=yesterday),
        replace(an_invitation(), until=yesterday),
    ):
        with pytest.raises(CodeExpired):
            use(state)
    lapsed = decide(an_invitation(), TimerFired(LAPSE, INVITATION, NOW), context(INVITATION))

    assert lapsed.events == (InvitationLapsed(),)
    assert lapsed.private_values == (PrivateValue(NEW, "name", ""),)


def test_nobody_uses_an_invitation_that_they_made() -> None:
    """Nobody gives themselves a role."""
    others = {PERSON: an_account(), IDENTITY: Identity(PERSON)}
    with pytest.raises(OwnRole):
        use(command=using(PERSON), others=others)


def test_somebody_of_a_family_is_invited_in_the_role_that_the_case_names() -> None:
    """And not while they can sign in already; the code binds the person's own stream."""
    as_caseworker: dict[str, Any] = {"actor": CASEWORKER}
    made = decide(None, inviting(GUARDIAN), context(INVITATION, **as_caseworker))
    bound = {MOTHER: Person(Bound(ACCOUNT, MEMBERSHIP))}
    for person_id, role in ((MOTHER, "young_person"), (CHILD, "guardian"), (NEW, "guardian")):
        command = inviting(Position(role, person_id=person_id))
        with pytest.raises(RoleOfAnother):
            decide(None, command, context(INVITATION, **as_caseworker))
    with pytest.raises(PersonBoundAlready):
        decide(None, inviting(GUARDIAN), context(INVITATION, others=bound, **as_caseworker))
    with pytest.raises(PersonBoundAlready):
        use(made.state, others=bound)
    used = use(made.state)

    assert MOTHER in related_streams(made.state, using())
    assert used.others[MOTHER].events == (PersonBound(role="guardian"),)
    assert used.others[MOTHER].state.binding.account_id == NEW


def test_a_person_is_bound_once() -> None:
    """The same account again changes nothing, another one is refused, nobody binds themselves."""
    at = context(MOTHER, actor=CASEWORKER)
    bound = Person(Bound(NEW, MEMBERSHIP))

    assert decide(None, binding(), at).events == (PersonBound(role="guardian"),)
    assert decide(bound, binding(), at).events == ()
    with pytest.raises(PersonBoundAlready):
        decide(bound, binding(OTHER_ACCOUNT), at)
    with pytest.raises(OwnRole):
        decide(None, binding(PERSON), at)
    with pytest.raises(NotFound):
        decide(None, binding(), context(MOTHER, others={CASE: None}, actor=CASEWORKER))


def test_a_family_is_known_in_whichever_order_its_events_come() -> None:
    """Who is named no more can be invited no more."""
    opened, custody, confirmed = events()
    orders = ((opened, custody, confirmed), (custody, opened, confirmed), (custody, confirmed, opened))
    known = [after(*order) for order in orders]
    later = after(*orders[0], CustodyRecorded(holder_ids=(), quorum="all", rule="x", recorded_at=LATER))

    assert known == [replace(a_family(), child_id=None)] * 3
    assert later.role_of(MOTHER) is None


def test_a_confirmation_is_of_one_record_of_custody() -> None:
    """A new record waits for its own; where only the child's age changed the rule, the old one counts."""
    opened, custody, confirmed = events()
    by_age = custody.model_copy(update={"rule": "young_person"})
    anew = custody.model_copy(update={"recorded_at": LATER})

    assert not after(opened).is_confirmed
    assert not after(opened, custody).is_confirmed
    assert after(opened, custody, confirmed, by_age).is_confirmed
    assert not after(opened, custody, confirmed, anew).is_confirmed
    assert not after(opened, custody, anew, confirmed).is_confirmed
    assert after(opened, custody, confirmed, anew, CustodyConfirmed(recorded_at=LATER)).is_confirmed


@pytest.mark.parametrize("recorded", [None, NOW])
@pytest.mark.parametrize(("person_id", "role"), [(MOTHER, "guardian"), (CHILD, "young_person")])
def test_nobody_is_let_in_before_a_second_employee_has_confirmed_custody(
    recorded: datetime | None, person_id: UUID, role: str
) -> None:
    """Whether by a code or by the national number: no one can put somebody on record and answer as them."""
    case = {CASE: replace(a_family(), custody_recorded_at=recorded, custody_confirmed=None)}
    by_code = inviting(Position(role, person_id=person_id))

    with pytest.raises(CustodyUnconfirmed):
        decide(None, by_code, context(INVITATION, others=case, actor=CASEWORKER))
    with pytest.raises(CustodyUnconfirmed):
        decide(None, binding(), context(person_id, others=case, actor=CASEWORKER))
    assert decide(None, by_code, context(INVITATION, actor=CASEWORKER)).events


def test_a_code_made_before_custody_changed_waits_for_the_new_confirmation() -> None:
    """It can be used again once that has come; whoever custody names no more stays out."""
    made = decide(None, inviting(GUARDIAN), context(INVITATION, actor=CASEWORKER)).state
    changed = replace(a_family(), custody_recorded_at=LATER)

    assert CASE in related_streams(made, using())
    with pytest.raises(CustodyUnconfirmed):
        use(made, others={CASE: changed})
    assert use(made, others={CASE: replace(changed, custody_confirmed=LATER)}).events
    with pytest.raises(RoleOfAnother):
        use(made, others={CASE: replace(a_family(), holder_ids=frozenset())})


def test_a_person_of_two_cases_is_let_in_by_the_confirmed_one() -> None:
    """A sibling's case that waits for its confirmation shuts nobody out."""
    others = {NEW: replace(a_family(), custody_confirmed=None)}

    assert decide(None, inviting(GUARDIAN), context(INVITATION, others=others, actor=CASEWORKER)).events


def after(*seen: Event) -> Any:
    """Return the family of a case after some events."""
    state: Any = None
    for event in seen:
        state = decide(state, event, context(CASE)).state
    return state


def test_wrong_codes_are_counted_for_an_hour() -> None:
    """Five of one person, sixty of a municipality; after that no code is taken, right or wrong."""
    noted = decide(None, NoteWrongCode(IDENTITY), context(counted(), actor=PORTAL))
    old = WrongCodes((WrongCode(NOW - timedelta(hours=1), IDENTITY),) * 5)
    many = WrongCodes(tuple(WrongCode(NOW, UUID(int=at)) for at in range(60)))

    assert noted.events == (CodeRejected(),)
    assert len(decide(old, NoteWrongCode(IDENTITY), context(counted())).state.given) == 1
    for counts in (wrong_codes(5), many):
        with pytest.raises(TooManyWrongCodes):
            decide(counts, NoteWrongCode(IDENTITY), context(counted()))
        with pytest.raises(TooManyWrongCodes) as refused:
            use(others={counted(): counts})
        assert refused.value.detail == "60 min"
    assert use(others={counted(): wrong_codes(5, OTHER_IDENTITY)}).events


@given(st.binary(min_size=32, max_size=32))
def test_a_code_is_read_as_it_was_made(secret: bytes) -> None:
    """In small letters and with other spaces too."""
    code = code_of(secret)

    assert read_code(code.lower().replace("-", "  ")) == code.replace("-", "")


@given(st.binary(min_size=32, max_size=32), st.integers(0, 9), st.sampled_from(ALPHABET))
def test_a_single_slip_is_found(secret: bytes, at: int, other: str) -> None:
    """Also a swap of two neighbours."""
    code = read_code(code_of(secret))
    slip = code[:at] + other + code[at + 1 :]
    swapped = code[: max(at - 1, 0)] + code[max(at - 1, 0) : at + 1][::-1] + code[at + 1 :]
    for typed in {slip, swapped} - {code}:
        with pytest.raises(CodeMistyped):
            read_code(typed)


@pytest.mark.parametrize("typed", ["", "234", "O0I1U-22222", "22222222222"])
def test_what_is_no_code_is_a_slip(typed: str) -> None:
    """Too short, too long, or with characters that no code has."""
    with pytest.raises(CodeMistyped):
        read_code(typed)


@pytest.mark.parametrize(
    ("actor", "state", "trigger", "allowed"),
    [
        (ADMINISTRATOR, None, inviting(), True),
        (an_actor("operator"), None, inviting(Position("administrator")), True),
        (an_actor("operator"), None, inviting(), False),
        (ADMINISTRATOR, None, inviting(GUARDIAN), False),
        (CASEWORKER, None, inviting(GUARDIAN), True),
        (CASEWORKER, None, inviting(), False),
        (STRANGER, None, inviting(GUARDIAN), False),
        (ADMINISTRATOR, an_account(), inviting(), False),
        (ADMINISTRATOR, an_invitation(), RevokeInvitation(), True),
        (CASEWORKER, an_invitation(), RevokeInvitation((CASE,)), False),
        (CASEWORKER, an_invitation(position=GUARDIAN), RevokeInvitation((CASE,)), True),
        (STRANGER, an_invitation(position=GUARDIAN), RevokeInvitation((CASE,)), False),
        (PORTAL, an_invitation(), using(), True),
        (ADMINISTRATOR, an_invitation(), using(), False),
        (PORTAL, None, using(), False),
        (PORTAL, an_account(), AddIdentity((NEW,)), True),
        (ADMINISTRATOR, an_account(), AddIdentity((NEW,)), False),
        (replace(CASEWORKER, id=INVITATION), an_account(), AddIdentity((NEW,)), False),
        (PORTAL, None, NoteWrongCode(IDENTITY), True),
        (CASEWORKER, None, NoteWrongCode(IDENTITY), False),
        (ADMINISTRATOR, an_account(), giving(), True),
        (an_actor("leader"), an_account(), giving(), False),
        (an_actor("operator"), an_account(), renewing(), False),
        (CASEWORKER, an_account(), ending(), False),
        (CASEWORKER, an_account(running(GUARDIAN)), ending(), True),
        (STRANGER, an_account(running(GUARDIAN)), ending(), False),
        (CASEWORKER, None, EndMembership(ACCOUNT, MEMBERSHIP), False),
        (PORTAL, an_account(), ReadRequest(("account",)), True),
        (CASEWORKER, an_account(), ReadRequest(("account",)), False),
        (CASEWORKER, an_account(), ReadRequest(("names",)), True),
        (CASEWORKER, an_account(), ReadRequest(("names", "account")), False),
        (ADMINISTRATOR, a_family(), ReadRequest(("status",)), False),
        (ADMINISTRATOR, Identity(ACCOUNT), ReadRequest(("status",)), False),
        (CASEWORKER, an_invitation(), ReadRequest(("invitation",)), True),
        (replace(CASEWORKER, id=NEW), an_invitation(), ReadRequest(("invitation",)), False),
    ],
)
def test_who_may_do_what(actor: Actor, state: Any, trigger: object, *, allowed: bool) -> None:
    """Administrators let employees in, caseworkers the families of their department; the portal asks."""
    assert authorize(state, trigger, context(INVITATION, actor=actor)) is allowed


def test_a_caseworker_binds_persons_of_their_own_department() -> None:
    """What is not theirs and what is not there are the same."""
    for person_id, actor, allowed in (
        (MOTHER, CASEWORKER, True),
        (CHILD, CASEWORKER, True),
        (NEW, CASEWORKER, False),
        (MOTHER, STRANGER, False),
        (MOTHER, replace(CASEWORKER, role="leader"), False),
    ):
        assert authorize(None, binding(), context(person_id, actor=actor)) is allowed


def test_a_step_reads_what_its_command_names() -> None:
    """Before anything is read because of a state, so that both answers take the same statements."""
    assert CASE in related_streams(None, inviting(GUARDIAN))
    assert CASE in related_streams(None, binding())
    assert isinstance(binding(), BindPerson)
    assert isinstance(inviting(AUDITOR), MakeInvitation)
    assert an_invitation().stage == Open()
