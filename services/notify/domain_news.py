"""Which event is news to whom, and which of its codes each circle is shown; pure."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final
from uuid import UUID, uuid5

from msgspec import Struct

from contracts import agreement, consent, evaluation, referral
from contracts.event import Event
from services.notify.domain_case import Case, Circle, News

_TOLD_WITH_THE_REFUSAL: Final = "refused"


class Told(Struct, frozen=True):
    """One kind of news: which fields of the event tell it from others like it, and what each circle is shown.

    The codes of a circle are an allow-list of its own: what is not named does not reach it. What may happen
    `again` is told anew each time.
    """

    kind: str
    by: tuple[str, ...]
    to: Mapping[Circle, tuple[str, ...]]
    again: bool = False


class Ladder(Struct, frozen=True):
    """News of a deadline: who is to act, and which codes go with it; the rung adds who else is told."""

    kind: str
    by: tuple[str, ...]
    who: tuple[Circle, ...]
    codes: tuple[str, ...]


_REFERRAL: Final = ("referral_id",)
_AGREEMENT: Final = ("agreement_id",)
_EVALUATION: Final = ("evaluation_id",)
_ALL: Final[tuple[Circle, ...]] = ("caseworker", "organisation", "guardians")


def _to_all(*codes: str) -> dict[Circle, tuple[str, ...]]:
    return dict.fromkeys(_ALL, codes)


TOLD: Final[Mapping[type[Event], Told]] = {
    referral.ReferralReady: Told("referral_ready", _REFERRAL, {"caseworker": ("referral_id", "send_by")}),
    referral.ReferralSent: Told(
        "referral_sent", _REFERRAL, {"organisation": ("referral_id", "offer_id", "answer_by")}
    ),
    referral.ReferralAccepted: Told(
        "referral_accepted",
        _REFERRAL,
        {"caseworker": ("referral_id", "meeting_by"), "guardians": ("referral_id", "meeting_by")},
    ),
    referral.ReferralDeclined: Told(
        "referral_declined",
        _REFERRAL,
        {"caseworker": ("referral_id", "reason"), "guardians": ("referral_id",)},
    ),
    referral.ReferralRecalled: Told(
        "referral_recalled",
        _REFERRAL,
        {"organisation": ("referral_id", "delete_by"), "guardians": ("referral_id",)},
    ),
    referral.ReferralWithdrawn: Told(
        "referral_withdrawn",
        _REFERRAL,
        {"organisation": ("referral_id", "delete_by"), "guardians": ("referral_id",)},
    ),
    referral.ReferralExpired: Told(
        "referral_expired",
        (*_REFERRAL, "step"),
        {
            "caseworker": ("referral_id", "step"),
            "organisation": ("referral_id",),
            "guardians": ("referral_id",),
        },
    ),
    referral.DeletionConfirmed: Told(
        "deletion_confirmed", _REFERRAL, {"caseworker": ("referral_id",), "guardians": ("referral_id",)}
    ),
    referral.CaseClosed: Told("case_closed", (), {"guardians": ()}),
    consent.ConsentRequested: Told(
        "consent_requested", ("consent_id",), {"holder": ("consent_id", "referral_id")}, again=True
    ),
    consent.ConsentRefused: Told("consent_refused", ("consent_id",), {"caseworker": ("referral_id",)}),
    consent.ConsentGranted: Told(
        "consent_granted", (*_REFERRAL, "until"), {"guardians": ("referral_id", "until")}
    ),
    consent.ConsentLost: Told(
        "consent_lost", (*_REFERRAL, "reason"), {"caseworker": ("referral_id", "reason")}
    ),
    agreement.MeetingInvited: Told("meeting_invited", _AGREEMENT, _to_all("agreement_id", "meeting_by")),
    agreement.AgreementProposed: Told(
        "agreement_proposed", (*_AGREEMENT, "version"), _to_all("agreement_id", "version")
    ),
    agreement.AgreementInForce: Told(
        "agreement_in_force", (*_AGREEMENT, "version"), _to_all("agreement_id", "starts_on", "ends_on")
    ),
    agreement.ProgressReported: Told(
        "progress_reported",
        (*_AGREEMENT, "number"),
        {"caseworker": ("agreement_id", "number", "trend")},
    ),
    agreement.AgreementEnded: Told(
        "agreement_ended",
        _AGREEMENT,
        {
            "caseworker": ("agreement_id", "ended_on", "reason"),
            "organisation": ("agreement_id", "ended_on"),
            "guardians": ("agreement_id", "ended_on"),
        },
    ),
    evaluation.EvaluationPlanned: Told("evaluation_planned", _EVALUATION, _to_all("evaluation_id", "due_on")),
    evaluation.EvaluationDue: Told("evaluation_due", _EVALUATION, _to_all("evaluation_id", "due_on")),
    evaluation.EvaluationConcluded: Told(
        "evaluation_concluded", _EVALUATION, _to_all("evaluation_id", "decision")
    ),
}
"""What each event tells to whom."""

_STEP: Final = (*_REFERRAL, "step")

_OF_A_REFERRAL: Final[Mapping[str, Ladder]] = {
    "awaiting_consent": Ladder("consent_nudged", _STEP, ("asked", "caseworker"), _REFERRAL),
    "ready": Ladder("sending_nudged", _STEP, ("caseworker",), _REFERRAL),
    "sent": Ladder("answer_nudged", _STEP, ("organisation",), _REFERRAL),
    "deletion": Ladder("deletion_nudged", _STEP, ("organisation",), _REFERRAL),
}

_OF_ANOTHER_STEP: Final = Ladder("step_nudged", _STEP, ("caseworker",), _STEP)

LADDERS: Final[Mapping[type[Event], Ladder]] = {
    agreement.MeetingNudged: Ladder(
        "meeting_nudged",
        (*_AGREEMENT, "meeting_by"),
        ("caseworker", "organisation"),
        ("agreement_id", "meeting_by"),
    ),
    agreement.ProgressNudged: Ladder(
        "progress_nudged",
        (*_AGREEMENT, "number"),
        ("organisation",),
        ("agreement_id", "number", "due_on"),
    ),
    evaluation.EvaluationNudged: Ladder(
        "evaluation_nudged", _EVALUATION, ("caseworker",), ("evaluation_id", "due_on")
    ),
}
"""Whom a deadline concerns."""

KINDS: Final = frozenset(
    {told.kind for told in TOLD.values()}
    | {ladder.kind for ladder in (*LADDERS.values(), *_OF_A_REFERRAL.values(), _OF_ANOTHER_STEP)}
)
"""Every kind of news, for which each language has its texts."""


def news_of(case: Case, event: Event, case_id: UUID, at: datetime) -> Iterator[tuple[UUID, News]]:
    """Return what an event tells, each with an id that is the same whenever the event is heard."""
    told = _told(event)
    if told is None or _is_said_otherwise(event):
        return
    for circle, codes in told.to.items():
        if circle == "organisation" and _was_never_sent(case, event):
            continue
        by = (*(_text(getattr(event, field)) for field in told.by), *((_text(at),) if told.again else ()))
        name = "|".join((event.type, *by, circle))
        shown = {code: _text(getattr(event, code)) for code in codes}
        yield uuid5(case_id, name), News(told.kind, circle, at, _about(event, circle), shown, _of(event))


def _told(event: Event) -> Told | None:
    if isinstance(event, referral.ReferralNudged):
        return _on_the_rung(_OF_A_REFERRAL.get(event.step, _OF_ANOTHER_STEP), event.rung)
    if isinstance(event, agreement.MeetingNudged | agreement.ProgressNudged | evaluation.EvaluationNudged):
        return _on_the_rung(LADDERS[type(event)], event.rung)
    return TOLD.get(type(event))


def _on_the_rung(ladder: Ladder, rung: str) -> Told:
    """Return who is told on a rung: first who must act, then the caseworker too, at last the leader."""
    circles: tuple[Circle, ...]
    match rung:
        case "reminder":
            circles = ladder.who
        case "leader":
            circles = ("leader",)
        case _:
            circles = (*ladder.who, "caseworker")
    return Told(ladder.kind, (*ladder.by, "rung"), dict.fromkeys(circles, (*ladder.codes, "rung")))


def _is_said_otherwise(event: Event) -> bool:
    # The caseworker has heard of the person who said no already.
    return isinstance(event, consent.ConsentLost) and event.reason == _TOLD_WITH_THE_REFUSAL


def _was_never_sent(case: Case, event: Event) -> bool:
    # K3: what ends before it was sent is none of the organisation's business. Both events come from the
    # referral service, so the sending is always heard before the ending.
    ends = referral.ReferralRecalled | referral.ReferralWithdrawn | referral.ReferralExpired
    return isinstance(event, ends) and event.referral_id not in case.sent


def _about(event: Event, circle: Circle) -> UUID | None:
    match circle:
        case "organisation":
            found = getattr(event, "organisation_id", None)
        case "holder":
            found = getattr(event, "holder_id", None)
        case "asked":
            found = getattr(event, "referral_id", None)
        case _:
            return None
    return found if isinstance(found, UUID) else None


def _of(event: Event) -> UUID | None:
    found = getattr(event, "referral_id", None) or getattr(event, "agreement_id", None)
    return found if isinstance(found, UUID) else None


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
