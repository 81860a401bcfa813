"""Steps of a case: opening, views, eligibility, drafting a referral, closing."""

from typing import Final

from msgspec.structs import replace

from contracts import referral as events
from contracts.model import CollaborationModel
from services.kernel.decider.decision import Context, Decision, PrivateValue
from services.kernel.errors import InvalidTransition
from services.referral.domain import refusals
from services.referral.domain.commands import (
    AssessEligibility,
    CloseCase,
    DraftReferral,
    NoteViews,
    OpenCase,
    View,
)
from services.referral.domain.eligibility import age_of, evaluate_criteria, offer_covers, require_code
from services.referral.domain.states import (
    Case,
    Drafted,
    Eligibility,
    Ending,
    Expected,
    Municipality,
    Offer,
    Open,
    Organisation,
    Plan,
    Views,
)
from services.referral.domain.transition import DocumentTransition

HEARD: Final = "heard"
DECLINED: Final = "declined"
NOT_HEARD: Final = "not_heard"
_ANSWERS: Final = (HEARD, DECLINED, NOT_HEARD)


def open_case(transition: DocumentTransition, before: Expected | None, command: OpenCase) -> Decision:
    """Open under the model that the municipality follows, with the consents that are on record already."""
    context = transition.context
    followed = context.others.get(command.municipality_id)
    if not isinstance(followed, Municipality) or _ref(followed) not in context.models:
        raise refusals.ModelMissing
    expected = before or Expected()
    case = Case(
        child_id=command.child_id,
        department_id=command.department_id,
        caseworker_id=context.actor.id,
        model=followed.model,
        model_version=followed.model_version,
        opened_at=context.now,
        consents=expected.consents,
        custody=expected.custody,
    )
    opened = events.CaseOpened(
        department_id=case.department_id,
        caseworker_id=case.caseworker_id,
        model=case.model,
        model_version=case.model_version,
        child_id=case.child_id,
    )
    return Decision(case, (opened,), private_values=_about_child(command, context))


def open_again(_transition: DocumentTransition, case: Case, command: OpenCase) -> Decision:
    """Change nothing where the case is open for the same child; refuse it otherwise."""
    if case.child_id == command.child_id and not case.ending:
        return Decision(case)
    raise refusals.CaseExists


def note_views(transition: DocumentTransition, case: Case, command: NoteViews) -> Decision:
    """Keep how child and family see it; a party that was not heard needs a reason (Holbæk's principle 1)."""
    _require_open(case)
    context = transition.context
    for view in (command.child, command.family):
        if view.answer not in _ANSWERS:
            raise refusals.CodeUnknown(", ".join(_ANSWERS))
        if (view.answer == HEARD and not view.view) or (view.answer == NOT_HEARD and not view.why):
            raise refusals.ViewMissing
    views = Views(command.child.answer, command.family.answer, context.now)
    return Decision(
        replace(case, views=views),
        (events.ViewsNoted(child=views.child, family=views.family),),
        private_values=(
            PrivateValue(case.child_id, "child_view", _words(command.child)),
            PrivateValue(context.stream_id, "family_view", _words(command.family)),
        ),
    )


def assess(transition: DocumentTransition, case: Case, command: AssessEligibility) -> Decision:
    """Judge by the model's criteria, a reason for each yes and no; where the need is grave, keep no words."""
    _require_open(case)
    context, model = transition.context, transition.model_of(case)
    eligible, statutory_channel, reasons = evaluate_criteria(model, command, context)
    if eligible and not command.judgement:
        raise refusals.JudgementMissing
    eligibility = Eligibility(
        eligible=eligible,
        statutory_channel=statutory_channel,
        reasons=reasons,
        theme=command.theme,
        measure=command.measure,
        assessed_by=context.actor.id,
        assessed_at=context.now,
    )
    words = "" if statutory_channel else command.judgement
    return Decision(
        replace(case, eligibility=eligibility),
        (events.EligibilityAssessed(eligible=eligible, reasons=reasons),),
        private_values=(
            PrivateValue(case.child_id, "judgement", words),
            PrivateValue(case.child_id, "conditions", command.conditions),
            PrivateValue(case.child_id, "factors", command.factors),
        ),
    )


def draft(transition: DocumentTransition, case: Case, command: DraftReferral) -> Decision:
    """Choose an offer, once the family's view is on record and while public help goes on."""
    _require_open(case)
    if command.referral_id in case.referrals:
        return Decision(case)
    context, model = transition.context, transition.model_of(case)
    eligibility = _require_eligible(case)
    _require_complete(command, model)
    _require_departments(command, context)
    _require_offer(command, context)
    _require_match(command, eligibility, model, context)
    plan = Plan(command.organisation_id, command.offer_id, command.purposes, command.public_help)
    drafted = events.ReferralDrafted(
        referral_id=command.referral_id,
        organisation_id=plan.organisation_id,
        offer_id=plan.offer_id,
        purposes=plan.purposes,
        public_help=tuple(
            events.PublicHelp(kind=help_.kind, department_id=help_.department_id)
            for help_ in plan.public_help
        ),
    )
    return Decision(
        replace(case, referrals={**case.referrals, command.referral_id: Drafted(plan=plan)}),
        (drafted,),
        private_values=(
            PrivateValue(case.child_id, f"need:{command.referral_id}", command.need),
            PrivateValue(case.child_id, f"aim:{command.referral_id}", command.aim),
        ),
    )


def close(transition: DocumentTransition, case: Case, command: CloseCase) -> Decision:
    """Follow the case no longer; reminders of unconfirmed deletions go on."""
    if case.ending:
        return Decision(case)
    require_code(command.reason, transition.model_of(case).end_reasons)
    if any(isinstance(referral, Open) for referral in case.referrals.values()):
        raise refusals.StillOpen
    return Decision(
        replace(case, ending=Ending(command.reason, transition.context.now)),
        (events.CaseClosed(reason=command.reason),),
    )


def _ref(followed: Municipality) -> str:
    return f"{followed.model}/{followed.model_version}"


def _about_child(command: OpenCase, context: Context) -> tuple[PrivateValue, ...]:
    child = command.child
    values = (
        PrivateValue(command.child_id, "first_name", child.first_name),
        PrivateValue(command.child_id, "family_name", child.family_name),
        PrivateValue(command.child_id, "born", child.born.isoformat()),
        PrivateValue(command.child_id, "residence", child.residence),
        PrivateValue(command.child_id, "practical", child.practical),
        # contact and language belong to the guardians as much as to the child
        PrivateValue(context.stream_id, "contact", child.contact),
        PrivateValue(context.stream_id, "language", child.language),
    )
    return tuple(one for one in values if one.value)


def _words(view: View) -> dict[str, str]:
    return {"view": view.view, "proposals": view.proposals, "why": view.why}


def _require_open(case: Case) -> None:
    if case.ending:
        raise InvalidTransition("closed")


def _require_eligible(case: Case) -> Eligibility:
    if case.views is None:
        raise refusals.ViewsMissing
    if case.eligibility is None:
        raise refusals.EligibilityMissing
    if not case.eligibility.eligible:
        raise refusals.NotEligible(" ".join(case.eligibility.reasons))
    return case.eligibility


def _require_complete(command: DraftReferral, model: CollaborationModel) -> None:
    if not command.public_help:
        raise refusals.PublicHelpMissing
    if not command.purposes:
        raise refusals.PurposeMissing
    for purpose in command.purposes:
        require_code(purpose, model.purposes)
    for help_ in command.public_help:
        require_code(help_.kind, model.public_help)


def _require_departments(command: DraftReferral, context: Context) -> None:
    municipality = context.others.get(command.municipality_id)
    known = municipality.departments if isinstance(municipality, Municipality) else ()
    if any(help_.department_id not in known for help_ in command.public_help):
        raise refusals.DepartmentUnknown


def _require_offer(command: DraftReferral, context: Context) -> None:
    offer = context.others.get(command.offer_id)
    if not isinstance(offer, Offer) or offer.organisation_id != command.organisation_id:
        raise refusals.OfferUnknown
    organisation = context.others.get(command.organisation_id)
    if not isinstance(organisation, Organisation) or not organisation.joined:
        raise refusals.OrganisationNotJoined


def _require_match(
    command: DraftReferral, eligibility: Eligibility, model: CollaborationModel, context: Context
) -> None:
    offer = context.others[command.offer_id]
    mismatch = offer_covers(offer, eligibility.theme, age_of(context, model), context.tenant)
    if mismatch:
        raise refusals.OfferMismatch(mismatch)
