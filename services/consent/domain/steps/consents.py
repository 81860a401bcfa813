"""Steps of one person's record: asked, answered, taken back, run out, no longer counted; pure."""

from typing import Final

from msgspec.structs import replace

from contracts.consent import (
    ConfirmationNudged,
    ConsentExpired,
    ConsentGiven,
    ConsentLost,
    ConsentMinuted,
    ConsentRefused,
    ConsentRequested,
    ConsentUnconfirmed,
    ConsentWithdrawn,
    CustodyRecorded,
)
from contracts.event import Event
from contracts.model import CollaborationModel
from services.consent.domain.commands import ConfirmConsent, GiveConsent, No, RejectConsent
from services.consent.domain.refusals import (
    CustodyStale,
    CustodyUnconfirmed,
    EvidenceMissing,
    SignInTooWeak,
    TextChanged,
)
from services.consent.domain.states import (
    Answer,
    AnswerForm,
    Consent,
    Custody,
    Evidence,
    Expired,
    Given,
    Invalidated,
    Minuted,
    Question,
    Refused,
    Requested,
    Withdrawn,
    evidence_key,
    in_language,
)
from services.consent.domain.transition import Transition
from services.kernel.decider.access import at_least
from services.kernel.decider.decision import Context, Decision, PrivateValue, TimerFired
from services.kernel.decider.escalation import AUTOMATIC
from services.kernel.decider.working_days import months_after

NOT_CONFIRMED: Final = "not_confirmed"
"""The reason for which a person is asked anew where no second employee confirmed their yes in time."""


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


def give(transition: Transition, before: Requested | Minuted, command: GiveConsent) -> Decision:
    """Put a yes on record, in the language in which the text was read.

    What an employee minutes waits for a second one; a yes by own sign-in counts at once, also meanwhile.
    """
    answer = _answer(command.evidence, transition.context)
    if isinstance(before, Minuted) and answer.is_minuted:
        return transition.unchanged()
    _custody(transition)
    model = transition.model_of(before.question.referral_id)
    question = _as_read(before.question, command, model)
    if not answer.is_minuted:
        if not at_least(answer.assurance, model.consent.assurance):
            raise SignInTooWeak(model.consent.assurance)
        return _given(transition, question, answer, model)
    if not command.reference:
        raise EvidenceMissing
    minuted = _minuted if model.consent.second_employee else _given
    evidence = PrivateValue(question.person_id, evidence_key(transition.id), command.reference)
    return replace(minuted(transition, question, answer, model), private_values=(evidence,))


def confirm(transition: Transition, before: Minuted, command: ConfirmConsent) -> Decision:
    """Let a minuted yes count, confirmed by a second employee who knows how the person was told of it."""
    custody = _custody(transition)
    confirmation = transition.confirmation(before.minuted.by, command.told_by)
    if custody.confirmed is None:
        raise CustodyUnconfirmed
    model = transition.model_of(before.question.referral_id)
    return _given(transition, before.question, replace(before.minuted, confirmed=confirmation), model)


def reject(transition: Transition, before: Minuted, command: RejectConsent) -> Decision:
    """Ask the person anew, as an employee doubts the yes that was minuted for them."""
    return _ask_anew(transition, before, command.reason)


def chase(transition: Transition, before: Minuted, fired: TimerFired) -> Decision:
    """Take the next step of the escalation; after the last the person is asked anew."""
    step = fired.kind.partition(":")[2]
    if step == AUTOMATIC:
        return _ask_anew(transition, before, NOT_CONFIRMED)
    if step in before.nudged:
        return transition.unchanged()
    event = ConfirmationNudged(
        consent_id=transition.id,
        referral_id=before.question.referral_id,
        confirm_by=before.confirm_by,
        rung=step,
    )
    return transition.record(replace(before, nudged=(*before.nudged, step)), event)


def refuse(transition: Transition, before: Requested | Minuted, command: No) -> Decision:
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


def already_so(
    transition: Transition, _before: Consent, _command: GiveConsent | No | ConfirmConsent | RejectConsent
) -> Decision:
    """Change nothing: a yes that stands stays, and a no after the end is already so."""
    return transition.unchanged()


def go_unanswered(transition: Transition, before: Requested | Minuted, _fired: TimerFired) -> Decision:
    """End a question that was not answered, or whose answer was not confirmed, by its last day."""
    return _run_out(transition, before)


def run_out(transition: Transition, before: Given, _fired: TimerFired) -> Decision:
    """End a yes whose time is over."""
    if transition.context.now < before.expires_at:
        return transition.unchanged()
    return _run_out(transition, before)


def drop_without_custody(
    transition: Transition, before: Requested | Minuted | Given, _event: CustodyRecorded
) -> Decision:
    """End the record of a person who need not consent any more."""
    custody = transition.case.custody
    if custody is None or before.question.person_id in custody.must:
        return transition.unchanged()
    return _invalidate(transition, before, "custody_changed")


def drop_with_permission(
    transition: Transition, before: Requested | Minuted | Given, event: ConsentLost
) -> Decision:
    """End the record of a person whose answer counts no longer, as the permission is lost."""
    return _invalidate(transition, before, event.reason)


def drop_with_referral(
    transition: Transition, before: Requested | Minuted | Given, _event: Event
) -> Decision:
    """End quietly what was asked or permitted for a referral that is over."""
    return _invalidate(transition, before, "referral_over")


def _run_out(transition: Transition, before: Requested | Minuted | Given) -> Decision:
    question = before.question
    event = ConsentExpired(
        consent_id=transition.id,
        referral_id=question.referral_id,
        holder_id=question.person_id,
        was=before.status,
    )
    return transition.record(Expired(question, before.yes, transition.context.now), event)


def _invalidate(transition: Transition, before: Requested | Minuted | Given, because: str) -> Decision:
    return transition.record(Invalidated(before.question, before.yes, because, transition.context.now))


def _as_read(question: Question, command: GiveConsent, model: CollaborationModel) -> Question:
    """Return the question in the language that it was read in; from here on it cannot change."""
    read = in_language(question, command.language, model)
    if (command.language, command.text_sha256) != (read.language, read.text_sha256):
        raise TextChanged(question.text_id)
    return read


def _custody(transition: Transition) -> Custody:
    """Return who must consent; raise `CustodyStale` where that must be recorded anew before a yes counts."""
    custody = transition.case.custody
    if custody is None or transition.context.now >= custody.stale_at:
        raise CustodyStale
    return custody


def _minuted(
    transition: Transition, question: Question, answer: Answer, model: CollaborationModel
) -> Decision:
    """Let a minuted yes wait for a second employee, at most for as long as the person may answer."""
    calendar = transition.calendar(question.referral_id)
    last = calendar.after(calendar.today(answer.at), model.deadlines.consent_confirm)
    confirm_by = min(last, transition.case.permissions[question.referral_id].scope.lapse_on)
    event = ConsentMinuted(
        consent_id=transition.id,
        referral_id=question.referral_id,
        holder_id=question.person_id,
        evidence=answer.evidence,
        confirm_by=confirm_by,
    )
    return transition.record(Minuted(question, answer, confirm_by), event)


def _given(transition: Transition, question: Question, answer: Answer, model: CollaborationModel) -> Decision:
    """Let a yes count from when it was said, for as long as the model lets it."""
    expires_at = months_after(answer.at, model.consent.months)
    event = ConsentGiven(
        consent_id=transition.id,
        referral_id=question.referral_id,
        holder_id=question.person_id,
        given_at=answer.at,
        expires_at=expires_at,
        evidence=answer.evidence,
        told_by=answer.confirmed.told_by if answer.confirmed else None,
    )
    return transition.record(Given(question, answer, expires_at), event)


def _ask_anew(transition: Transition, before: Minuted, reason: str) -> Decision:
    question = before.question
    event = ConsentUnconfirmed(
        consent_id=transition.id,
        referral_id=question.referral_id,
        holder_id=question.person_id,
        reason=reason,
    )
    return transition.record(Requested(question), event)


def _no(command: No, context: Context) -> Answer:
    # a no must never fail for want of a form: what a caseworker does not say was said to them
    return _answer(command.evidence or "oral_minuted", context)


def _answer(evidence: AnswerForm | None, context: Context) -> Answer:
    """Return who answered and how that is proved; a caseworker's minute says how the answer reached them."""
    actor = context.actor
    if actor.role != "caseworker":
        proof: Evidence = "own_sign_in" if at_least(actor.assurance, "low") else "unproved_sign_in"
        return Answer(context.now, actor.id, actor.role, actor.assurance, proof)
    if evidence is None:
        raise EvidenceMissing
    return Answer(context.now, actor.id, actor.role, actor.assurance, evidence)
