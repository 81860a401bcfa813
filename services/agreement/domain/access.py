"""Access rules of agreements: which actor may do and read what; refused is the default; pure."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.agreement.domain.commands import EndAgreement, HoldMeeting, Propose, ReportProgress, Sign
from services.agreement.domain.states import Agreement, Case, Ended
from services.kernel.decider.decision import Actor, Context, ReadRequest
from services.kernel.errors import ConsentUnknown


def authorize(state: Case | None, trigger: Any, context: Context) -> bool:
    """Return whether the actor may carry out a command or read, by what they are to this case."""
    if state is None:
        return False
    actor = context.actor
    match actor.role:
        case "caseworker":
            return _of_department(state, actor) and _caseworker_may(trigger)
        case "coordinator":
            return _coordinator_may(state, trigger, context)
        case "guardian" | "young_person":
            return _of_family(state, actor) and _family_may(state, trigger, actor)
        case _:
            return False


def visible_to(case: Case, actor: Actor, now: datetime) -> dict[UUID, Agreement]:
    """Return the agreements that an authorized reader sees: an organisation its own, while it may."""
    if actor.role != "coordinator":
        return case.agreements
    return {
        agreement_id: agreement
        for agreement_id, agreement in case.agreements.items()
        if _shared(case, agreement, actor, now)
    }


def _of_department(case: Case, actor: Actor) -> bool:
    return actor.department_id is not None and actor.department_id == case.department_id


def _of_family(case: Case, actor: Actor) -> bool:
    if actor.role == "young_person":
        return actor.id == case.young_person_id
    return actor.id in case.guardians


def _caseworker_may(trigger: Any) -> bool:
    match trigger:
        case Sign(party=party):
            return party == "municipality"
        case _:
            return isinstance(trigger, ReadRequest | HoldMeeting | Propose | EndAgreement)


def _family_may(case: Case, trigger: Any, actor: Actor) -> bool:
    match trigger:
        case Sign(party="family"):
            return actor.id in case.family
        case Sign(party="young_person"):
            return actor.role == "young_person" and "young_person" in case.parties
        case EndAgreement():
            return actor.id in case.family or "young_person" in case.parties
        case _:
            return isinstance(trigger, ReadRequest)


def _coordinator_may(case: Case, trigger: Any, context: Context) -> bool:
    """An organisation can always stop; whatever else it does needs a valid consent of which we are sure."""
    actor = context.actor
    if isinstance(trigger, ReadRequest):
        theirs = visible_to(case, actor, context.now)
        return bool(theirs) and _sure_of_consents(context)
    agreement = case.agreements.get(trigger.agreement_id)
    if agreement is None or not _own(agreement, actor):
        return False
    match trigger:
        case EndAgreement():
            return True
        case Sign(party="organisation") | HoldMeeting() | ReportProgress():
            return _shared(case, agreement, actor, context.now) and _sure_of_consents(context)
        case _:
            return False


def _sure_of_consents(context: Context) -> bool:
    if not context.consents_fresh:
        raise ConsentUnknown
    return True


def _own(agreement: Agreement, actor: Actor) -> bool:
    return actor.organisation_id is not None and actor.organisation_id == agreement.about.organisation_id


def _shared(case: Case, agreement: Agreement, actor: Actor, now: datetime) -> bool:
    """Return whether an organisation may see an agreement: its own, not over, and consented to."""
    over = isinstance(agreement, Ended)
    return _own(agreement, actor) and not over and case.covers(agreement.about.referral_id, now)
