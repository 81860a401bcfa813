"""Refusals: what is known is named, and nothing that was sent is repeated."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from msgspec.structs import replace

from services.agreement.domain.lifecycle import decide as decide_agreement
from services.evaluation.domain.lifecycle import decide as decide_evaluation
from services.kernel.errors import Refused
from services.referral.domain.commands import AwaitConsent, CloseCase, DeclineReferral, RecallReferral
from services.referral.domain.lifecycle import decide as decide_referral
from tests import examples_agreement as agreement
from tests import examples_evaluation as evaluation
from tests import examples_referral as referral

WORD: Final = "anna_is_ill"
VIEWS: Final = referral.to_note_views()


def of_a_case(command: Any, state: Any = None) -> Callable[[], Any]:
    """Return a command on a case of the referral service."""
    case = referral.a_case(*([state, referral.consent_of(state)] if state else []))
    return lambda: decide_referral(case, command, referral.a_context())


def of_an_agreement(command: Any) -> Callable[[], Any]:
    """Return a command on a case of the agreement service, after its first meeting."""
    case = agreement.a_case(agreement.a_met())
    return lambda: decide_agreement(case, command, agreement.context())


def of_an_evaluation(command: Any) -> Callable[[], Any]:
    """Return a command on a case of the evaluation service."""
    case = evaluation.a_case(evaluation.a_running())
    return lambda: decide_evaluation(case, command, evaluation.context())


@pytest.mark.parametrize(
    "refused",
    [
        of_a_case(CloseCase(WORD)),
        of_a_case(DeclineReferral(referral.REFERRAL, WORD), referral.a_sent()),
        of_a_case(RecallReferral(referral.REFERRAL, WORD), referral.a_sent()),
        of_a_case(AwaitConsent(referral.REFERRAL, (WORD,)), referral.a_draft()),
        of_a_case(AwaitConsent(referral.REFERRAL, (), WORD), referral.a_draft()),
        of_a_case(referral.to_draft(purposes=(WORD,))),
        *(
            of_a_case(referral.to_assess(**{name: value}))
            for name, value in (
                ("theme", WORD),
                ("measure", WORD),
                ("conditions", (WORD,)),
                ("factors", (WORD,)),
                ("answers", {WORD: True}),
            )
        ),
        of_a_case(
            replace(referral.to_note_views(), child=replace(referral.to_note_views().child, answer=WORD))
        ),
        of_an_evaluation(evaluation.to_measure(scores={WORD: 1.0})),
    ],
)
def test_finding_14_a_refusal_repeats_no_word_that_was_sent(refused: Callable[[], Any]) -> None:
    """Finding 14: a name that somebody wrote where a word of the model is wanted does not come back."""
    with pytest.raises(Refused) as refusal:
        refused()

    assert refusal.value.detail
    assert WORD not in refusal.value.detail
