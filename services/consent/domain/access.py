"""Access to consent: the person who was asked, the caseworkers of the case's own department; pure.

Their colleagues in the department, who confirm what one of them has minuted, see and do no more than that.
"""

from typing import Any, Final
from uuid import UUID

from services.consent.domain.commands import (
    Answering,
    Confirming,
    GiveConsent,
    RecordCustody,
    RefuseConsent,
    WithdrawConsent,
)
from services.consent.domain.states import Case
from services.kernel.decider.decision import Actor, Context, ReadRequest

CONFIRMATION: Final = "confirmation"
"""The part of a case that a colleague reads who confirms what another one put on record."""

_COLLEAGUES: Final = frozenset({"caseworker", "bridge_builder", "leader"})


def authorize(case: Case | None, trigger: Any, context: Context) -> bool:
    """Return whether the actor may send a command or read; the default is no."""
    actor = context.actor
    if case is None:
        return False
    if _is_caseworker_of(case, actor):
        return isinstance(trigger, Answering | Confirming | RecordCustody | ReadRequest)
    if _is_colleague_in(case, actor):
        return isinstance(trigger, Confirming) or trigger == ReadRequest((CONFIRMATION,))
    match trigger:
        case GiveConsent() | RefuseConsent() | WithdrawConsent():
            return _is_asked(case, trigger.consent_id, actor)
        case ReadRequest(what=(part,)):
            return any(
                part == receipt_part(consent_id) and _is_asked(case, consent_id, actor)
                for consent_id in case.consents
            )
    return False


def receipt_part(consent_id: UUID) -> str:
    """Return how a read request names the receipt of one consent."""
    return f"receipt_{consent_id.hex}"


def _is_caseworker_of(case: Case, actor: Actor) -> bool:
    return actor.role == "caseworker" and _is_colleague_in(case, actor)


def _is_colleague_in(case: Case, actor: Actor) -> bool:
    return (
        actor.role in _COLLEAGUES
        and case.department_id is not None
        and actor.department_id == case.department_id
    )


def _is_asked(case: Case, consent_id: UUID, actor: Actor) -> bool:
    consent = case.consents.get(consent_id)
    return (
        consent is not None
        and actor.role in ("guardian", "young_person")
        and consent.question.person_id == actor.id
    )
