"""What a person answers, themselves or through a caseworker: yes, no, and no longer; pure."""

from uuid import UUID

from msgspec import Struct

from contracts.consent import ConsentGiven, ConsentRefused, ConsentWithdrawn
from contracts.model import CollaborationModel
from contracts.model_parts import Language
from services.consent import domain_states as states
from services.consent.domain_custody import ModelMissing
from services.consent.domain_permission import grant_by_all, lose, with_consent
from services.consent.domain_quorum import months_after
from services.consent.domain_states import Answer, Case, Minuted, Question, Requested, in_language, status_of
from services.consent.timers import expires, expires_no_more
from services.kernel.decider.decision import Context, Decision
from services.kernel.errors import InvalidTransition, NotFound, Refused


class GiveConsent(Struct, frozen=True):
    """Say yes to what was asked, having read the text with this fingerprint."""

    consent_id: UUID
    language: Language
    text_sha256: str
    evidence: Minuted | None = None


class RefuseConsent(Struct, frozen=True):
    """Say no to what was asked."""

    consent_id: UUID
    evidence: Minuted | None = None


class WithdrawConsent(Struct, frozen=True):
    """Take a yes back."""

    consent_id: UUID
    evidence: Minuted | None = None


Answering = GiveConsent | RefuseConsent | WithdrawConsent


class CustodyStale(Refused):
    """Who holds parental responsibility must be confirmed anew before anybody can say yes."""


class TextChanged(Refused):
    """The text that was read is not the one in the request: read it again, then decide."""


class EvidenceMissing(Refused):
    """Say how the answer was given, orally or on paper."""


def give(case: Case, command: GiveConsent, context: Context) -> Decision:
    """Take a yes, and grant the permission where it was the last one needed."""
    consent = case.consents.get(command.consent_id)
    if consent is None:
        raise NotFound
    if isinstance(consent, states.Given):
        return Decision(case)
    if not isinstance(consent, Requested):
        raise InvalidTransition(status_of(consent))
    if case.custody is None or context.now >= case.custody.stale_at:
        raise CustodyStale
    question = consent.question
    model = _model(case, question.referral_id, context)
    expires_at = months_after(context.now, model.consent.months)
    yes = states.Given(_as_read(question, command, model), _answer(command.evidence, context), expires_at)
    event = ConsentGiven(
        consent_id=command.consent_id,
        referral_id=question.referral_id,
        holder_id=question.person_id,
        given_at=context.now,
        expires_at=expires_at,
    )
    said = Decision(
        with_consent(case, command.consent_id, yes), (event,), (expires(command.consent_id, expires_at),)
    )
    return grant_by_all(said, question.referral_id)


def _model(case: Case, referral_id: UUID, context: Context) -> CollaborationModel:
    ref = case.permissions[referral_id].scope.model
    model = context.models.get(ref)
    if model is None:
        raise ModelMissing(ref)
    return model


def _as_read(question: Question, command: GiveConsent, model: CollaborationModel) -> Question:
    """Return the question in the language that it was read in; from here on it cannot change."""
    read = in_language(question, command.language, model)
    if (command.language, command.text_sha256) != (read.language, read.text_sha256):
        raise TextChanged(question.text_id)
    return read


def _answer(evidence: Minuted | None, context: Context) -> Answer:
    """Return who answered and how that is known; a caseworker's minute says how they heard it."""
    actor = context.actor
    if actor.role != "caseworker":
        return Answer(context.now, actor.id, actor.role, actor.assurance, "own_sign_in")
    if evidence is None:
        raise EvidenceMissing
    return Answer(context.now, actor.id, actor.role, actor.assurance, evidence)


def say_no(case: Case, command: RefuseConsent | WithdrawConsent, context: Context) -> Decision:
    """Take any no: it refuses what was asked, takes back what was given, and changes nothing later."""
    consent_id = command.consent_id
    consent = case.consents.get(consent_id)
    if consent is None:
        raise NotFound
    question = consent.question
    # a no must never fail for want of a form: what a caseworker does not say was said to them
    answer = _answer(command.evidence or "oral_minuted", context)
    match consent:
        case Requested():
            no = with_consent(case, consent_id, states.Refused(question, answer))
            refused = ConsentRefused(
                consent_id=consent_id, referral_id=question.referral_id, holder_id=question.person_id
            )
            return lose(Decision(no, (refused,)), question.referral_id, "refused", context.now)
        case states.Given():
            no = with_consent(case, consent_id, states.Withdrawn(question, consent.given, answer))
            withdrawn = ConsentWithdrawn(
                consent_id=consent_id,
                referral_id=question.referral_id,
                holder_id=question.person_id,
                withdrawn_at=context.now,
            )
            said = Decision(no, (withdrawn,), (expires_no_more(consent_id),))
            return lose(said, question.referral_id, "withdrawn", context.now)
    return Decision(case)
