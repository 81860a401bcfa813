"""HTTP answers: a case field by field as far as its reader may see it, lists, and figures."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, TypeAlias, assert_never
from uuid import UUID

from pydantic import BaseModel

from contracts.model_parts import Text
from services.kernel.decider.decision import Context
from services.kernel.decider.small_groups import shown_count, shown_counts, shown_days
from services.kernel.decider.working_days import calendar_of
from services.kernel.http.fields import one_of, status_of_any
from services.referral.domain.access import NAME, shared_facts, shared_with, visible
from services.referral.domain.actions import allowed_actions
from services.referral.domain.deadlines import waiting
from services.referral.domain.eligibility import age_band
from services.referral.domain.states import (
    Accepted,
    AwaitingConsent,
    Case,
    Closed,
    Declined,
    Drafted,
    Eligibility,
    Expired,
    Ready,
    Recalled,
    Referral,
    Scope,
    Seen,
    Sent,
    UnderWay,
    Views,
    Withdrawn,
)

_Rows: TypeAlias = Iterable[Mapping[str, Any]]

ReferralStatus = Annotated[str, status_of_any(Referral)]
CaseStatus = Annotated[str, one_of("opened", "views_noted", "eligible", "not_eligible", "closed")]


class OwnView(BaseModel):
    """What one party said, or why it was not heard."""

    view: str = ""
    proposals: str = ""
    why: str = ""


class CaseFacts(BaseModel):
    """What the reader may know of child and family; the rest is left out."""

    first_name: str | None = None
    family_name: str | None = None
    born: date | None = None
    age_band: str | None = None
    residence: str | None = None
    language: str | None = None
    contact: str | None = None
    practical: str | None = None
    child_view: OwnView | None = None
    family_view: OwnView | None = None
    conditions: tuple[str, ...] | None = None
    factors: tuple[str, ...] | None = None
    judgement: str | None = None


class ViewsView(BaseModel):
    """Whether child and family were heard."""

    child: str
    family: str
    noted_at: datetime


class EligibilityView(BaseModel):
    """How the criteria were answered, and where a grave concern belongs."""

    eligible: bool
    reasons: tuple[str, ...]
    theme: str
    measure: str
    assessed_at: datetime
    statutory_channel: Text | None


class HelpView(BaseModel):
    """Public help that goes on, and the department that answers for it."""

    kind: str
    department_id: UUID


class ReferralView(BaseModel):
    """One referral; public help, need and goals where the reader may know them."""

    referral_id: UUID
    status: ReferralStatus
    reason: str
    organisation_id: UUID
    offer_id: UUID
    purposes: tuple[str, ...]
    public_help: tuple[HelpView, ...]
    facts: tuple[str, ...]
    due_on: date | None
    need: str | None = None
    goals: str | None = None
    allowed_actions: list[str]


class CaseView(BaseModel):
    """One case and its referrals."""

    case_id: UUID
    version: int
    department_id: UUID
    caseworker_id: UUID
    model: str
    opened_at: datetime
    closed: bool
    facts: CaseFacts
    views: ViewsView | None
    eligibility: EligibilityView | None
    referrals: list[ReferralView]
    allowed_actions: list[str]


class NameView(BaseModel):
    """The name of the child whom a case is about; null where it was erased."""

    case_id: UUID
    name: str | None


class ReferralLine(BaseModel):
    """One referral in a list."""

    referral_id: UUID
    status: ReferralStatus
    due_on: date | None


class CaseLine(BaseModel):
    """One case in a department's list; nothing personal."""

    case_id: UUID
    version: int
    status: CaseStatus
    reason: str
    opened_at: datetime
    referrals: list[ReferralLine]


class FoundLine(CaseLine):
    """One case that was found by its child's name."""

    name: str | None


class InboxLine(BaseModel):
    """One referral in an organisation's inbox; `due_on` is when an answer or deletion is due."""

    case_id: UUID
    version: int
    referral_id: UUID
    offer_id: UUID
    status: ReferralStatus
    sent_at: datetime
    due_on: date | None


class Count(BaseModel):
    """How many stand at one status for one reason, to the nearest five."""

    status: str
    reason: str
    count: int


class Funnel(BaseModel):
    """How far cases and referrals came; days are the median that a step lasts, as far as it was left.

    Counts are to the nearest five; what is not listed, or null, is of fewer than five.
    """

    cases: list[Count]
    referrals: list[Count]
    median_days: dict[str, int]
    asked: int | None
    answered: int | None
    answered_in_time: int | None


def funnel(*, cases: _Rows, referrals: _Rows, pace: _Rows, answers: _Rows) -> Funnel:
    """Return what may be shown of the counts of cases and referrals."""
    days = {row["step"]: shown_days(row["days"], row["people"]) for row in pace}
    answered = shown_counts((row["name"], row["count"], row["people"]) for row in answers)
    return Funnel(
        cases=_counts(cases),
        referrals=_counts(referrals),
        median_days={step: median for step, median in days.items() if median is not None},
        **{name: answered.get(name) for name in ("asked", "answered", "answered_in_time")},
    )


def _counts(rows: _Rows) -> list[Count]:
    return [
        Count(status=row["status"], reason=row["reason"], count=count)
        for row in rows
        if (count := shown_count(row["count"], row["people"])) is not None
    ]


def name_of(private: Mapping[str, Any]) -> str | None:
    """Return a child's whole name; None where it was erased."""
    parts = [str(private[name]) for name in NAME if name in private]
    return " ".join(parts) or None


def case_line(row: Mapping[str, Any]) -> CaseLine:
    """Return a case as a list shows it."""
    return CaseLine(
        **{name: row[name] for name in ("case_id", "version", "status", "reason", "opened_at")},
        referrals=[
            ReferralLine(referral_id=referral_id, status=status, due_on=due_on)
            for referral_id, status, due_on in zip(
                row["referral_ids"] or (), row["statuses"] or (), row["due"] or (), strict=True
            )
        ],
    )


def case_view(case: Case, context: Context, version: int, private: Mapping[str, Any]) -> CaseView:
    """Return what the actor may see; an organisation sees its own referrals and what was consented to."""
    parts = visible(case, context)
    outside = context.actor.role == "coordinator"
    shown = shared_with(case, context) if outside else tuple(case.referrals)
    return CaseView(
        case_id=context.stream_id,
        version=version,
        department_id=case.department_id,
        caseworker_id=case.caseworker_id,
        model=case.ref,
        opened_at=case.opened_at,
        closed=case.ending is not None,
        facts=_facts(case, parts, context, private),
        views=None if outside or not case.views else _views(case.views),
        eligibility=None
        if outside or not case.eligibility
        else _eligibility(case, case.eligibility, context),
        referrals=[
            _referral(
                referral_id,
                case.referrals[referral_id],
                shared_facts(case, referral_id, context) if outside else parts,
                private,
                outside=outside,
                actions=allowed_actions(case, context, referral_id),
            )
            for referral_id in shown
        ],
        allowed_actions=list(allowed_actions(case, context)),
    )


def _scope(referral: Referral) -> Scope | None:
    """Return the facts and the purpose that are requested or shared; None before and after that."""
    match referral:
        case AwaitingConsent() | Ready() | Sent() | Seen() | Accepted() | UnderWay():
            return referral.scope
        case Drafted() | Closed() | Declined() | Recalled() | Withdrawn() | Expired():
            return None
        case _:
            assert_never(referral)


def _facts(case: Case, parts: frozenset[str], context: Context, private: Mapping[str, Any]) -> CaseFacts:
    names = {
        "first_name", "family_name", "born", "residence", "language", "contact", "practical",
        "child_view", "family_view", "conditions", "factors", "judgement",
    } & parts  # fmt: skip
    if "own_view" in parts:
        names |= {"child_view", "family_view"}
    facts = {name: private[name] for name in names if name in private}
    if "age_band" in parts and "born" in private:
        today = calendar_of(context.models[case.ref]).today(context.now)
        facts["age_band"] = age_band(date.fromisoformat(private["born"]), today)
    return CaseFacts.model_validate(facts)


def _views(views: Views) -> ViewsView:
    return ViewsView(child=views.child, family=views.family, noted_at=views.noted_at)


def _eligibility(case: Case, found: Eligibility, context: Context) -> EligibilityView:
    return EligibilityView(
        eligible=found.eligible,
        reasons=found.reasons,
        theme=found.theme,
        measure=found.measure,
        assessed_at=found.assessed_at,
        statutory_channel=context.models[case.ref].statutory_channel if found.statutory_channel else None,
    )


def _referral(
    referral_id: UUID,
    referral: Referral,
    parts: frozenset[str],
    private: Mapping[str, Any],
    *,
    outside: bool,
    actions: tuple[str, ...],
) -> ReferralView:
    plan, scope, wait = referral.plan, _scope(referral), waiting(referral)
    # K3: public help is no fact that was consented to, nor is a purpose that the consent does not name
    purposes = (scope.purpose,) if outside and scope else plan.purposes
    public_help = () if outside else plan.public_help
    return ReferralView(
        referral_id=referral_id,
        status=str(referral.__struct_config__.tag),
        reason=referral.reason,
        organisation_id=plan.organisation_id,
        offer_id=plan.offer_id,
        purposes=purposes,
        public_help=tuple(
            HelpView(kind=help_.kind, department_id=help_.department_id) for help_ in public_help
        ),
        facts=scope.facts if scope else (),
        due_on=wait.until if wait else None,
        need=private.get(f"need:{referral_id}") if "need" in parts else None,
        goals=private.get(f"aim:{referral_id}") if "goals" in parts else None,
        allowed_actions=list(actions),
    )
