"""An agreement as its parties read it: dates and codes from the case, words from what lies sealed; pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import BaseModel

from services.agreement.domain_states import (
    Agreement,
    Case,
    Ended,
    InForce,
    Invited,
    Proposal,
    Proposed,
    Signature,
    Terms,
    Update,
    status_of,
)

_Private: TypeAlias = Mapping[str, Any]


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
    status: str
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


def view_of(case: Case, agreement_id: UUID, agreement: Agreement, private: _Private) -> AgreementView:
    """Return an agreement as its parties read it."""
    began = agreement if isinstance(agreement, InForce | Ended) else None
    waiting = agreement if isinstance(agreement, InForce | Proposed) else None
    running = agreement if isinstance(agreement, InForce) else None
    ended = agreement if isinstance(agreement, Ended) else None
    invited = agreement if isinstance(agreement, Invited) else None
    terms = (
        _terms_view(case, agreement_id, began.terms, began.signed, private) if began and began.terms else None
    )
    return AgreementView(
        agreement_id=agreement_id,
        referral_id=agreement.about.referral_id,
        organisation_id=agreement.about.organisation_id,
        status=status_of(agreement),
        invited_on=agreement.about.invited_on,
        meeting_by=invited.meeting_by if invited else None,
        held_on=None if isinstance(agreement, Invited) else agreement.held_on,
        in_force_on=began.in_force_on if began else None,
        ended_on=ended.ended_on if ended else None,
        reason=ended.reason if ended else None,
        must_sign=list(case.parties),
        adjustable=running.adjustable if running else False,
        terms=terms,
        proposal=_proposal_view(case, agreement_id, waiting.proposal if waiting else None, private),
        next_update=_update_view(agreement_id, running.expected, private) if running else None,
        updates=[_update_view(agreement_id, update, private) for update in (began.updates if began else ())],
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
    place = f"{agreement_id}:{terms.version}"
    words = {goal["goal_id"]: goal for goal in private.get(f"goals:{place}", ())}
    goals = []
    for goal in terms.goals:
        said = words.get(str(goal.goal_id), {})
        goals.append(
            GoalView(
                goal_id=goal.goal_id,
                purpose=goal.purpose,
                responsible=goal.responsible,
                text=said.get("text"),
                actions=[ActionView(**action) for action in said.get("actions", ())],
                attainment=case.attained.get(goal.goal_id),
            )
        )
    return TermsView(
        version=terms.version,
        goals=goals,
        wants=private.get(f"wants:{place}", {}),
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        update_every_days=terms.update_every_days,
        evaluate_every_days=terms.evaluate_every_days,
        cost=terms.cost,
        payer=terms.payer,
        cost_text=private.get(f"cost:{place}"),
        signed=[SignatureView(party=one.party, on=one.on) for one in signed],
    )


def _update_view(agreement_id: UUID, update: Update, private: _Private) -> UpdateView:
    return UpdateView(
        number=update.number,
        due_on=update.due_on,
        reported_on=update.reported_on,
        trend=update.trend,
        text=private.get(f"progress:{agreement_id}:{update.number}"),
    )
