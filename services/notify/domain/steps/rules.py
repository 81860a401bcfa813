"""Notification rules: the audiences of each event, and which of its codes each is shown; pure."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from contracts import agreement, consent, evaluation, referral
from contracts.event import Event
from services.kernel.decider.derived_ids import derived_id
from services.notify.domain.states import (
    CONTACT_CHANGED,
    LETTER_NEEDED,
    MINUTED,
    Audience,
    Case,
    Notification,
)


class NotificationRule(Struct, frozen=True):
    """One kind of notification: the fields that identify it, and the codes that each audience is shown.

    The codes of an audience are an allow-list of its own: what is not named does not reach it. What
    `repeats` is a new notification each time that it happens.
    """

    kind: str
    identity: tuple[str, ...]
    shown: Mapping[Audience, tuple[str, ...]]
    repeats: bool = False


class EscalationRule(Struct, frozen=True):
    """Notifications of a deadline: who is to act, and the codes shown; the rung adds further audiences."""

    kind: str
    identity: tuple[str, ...]
    audiences: tuple[Audience, ...]
    shown: tuple[str, ...]


def _rule(kind: str, identity: str = "", *, repeats: bool = False, **shown: str) -> NotificationRule:
    by_audience = {one: tuple(shown[one].split()) for one in _AUDIENCES if one in shown}
    return NotificationRule(kind, tuple(identity.split()), by_audience, repeats)


def _for_all(kind: str, identity: str, shown: str) -> NotificationRule:
    return _rule(kind, identity, caseworker=shown, organisation=shown, guardians=shown)


def _escalation(kind: str, identity: str, shown: str, *audiences: Audience) -> EscalationRule:
    return EscalationRule(kind, tuple(identity.split()), audiences, tuple(shown.split()))


_AUDIENCES: Final[tuple[Audience, ...]] = (
    "caseworker",
    "colleagues",
    "organisation",
    "guardians",
    "holder",
)

# fmt: off
RULES: Final[Mapping[type[Event], NotificationRule]] = {
    referral.ReferralReady: _rule("referral_ready", "referral_id", caseworker="referral_id send_by"),
    referral.ReferralSent: _rule("referral_sent", "referral_id",
        organisation="referral_id offer_id answer_by"),
    referral.ReferralAccepted: _rule("referral_accepted", "referral_id",
        caseworker="referral_id meeting_by", guardians="referral_id meeting_by"),
    referral.ReferralDeclined: _rule("referral_declined", "referral_id",
        caseworker="referral_id reason", guardians="referral_id"),
    referral.ReferralRecalled: _rule("referral_recalled", "referral_id",
        organisation="referral_id delete_by", guardians="referral_id"),
    referral.ReferralWithdrawn: _rule("referral_withdrawn", "referral_id",
        organisation="referral_id delete_by", guardians="referral_id"),
    referral.ReferralExpired: _rule("referral_expired", "referral_id step",
        caseworker="referral_id step", organisation="referral_id", guardians="referral_id"),
    referral.DeletionConfirmed: _rule("deletion_confirmed", "referral_id",
        caseworker="referral_id", guardians="referral_id"),
    referral.CaseClosed: _rule("case_closed", guardians=""),
    consent.ConsentRequested: _rule("consent_requested", "consent_id", repeats=True,
        holder="consent_id referral_id"),
    consent.ConsentMinuted: _rule(MINUTED, "consent_id", repeats=True, holder="consent_id referral_id"),
    consent.ConsentUnconfirmed: _rule("consent_unconfirmed", "consent_id", repeats=True,
        caseworker="consent_id referral_id reason", holder="consent_id referral_id"),
    consent.CustodyConfirmationAwaited: _rule("custody_unconfirmed", "referral_id", repeats=True,
        colleagues="referral_id confirm_by"),
    consent.ConsentRefused: _rule("consent_refused", "consent_id", caseworker="referral_id"),
    consent.ConsentGranted: _rule("consent_granted", "referral_id until", guardians="referral_id until"),
    consent.ConsentLost: _rule("consent_lost", "referral_id reason", caseworker="referral_id reason"),
    agreement.MeetingInvited: _for_all("meeting_invited", "agreement_id", "agreement_id meeting_by"),
    agreement.AgreementProposed: _for_all("agreement_proposed", "agreement_id version",
        "agreement_id version"),
    agreement.AgreementInForce: _for_all("agreement_in_force", "agreement_id version",
        "agreement_id starts_on ends_on"),
    agreement.ProgressReported: _rule("progress_reported", "agreement_id number",
        caseworker="agreement_id number trend"),
    agreement.AgreementEnded: _rule("agreement_ended", "agreement_id",
        caseworker="agreement_id ended_on reason", organisation="agreement_id ended_on",
        guardians="agreement_id ended_on"),
    evaluation.EvaluationPlanned: _for_all("evaluation_planned", "evaluation_id", "evaluation_id due_on"),
    evaluation.EvaluationDue: _for_all("evaluation_due", "evaluation_id", "evaluation_id due_on"),
    evaluation.EvaluationConcluded: _for_all("evaluation_concluded", "evaluation_id",
        "evaluation_id decision"),
}
"""By event: the kind of notification, the fields that identify it, and by audience the codes it is shown."""

BESIDES: Final[Mapping[type[Event], NotificationRule]] = {
    consent.ConsentMinuted: _rule("confirmation_awaited", "consent_id", repeats=True,
        colleagues="consent_id confirm_by"),
}
"""By event: a second kind of notification, for those who read other words."""

OF_A_REFERRAL: Final[Mapping[str, EscalationRule]] = {
    "awaiting_consent": _escalation("consent_nudged", "referral_id step", "referral_id",
        "unanswered", "caseworker"),
    "ready": _escalation("sending_nudged", "referral_id step", "referral_id", "caseworker"),
    "sent": _escalation("answer_nudged", "referral_id step", "referral_id", "organisation"),
    "deletion": _escalation("deletion_nudged", "referral_id step", "referral_id", "organisation"),
}
"""By the step of a referral whose deadline is near or past."""

OF_ANOTHER_STEP: Final = _escalation("step_nudged", "referral_id step", "referral_id step", "caseworker")

ESCALATIONS: Final[Mapping[type[Event], EscalationRule]] = {
    agreement.MeetingNudged: _escalation("meeting_nudged", "agreement_id meeting_by",
        "agreement_id meeting_by", "caseworker", "organisation"),
    agreement.ProgressNudged: _escalation("progress_nudged", "agreement_id number",
        "agreement_id number due_on", "organisation"),
    consent.ConfirmationNudged: _escalation("confirmation_nudged", "consent_id confirm_by",
        "consent_id confirm_by", "colleagues"),
    evaluation.EvaluationNudged: _escalation("evaluation_nudged", "evaluation_id",
        "evaluation_id due_on", "caseworker"),
}
"""By event of a deadline: the kind, the fields that identify it, the codes shown, and who is to act."""
# fmt: on

KINDS: Final = frozenset(
    {rule.kind for rule in (*RULES.values(), *BESIDES.values())}
    | {LETTER_NEEDED, CONTACT_CHANGED}
    | {rule.kind for rule in (*ESCALATIONS.values(), *OF_A_REFERRAL.values(), OF_ANOTHER_STEP)}
)
"""Every kind of notification; each language has a text for each."""


_NUDGES: Final = (
    agreement.MeetingNudged,
    agreement.ProgressNudged,
    consent.ConfirmationNudged,
    evaluation.EvaluationNudged,
)


def notifications_of(
    case: Case, event: Event, case_id: UUID, at: datetime
) -> Iterator[tuple[UUID, Notification]]:
    """Return the notifications of an event, each with an id that is the same whenever it is consumed."""
    if _is_covered_by_the_refusal(event):
        return
    for rule in (_rule_of(event), BESIDES.get(type(event))):
        if rule is not None:
            yield from _by_audience(rule, case, event, case_id, at)


def _by_audience(
    rule: NotificationRule, case: Case, event: Event, case_id: UUID, at: datetime
) -> Iterator[tuple[UUID, Notification]]:
    for audience, codes in rule.shown.items():
        if audience == "organisation" and _was_never_sent(case, event):
            continue
        identity = [_text(getattr(event, field)) for field in rule.identity]
        if rule.repeats:
            identity.append(_text(at))
        name = "|".join((event.type, *identity, audience))
        shown = {code: _text(getattr(event, code)) for code in codes}
        about, subject_id = _about(event, audience), _subject_of(event)
        yield derived_id(case_id, name), Notification(rule.kind, audience, at, about, shown, subject_id)


def _rule_of(event: Event) -> NotificationRule | None:
    if isinstance(event, referral.ReferralNudged):
        return _on_the_rung(OF_A_REFERRAL.get(event.step, OF_ANOTHER_STEP), event.rung)
    if isinstance(event, _NUDGES):
        return _on_the_rung(ESCALATIONS[type(event)], event.rung)
    return RULES.get(type(event))


def _on_the_rung(rule: EscalationRule, rung: str) -> NotificationRule:
    """Return the rule of a rung: first who must act, then the caseworker too, at last the leader."""
    audiences: tuple[Audience, ...]
    match rung:
        case "reminder":
            audiences = rule.audiences
        case "leader":
            audiences = ("leader",)
        case _:
            audiences = (*rule.audiences, "caseworker")
    shown = dict.fromkeys(audiences, (*rule.shown, "rung"))
    return NotificationRule(rule.kind, (*rule.identity, "rung"), shown)


def _is_covered_by_the_refusal(event: Event) -> bool:
    # `consent_refused` has already notified the caseworker of the person who said no.
    return isinstance(event, consent.ConsentLost) and event.reason == "refused"


def _was_never_sent(case: Case, event: Event) -> bool:
    # K3: what ends before it was sent is none of the organisation's business. Both events come from the
    # referral service, so the sending is always consumed before the ending.
    ends = referral.ReferralRecalled | referral.ReferralWithdrawn | referral.ReferralExpired
    return isinstance(event, ends) and event.referral_id not in case.sent


def _about(event: Event, audience: Audience) -> UUID | None:
    match audience:
        case "organisation":
            found = getattr(event, "organisation_id", None)
        case "holder":
            found = getattr(event, "holder_id", None)
        case "unanswered":
            found = getattr(event, "referral_id", None)
        case "caseworker" | "colleagues" | "leader" | "guardians":
            return None
    return found if isinstance(found, UUID) else None


def _subject_of(event: Event) -> UUID | None:
    found = getattr(event, "referral_id", None) or getattr(event, "agreement_id", None)
    return found if isinstance(found, UUID) else None


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
