"""The directory's lifecycles: every command in every state, and where each step may lead."""

from collections.abc import Callable, Iterator
from typing import Any, get_args
from uuid import UUID

import pytest

from services.directory.domain.commands import (
    AddIdentity,
    AdoptModel,
    BindPerson,
    ChangeCapacity,
    EndMembership,
    GiveMembership,
    HandOver,
    MakeInvitation,
    PublishOffer,
    RecordDetails,
    RegisterDepartment,
    RenewMembership,
    RevokeAccess,
    RevokeInvitation,
    UseInvitation,
)
from services.directory.domain.lifecycle import LIFECYCLES, decide, related_streams
from services.directory.domain.lifecycle import ORGANISATION as ORGANISATION_LIFECYCLE
from services.directory.domain.refusals import DepartmentUnknown, OrganisationUnknown
from services.directory.domain.states import (
    Access,
    Account,
    AccountMembership,
    Adoption,
    Binding,
    Department,
    FamilyCase,
    Invitation,
    InvitationStage,
    Machine,
    Membership,
    Municipality,
    Offer,
    Organisation,
    Person,
    State,
    WrongCodes,
)
from services.kernel.decider.lifecycle import Lifecycle, Row
from services.kernel.errors import InvalidTransition, NotFound, ProblemError
from tests import examples_accounts as people
from tests.examples_directory import (
    DEPARTMENT,
    MUNICIPALITY,
    OFFER,
    ORGANISATION,
    OTHER_PERSON,
    a_left_organisation,
    a_municipality,
    a_municipality_that_revoked,
    a_municipality_with_a_department,
    an_offer,
    an_organisation,
    commands,
    context,
    joining,
    leaving,
    publishing,
    registering,
    restoring,
    revoking,
    states,
)
from tests.lifecycles import row_for


@pytest.mark.parametrize(
    ("make", "command", "answer"),
    [
        (a_municipality, AdoptModel("kerteminde", 1), "same"),
        (a_municipality, registering(), "event"),
        (a_municipality, joining(), OrganisationUnknown),
        (a_municipality, leaving(), NotFound),
        (a_municipality, publishing(), NotFound),
        (a_municipality, ChangeCapacity(MUNICIPALITY, 3), NotFound),
        (a_municipality, revoking(), "event"),
        (a_municipality, restoring(), InvalidTransition),
        (a_municipality_that_revoked, revoking(), "same"),
        (a_municipality_that_revoked, restoring(), "event"),
        (lambda: a_municipality_that_revoked(restored=True), revoking(), "event"),
        (lambda: a_municipality_that_revoked(restored=True), restoring(), "same"),
        (lambda: None, revoking(), "event"),
        (lambda: None, restoring(), NotFound),
        (an_organisation, revoking(), NotFound),
        (an_organisation, AdoptModel("kerteminde", 1), NotFound),
        (an_organisation, registering(), NotFound),
        (an_organisation, joining(), "same"),
        (an_organisation, leaving(), "event"),
        (an_organisation, publishing(), NotFound),
        (an_organisation, ChangeCapacity(MUNICIPALITY, 3), NotFound),
        (a_left_organisation, joining(), "event"),
        (a_left_organisation, leaving(), "same"),
        (an_offer, AdoptModel("kerteminde", 1), NotFound),
        (an_offer, registering(), NotFound),
        (an_offer, joining(), OrganisationUnknown),
        (an_offer, leaving(), NotFound),
        (an_offer, publishing(), "same"),
        (an_offer, ChangeCapacity(MUNICIPALITY, 4), "same"),
        (an_offer, ChangeCapacity(MUNICIPALITY, 3), "event"),
        (lambda: None, AdoptModel("kerteminde", 1), "event"),
        (lambda: None, joining(), "event"),
        (lambda: None, joining(again=True), OrganisationUnknown),
        (an_organisation, joining(again=True), "same"),
        (a_municipality, registering(again=True), DepartmentUnknown),
        (a_municipality_with_a_department, registering(again=True), "same"),
        (lambda: None, leaving(), NotFound),
        (lambda: None, publishing(), "event"),
        (lambda: None, ChangeCapacity(MUNICIPALITY, 3), NotFound),
    ],
)
def test_every_command_in_every_state(
    make: Callable[[], State | None], command: object, answer: str | type[Exception]
) -> None:
    """A step is taken once, changes nothing when repeated, and is refused where it does not belong."""
    state = make()

    if not isinstance(answer, str):
        with pytest.raises(answer):
            decide(state, command, context(ORGANISATION))
        return
    decision = decide(state, command, context(ORGANISATION))

    assert (decision.state is state) == (answer == "same")
    assert len(decision.events) == (answer == "event")


def test_a_step_reads_the_streams_that_it_depends_on() -> None:
    """Joining reads what the municipality follows; publishing also whether the association takes part."""
    assert related_streams(None, joining()) == (MUNICIPALITY,)
    assert related_streams(None, publishing()) == (MUNICIPALITY, ORGANISATION)
    assert related_streams(an_offer(), ChangeCapacity(MUNICIPALITY, 1)) == (MUNICIPALITY,)
    assert related_streams(an_organisation(), leaving()) == (MUNICIPALITY,)
    assert related_streams(a_municipality(), registering()) == ()


def things_in(state: State | None) -> dict[str, object]:
    """Return the state of each lifecycle that a document holds, by the lifecycle's name."""
    match state:
        case Municipality():
            return {
                "adopted model": state.adoption,
                "access": state.accesses.get(str(OTHER_PERSON)),
                "department": state.departments.get(DEPARTMENT),
            }
        case Organisation():
            return {"organisation": state.membership}
        case Offer():
            return {"offer": state}
    return people_in(state)


def people_in(state: State | None) -> dict[str, object]:
    """Return the same for what is about people."""
    match state:
        case Account() | Machine():
            given = [at for at in state.memberships if at != people.MEMBERSHIP]
            shown = people.OTHER_MEMBERSHIP if given else people.MEMBERSHIP
            return {"account": state, "membership": state.memberships[shown]}
        case Invitation():
            return {"invitation": state.stage}
        case Person():
            return {"person of a family": state.binding}
        case FamilyCase():
            return {"family": state}
        case WrongCodes():
            return {"wrong codes": state}
    return {}


def before_of(lifecycle: Lifecycle, state: State | None, trigger: object) -> object:
    """Return the state of a lifecycle in which a trigger finds a document; a role more is not there yet."""
    if isinstance(trigger, GiveMembership) and trigger.membership_id == people.OTHER_MEMBERSHIP:
        return None
    return things_in(state).get(lifecycle.name)


def stream_of(trigger: object) -> UUID:
    """Return the stream of an example."""
    match trigger:
        case AdoptModel() | RegisterDepartment() | RevokeAccess():
            return MUNICIPALITY
        case PublishOffer() | ChangeCapacity():
            return OFFER
        case BindPerson():
            return people.MOTHER
        case MakeInvitation() | RevokeInvitation() | UseInvitation():
            return people.INVITATION
        case (
            GiveMembership()
            | RenewMembership()
            | EndMembership()
            | HandOver()
            | RecordDetails()
            | AddIdentity()
        ):
            return people.ACCOUNT
    return ORGANISATION


def rows_taken(before: State | None, trigger: object) -> Iterator[Row]:
    """Yield the row of a trigger in a state, if it is taken; fail where it leads to another state."""
    stream_id = stream_of(trigger)
    actor = people.CASEWORKER if isinstance(trigger, BindPerson) else None
    others: dict[UUID, Any] | None = {} if before is None or isinstance(before, Invitation | Person) else None
    try:
        after = decide(before, trigger, people.context(stream_id, others, actor)).state
    except ProblemError:
        return
    for lifecycle in LIFECYCLES:
        row = row_for(lifecycle, before_of(lifecycle, before, trigger), trigger)
        if row is not None and lifecycle.name in things_in(after):
            assert type(things_in(after)[lifecycle.name]) in row.to, f"{lifecycle.name}: {row}"
            yield row


def test_every_step_ends_in_a_state_that_its_row_names() -> None:
    """The tables say where each step may lead, and an example shows every row."""
    triggers = (*commands(), *people.commands(), *people.events(), *people.timers())
    shown = [
        row
        for before in (None, *states(), *people.states())
        for trigger in triggers
        for row in rows_taken(before, trigger)
    ]

    for lifecycle in LIFECYCLES:
        assert [row for row in lifecycle.rows if row not in shown] == []


def test_the_lifecycles_name_every_state() -> None:
    """No state stands outside the tables but those that the steps of another keep beside them."""
    named = {state for lifecycle in LIFECYCLES for state in lifecycle.states}
    unions = (Membership, Access, AccountMembership, InvitationStage, Binding)
    whole = {Account, Machine, Offer, Adoption, Department, FamilyCase, WrongCodes}
    documents = {type(state) for state in (*states(), *people.states())}

    assert named == whole | {state for union in unions for state in get_args(union)}
    assert set(get_args(Membership)) == set(ORGANISATION_LIFECYCLE.states)
    assert documents == set(get_args(State))
