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
from services.referral.domain.states import Case, Referral
from tests.examples_referral import (
    CASEWORKER,
    COORDINATOR,
    DEPARTMENT,
    GUARDIAN,
    MOTHER,
    REFERRAL,
    TENANT,
    a_case,
    a_context,
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


def is_taken(case: Case, command: Command, context: Context) -> bool:
    """Return whether a command would change the case, or only its body is refused."""
    try:
        if not authorize(case, command, context):
            return False
    except ConsentUnknown:
        return False
    try:
        return decide(case, command, context).state != case
    except (InvalidTransition, NotFound):
        return False
    except ConsentUnknown:
        return isinstance(command, SendReferral)  # passes by itself: the caseworker sends again in a moment
    except Refused:
        return True


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
def test_actions_of_a_case_are_those_of_its_department(actor: Actor) -> None:
    """Only a caseworker of the department acts on the case itself."""
    commands = (to_note_views(), to_assess(), to_draft(), CloseCase("family_moved"))
    for referral in referrals():
        case, context = a_case(referral, consent_of(referral)), a_context(actor=actor)
        may = {command_name(type(one)) for one in commands if authorize(case, one, context)}
        assert set(allowed_actions(case, context)) == may
