"""Actions of a case and its referrals: named if and only if the command would be taken."""

from typing import Final

import pytest

from services.kernel.decider.decision import Actor, Context
from services.kernel.decider.lifecycle import command_name
from services.kernel.errors import ConsentUnknown, InvalidTransition, NotFound, Refused
from services.referral.domain.access import authorize
from services.referral.domain.actions import allowed_actions
from services.referral.domain.commands import CloseCase, Command, SendReferral
from services.referral.domain.lifecycle import decide
from services.referral.domain.states import Case, Ending, Referral
from tests.examples_referral import (
    CASEWORKER,
    COORDINATOR,
    DEPARTMENT,
    GUARDIAN,
    MOTHER,
    NOW,
    REFERRAL,
    TENANT,
    a_case,
    a_context,
    a_draft,
    a_sent,
    an_eligibility,
    an_under_way,
    consent_of,
    referral_commands,
    referrals,
    to_assess,
    to_draft,
    to_note_views,
)

PEOPLE: Final = (
    CASEWORKER, COORDINATOR, GUARDIAN,
    Actor(MOTHER, "caseworker", TENANT, department_id=MOTHER),
    Actor(MOTHER, "coordinator", TENANT, organisation_id=MOTHER),
    Actor(MOTHER, "young_person", TENANT),
    Actor(MOTHER, "leader", TENANT, department_id=DEPARTMENT),
    Actor(MOTHER, "auditor", TENANT),
    Actor(MOTHER, "operator", TENANT),
)  # fmt: skip


NAMED_ALTHOUGH_REFUSED: Final = {
    SendReferral: "consents not known to be fresh: that passes by itself, and the caseworker sends again",
}
"""Commands that are named although their step refuses them now, and why. The bodies here all fit."""


def case_commands() -> tuple[Command, ...]:
    """Return one of each command on the case itself, whose body fits; the draft is of another referral."""
    return to_note_views(), to_assess(), to_draft(referral_id=MOTHER), CloseCase("family_moved")


def cases() -> list[Case]:
    """Return cases at every step: not heard, not assessed, not eligible, with each referral, closed."""
    return [
        a_case(views=None, eligibility=None),
        a_case(eligibility=None),
        a_case(views=None),
        a_case(eligibility=an_eligibility(eligible=False)),
        a_case(ending=Ending("family_moved", NOW)),
        a_case(),
        *(a_case(referral, consent_of(referral)) for referral in referrals()),
    ]


def is_taken(case: Case, command: Command, context: Context) -> bool:
    """Return whether a command whose body fits would change the case."""
    try:
        if not authorize(case, command, context):
            return False
    except ConsentUnknown:
        return False
    try:
        decision = decide(case, command, context)
    except ConsentUnknown:
        return type(command) in NAMED_ALTHOUGH_REFUSED
    except (InvalidTransition, NotFound, Refused):
        return False
    return decision.state != case or bool(decision.events)


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "stale"])
@pytest.mark.parametrize("referral", referrals(), ids=lambda one: str(one.__struct_config__.tag))
def test_an_action_of_a_referral_is_named_if_and_only_if_it_is_taken(
    referral: Referral, *, fresh: bool
) -> None:
    """No button answers with the wrong moment, and none is missing."""
    case = a_case(referral, consent_of(referral))
    for actor in PEOPLE:
        context = a_context(actor=actor, consents_fresh=fresh)
        taken = {command_name(type(one)) for one in referral_commands() if is_taken(case, one, context)}
        assert set(allowed_actions(case, context, REFERRAL)) == taken, actor.role


@pytest.mark.parametrize("actor", PEOPLE, ids=lambda actor: str(actor.role))
def test_an_action_of_a_case_is_named_if_and_only_if_it_is_taken(actor: Actor) -> None:
    """Only a caseworker of the department acts on the case itself, and only as far as it has come."""
    for case in cases():
        context = a_context(actor=actor)
        taken = {command_name(type(one)) for one in case_commands() if is_taken(case, one, context)}
        assert set(allowed_actions(case, context)) == taken


@pytest.mark.parametrize(
    "referral", [a_draft(), a_sent(), an_under_way()], ids=lambda one: type(one).__name__
)
def test_a_case_with_an_open_referral_is_not_to_be_closed(referral: Referral) -> None:
    """The referral comes to its end first."""
    case = a_case(referral, consent_of(referral))
    assert "close_case" not in allowed_actions(case, a_context())
    assert "close_case" in allowed_actions(a_case(), a_context())
