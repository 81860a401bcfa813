"""Access to consent: the one who is asked, and the caseworkers of the case's own department."""

from uuid import UUID

import pytest

from services.consent.domain.access import authorize, receipt_part
from services.kernel.decider.decision import Actor, ReadRequest
from tests import examples_consent as ex
from tests.examples_consent import FATHER, MOTHER, a_caseworker, a_context, a_guardian, a_no, a_yes, custody
from tests.subject_consent import CASES, a_case

ELSEWHERE = UUID("0198d000-0000-7000-8000-0000000000ff")
WHOLE_CASE = ReadRequest(("custody", "consents"))
TRIGGERS = {
    "custody": custody(),
    "mother's answers": (a_yes(MOTHER), a_no(MOTHER), ex.a_withdrawal(MOTHER)),
    "father's answers": (a_yes(FATHER), a_no(FATHER), ex.a_withdrawal(FATHER)),
    "case": WHOLE_CASE,
    "mother's receipt": ReadRequest((receipt_part(ex.consent_id(MOTHER)),)),
}


@pytest.mark.req("K3")
@pytest.mark.parametrize(
    ("actor", "allowed"),
    [
        (a_caseworker(), {*TRIGGERS}),
        (a_caseworker(ELSEWHERE), set()),
        (a_caseworker(None), set()),
        (a_guardian(MOTHER), {"mother's answers", "mother's receipt"}),
        (a_guardian(FATHER), {"father's answers"}),
        (a_guardian(ex.STRANGER), set()),
        (ex.the_young_person(), set()),
        *(
            (Actor(MOTHER, role, ex.TENANT), set())
            for role in ("coordinator", "leader", "auditor", "administrator")
        ),
    ],
)
def test_only_the_one_asked_and_the_cases_own_department_may(actor: Actor, allowed: set[str]) -> None:
    """Access follows assignment: being a guardian or a caseworker somewhere is not enough."""
    for name, triggers in TRIGGERS.items():
        for trigger in triggers if isinstance(triggers, tuple) else (triggers,):
            may = authorize(CASES["requested"], trigger, a_context(actor=actor))
            assert may is (name in allowed), f"{name}: {trigger}"


def test_a_case_that_was_not_opened_belongs_to_no_department() -> None:
    """Where the department is not on record yet, no caseworker is taken for the right one."""
    case = a_case(ex.awaited())

    assert not authorize(case, WHOLE_CASE, a_context(actor=a_caseworker(None)))
    assert not authorize(None, custody(), a_context(actor=a_caseworker()))
    assert not authorize(None, a_yes(), a_context(actor=a_guardian()))
