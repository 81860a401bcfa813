"""Steps of one person's record: asked, answered, taken back, run out, no longer counted; pure."""

from contracts.consent import (
    ConsentExpired,
    ConsentGiven,
    ConsentLost,
    ConsentRefused,
    ConsentRequested,
    ConsentWithdrawn,
    CustodyRecorded,
)
from contracts.event import Event
from contracts.model import CollaborationModel
from services.consent.domain.commands import GiveConsent, No
from services.consent.domain.refusals import CustodyStale, EvidenceMissing, TextChanged
from services.consent.domain.states import (
    Answer,
    Consent,
    Expired,
    Given,
    Invalidated,
    Minuted,
    Question,
    Refused,
    Requested,
    Withdrawn,
    in_language,
)
from services.consent.domain.transition import Transition
from services.kernel.decider.decision import Context, Decision, TimerFired
from services.kernel.decider.working_days import months_after


def ask(transition: Transition, _before: Invalidated | None, event: ConsentRequested) -> Decision:
    """Begin the record of one person: what they are asked, in which words and by which rule."""
    custody = transition.case.custody
    if custody is None:
        return transition.unchanged()
    scope = transition.case.permissions[event.referral_id].scope
    question = Question(
        referral_id=event.referral_id,
        person_id=event.holder_id,
        quorum=custody.quorum,
        rule=custody.rule,
        text_id=event.text_id,
        text_sha256=event.text_sha256,
        language=custody.language_of(event.holder_id),
        # the later of both, so that the order in which they arrived here makes no difference
        requested_at=max(scope.awaited_at, custody.recorded_at),
    )
    return transition.record(Requested(question))


def give(transition: Transition, before: Requested, command: GiveConsent) -> Decision:
    """Put a yes on record, in the language in which the text was read."""
    context, custody = transition.context, transition.case.custody
    if custody is None or context.now >= custody.stale_at:
        raise CustodyStale
    model = transition.model_of(before.question.referral_id)
    question = _as_read(before.question, command, model)
    expires_at = months_after(context.now, model.consent.months)
    event = ConsentGiven(
        consent_id=transition.id,
        referral_id=question.referral_id,
        holder_id=question.person_id,
        given_at=context.now,
        expires_at=expires_at,
    )
    return transition.record(Given(question, _answer(command.evidence, context), expires_at), event)


def refuse(transition: Transition, before: Requested, command: No) -> Decision:
    """Put a no on record, whichever word it came in."""
    question = before.question
    event = ConsentRefused(
        consent_id=transition.id, referral_id=question.referral_id, holder_id=question.person_id
    )
    return transition.record(Refused(question, _no(command, transition.context)), event)


def withdraw(transition: Transition, before: Given, command: No) -> Decision:
    """Take a yes back, whichever word the no came in."""
    question = before.question
    event = ConsentWithdrawn(
        consent_id=transition.id,
        referral_id=question.referral_id,
        holder_id=question.person_id,
        withdrawn_at=transition.context.now,
    )
    return transition.record(Withdrawn(question, before.given, _no(command, transition.context)), event)


def already_so(transition: Transition, _before: Consent, _command: GiveConsent | No) -> Decision:
    """Change nothing: a yes that stands stays, and a no after the end is already so."""
    return transition.unchanged()


def go_unanswered(transition: Transition, before: Requested, _fired: TimerFired) -> Decision:
    """End a question that was not answered by its last day."""
    return _run_out(transition, before)


def run_out(transition: Transition, before: Given, _fired: TimerFired) -> Decision:
    """End a yes whose time is over."""
    if transition.context.now < before.expires_at:
        return transition.unchanged()
    return _run_out(transition, before)


def drop_without_custody(
    transition: Transition, before: Requested | Given, _event: CustodyRecorded
) -> Decision:
    """End the record of a person who need not consent any more."""
    custody = transition.case.custody
    if custody is None or before.question.person_id in custody.must:
        return transition.unchanged()
    return _invalidate(transition, before, "custody_changed")


def drop_with_permission(transition: Transition, before: Requested | Given, event: ConsentLost) -> Decision:
    """End the record of a person whose answer counts no longer, as the permission is lost."""
    return _invalidate(transition, before, event.reason)


def drop_with_referral(transition: Transition, before: Requested | Given, _event: Event) -> Decision:
    """End quietly what was asked or permitted for a referral that is over."""
    return _invalidate(transition, before, "referral_over")


def _run_out(transition: Transition, before: Requested | Given) -> Decision:
    question = before.question
    event = ConsentExpired(
        consent_id=transition.id,
        referral_id=question.referral_id,
        holder_id=question.person_id,
        was=before.status,
    )
    return transition.record(Expired(question, before.yes, transition.context.now), event)


def _invalidate(transition: Transition, before: Requested | Given, because: str) -> Decision:
    return transition.record(Invalidated(before.question, before.yes, because, transition.context.now))


def _as_read(question: Question, command: GiveConsent, model: CollaborationModel) -> Question:
    """Return the question in the language that it was read in; from here on it cannot change."""
    read = in_language(question, command.language, model)
    if (command.language, command.text_sha256) != (read.language, read.text_sha256):
        raise TextChanged(question.text_id)
    return read


def _no(command: No, context: Context) -> Answer:
    # a no must never fail for want of a form: what a caseworker does not say was said to them
    return _answer(command.evidence or "oral_minuted", context)


def _answer(evidence: Minuted | None, context: Context) -> Answer:
    """Return who answered and how that is proved; a caseworker's minute says how the answer reached them."""
    actor = context.actor
    if actor.role != "caseworker":
        return Answer(context.now, actor.id, actor.role, actor.assurance, "own_sign_in")
    if evidence is None:
        raise EvidenceMissing
    return Answer(context.now, actor.id, actor.role, actor.assurance, evidence)
