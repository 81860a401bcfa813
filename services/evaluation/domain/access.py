"""Access rules of evaluations: which actor may do and read what; refused is the default; pure."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.evaluation.domain.commands import Conclude, HearVoice, TakeMeasurement
from services.evaluation.domain.states import Case, Collaboration, Running, Spoken
from services.kernel.decider.decision import Actor, Context, ReadRequest
from services.kernel.errors import ConsentUnknown


def authorize(state: Case | None, trigger: Any, context: Context) -> bool:
    """Return whether the actor may carry out a command or read, by what they are to this case."""
    if state is None:
        return False
    actor = context.actor
    match actor.role:
        case "caseworker":
            own = actor.department_id is not None and actor.department_id == state.department_id
            return own and isinstance(trigger, ReadRequest | HearVoice | Conclude | TakeMeasurement)
        case "coordinator":
            return _coordinator_may(state, trigger, context)
        case "guardian":
            return actor.id in state.guardians and _speaks(trigger, "family")
        case "young_person":
            family = actor.id in state.family and _speaks(trigger, "family")
            return actor.id == state.young_person_id and (family or _speaks(trigger, "child"))
        case _:
            return False


def visible_to(case: Case, actor: Actor, now: datetime) -> dict[UUID, Collaboration]:
    """Return the collaborations that an authorized reader sees: an organisation its own, while it may."""
    return {
        agreement_id: collaboration
        for agreement_id, collaboration in case.collaborations.items()
        if actor.role != "coordinator" or _shared(case, collaboration, actor, now)
    }


def may_read_words(actor: Actor, spoken: Spoken) -> bool:
    """Return whether an authorized reader may read the words of a voice.

    The municipality reads all of them. Everybody else reads their own, and what a caseworker wrote down for
    their side: what a child has said is not laid before others by this product.
    """
    if actor.role == "caseworker" or spoken.by == actor.id:
        return True
    match actor.role:
        case "coordinator":
            return spoken.voice == "organisation"
        case "guardian":
            return spoken.voice == "family" and spoken.role == "caseworker"
        case "young_person":
            return spoken.voice == "child"
        case _:
            return False


def may_read_scores(actor: Actor) -> bool:
    """Return whether an authorized reader may read the scores; an organisation may not."""
    return actor.role in {"caseworker", "guardian", "young_person"}


def _speaks(trigger: Any, voice: str) -> bool:
    return isinstance(trigger, ReadRequest) or (isinstance(trigger, HearVoice) and trigger.voice == voice)


def _coordinator_may(case: Case, trigger: Any, context: Context) -> bool:
    """Whatever an organisation does needs a valid consent of which we are sure."""
    theirs = visible_to(case, context.actor, context.now)
    if isinstance(trigger, HearVoice):
        may = trigger.voice == "organisation" and case.agreement_of(trigger.evaluation_id) in theirs
    else:
        may = bool(theirs) and isinstance(trigger, ReadRequest)
    if may and not context.consents_fresh:
        raise ConsentUnknown
    return may


def _shared(case: Case, collaboration: Collaboration, actor: Actor, now: datetime) -> bool:
    own = actor.organisation_id is not None and actor.organisation_id == collaboration.about.organisation_id
    return own and isinstance(collaboration, Running) and case.covers(collaboration.about.referral_id, now)
