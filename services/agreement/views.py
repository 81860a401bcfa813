"""Answers of the agreement service: dates and codes from the case, words from private values; pure."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Protocol, TypeAlias
from uuid import UUID

from pydantic import BaseModel

from services.agreement.domain.access import visible_to
from services.agreement.domain.states import (
    Agreement,
    Case,
    Proposal,
    Signature,
    Terms,
    Update,
    cost_name,
    goals_name,
    progress_name,
    status_of,
    summary_of,
    wants_name,
)
from services.kernel.decider.decision import Actor
from services.kernel.decider.small_groups import shown_count, shown_counts, shown_days
from services.kernel.http.fields import status_of_any

_Private: TypeAlias = Mapping[str, Any]
_Row: TypeAlias = Mapping[str, Any]
_Counts: TypeAlias = Iterable[tuple[str, int, int]]
_GOALS: Final = ("goals", "reached", "partly", "not_reached")

AgreementStatus = Annotated[str, status_of_any(Agreement)]


class ActionView(BaseModel):
    """One thing that is done for a goal."""

    text: str
    responsible: str


class GoalView(BaseModel):
    """One goal; its words are missing where they were erased."""

    goal_id: UUID
    purpose: str
    responsible: str
    text: str | None
    actions: list[ActionView]
    attainment: str | None


class SignatureView(BaseModel):
    """One party's name."""

    party: str
    on: date


class TermsView(BaseModel):
    """One version, and who has signed it."""

    version: int
    goals: list[GoalView]
    wants: dict[str, str]
    starts_on: date
    ends_on: date
    update_every_days: int
    evaluate_every_days: int
    cost: str
    payer: str
    cost_text: str | None
    signed: list[SignatureView]


class UpdateView(BaseModel):
    """One progress update; without a day where it never came."""

    number: int
    due_on: date
    reported_on: date | None
    trend: str | None
    text: str | None


class AgreementView(BaseModel):
    """One agreement: the version in force, the version that waits for signatures, and how it goes."""

    agreement_id: UUID
    referral_id: UUID
    organisation_id: UUID
    status: AgreementStatus
    invited_on: date
    meeting_by: date | None
    held_on: date | None
    in_force_on: date | None
    ended_on: date | None
    reason: str | None
    must_sign: list[str]
    adjustable: bool
    terms: TermsView | None
    proposal: TermsView | None
    next_update: UpdateView | None
    updates: list[UpdateView]


class CaseView(BaseModel):
    """The agreements of a case that the reader may see."""

    case_id: UUID
    version: int
    agreements: list[AgreementView]


class WorkView(BaseModel):
    """One thing that waits for the reader."""

    case_id: UUID
    agreement_id: UUID
    what: str
    due_on: date | None


class PurposeFigures(BaseModel):
    """The goals of one purpose, and how far they were reached; null where few cases stand behind it."""

    purpose: str
    goals: int | None
    reached: int | None
    partly: int | None
    not_reached: int | None


class Figures(BaseModel):
    """A municipality's agreements in numbers; days are calendar days from the acceptance.

    Counts are to the nearest five; what is not listed, or null, is of fewer than five.
    """

    statuses: dict[str, int]
    reasons: dict[str, int]
    purposes: list[PurposeFigures]
    median_days_to_meeting: int | None
    median_days_to_in_force: int | None
    updates: int | None
    updates_on_time: int | None
    updates_missed: int | None


class _Read(Protocol):
    @property
    def state(self) -> Any: ...
    @property
    def version(self) -> int: ...
    @property
    def private(self) -> _Private: ...


def figures_view(*, statuses: _Counts, reasons: _Counts, purposes: Iterable[_Row], pace: _Row) -> Figures:
    """Return what may be shown of a municipality's agreements."""
    names = ("updates", "updates_on_time", "updates_missed")
    return Figures(
        statuses=shown_counts(statuses),
        reasons=shown_counts(reasons),
        purposes=[PurposeFigures(purpose=row["purpose"], **_of_cases(row, _GOALS)) for row in purposes],
        median_days_to_meeting=shown_days(pace["days_to_meeting"], pace["cases_met"]),
        median_days_to_in_force=shown_days(pace["days_to_in_force"], pace["cases_in_force"]),
        **_of_cases(pace, names),
    )


def _of_cases(row: _Row, names: Iterable[str]) -> dict[str, int | None]:
    return {name: shown_count(row[name], row[f"{name}_cases"]) for name in names}


def case_for(case_id: UUID, read: _Read, actor: Actor, now: datetime) -> CaseView:
    """Return the agreements of a case that an authorized reader sees."""
    case: Case = read.state
    return CaseView(
        case_id=case_id,
        version=read.version,
        agreements=[
            view_of(case, agreement_id, agreement, read.private)
            for agreement_id, agreement in visible_to(case, actor, now).items()
        ],
    )


def view_of(case: Case, agreement_id: UUID, agreement: Agreement, private: _Private) -> AgreementView:
    """Return an agreement as its parties read it."""
    one = summary_of(agreement)
    return AgreementView(
        agreement_id=agreement_id,
        referral_id=agreement.about.referral_id,
        organisation_id=agreement.about.organisation_id,
        status=status_of(agreement),
        invited_on=agreement.about.invited_on,
        meeting_by=one.meeting_by,
        held_on=one.held_on,
        in_force_on=one.in_force_on,
        ended_on=one.ended_on,
        reason=one.reason,
        must_sign=list(case.parties),
        adjustable=one.adjustable,
        terms=_terms_view(case, agreement_id, one.terms, one.signed, private) if one.terms else None,
        proposal=_proposal_view(case, agreement_id, one.proposal, private),
        next_update=_update_view(agreement_id, one.expected, private) if one.expected else None,
        updates=[_update_view(agreement_id, update, private) for update in one.updates],
    )


def _proposal_view(
    case: Case, agreement_id: UUID, proposal: Proposal | None, private: _Private
) -> TermsView | None:
    if proposal is None:
        return None
    return _terms_view(case, agreement_id, proposal.terms, case.standing(proposal.signed), private)


def _terms_view(
    case: Case, agreement_id: UUID, terms: Terms, signed: tuple[Signature, ...], private: _Private
) -> TermsView:
    version = terms.version
    words = {goal["goal_id"]: goal for goal in private.get(goals_name(agreement_id, version), ())}
    goals = []
    for goal in terms.goals:
        worded = words.get(str(goal.goal_id), {})
        goals.append(
            GoalView(
                goal_id=goal.goal_id,
                purpose=goal.purpose,
                responsible=goal.responsible,
                text=worded.get("text"),
                actions=[ActionView(**action) for action in worded.get("actions", ())],
                attainment=case.attained.get(goal.goal_id),
            )
        )
    return TermsView(
        version=version,
        goals=goals,
        wants=private.get(wants_name(agreement_id, version), {}),
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        update_every_days=terms.update_every_days,
        evaluate_every_days=terms.evaluate_every_days,
        cost=terms.cost,
        payer=terms.payer,
        cost_text=private.get(cost_name(agreement_id, version)),
        signed=[SignatureView(party=one.party, on=one.on) for one in signed],
    )


def _update_view(agreement_id: UUID, update: Update, private: _Private) -> UpdateView:
    return UpdateView(
        number=update.number,
        due_on=update.due_on,
        reported_on=update.reported_on,
        trend=update.trend,
        text=private.get(progress_name(agreement_id, update.number)),
    )
