"""The case itself: opened, its views noted, its eligibility judged, a referral drafted, and closed."""

from typing import Final

from msgspec.structs import replace

from contracts import referral as told
from contracts.model import CollaborationModel
from services.kernel.decider.decision import Context, Decision, PrivateValue
from services.kernel.errors import InvalidTransition
from services.referral import domain_refusals as no
from services.referral.domain_commands import (
    AssessEligibility,
    CloseCase,
    DraftReferral,
    NoteViews,
    OpenCase,
    View,
)
from services.referral.domain_eligibility import age_of, known, offer_covers, weigh
from services.referral.domain_states import (
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
    State,
    Views,
)

HEARD: Final = "heard"
DECLINED: Final = "declined"
NOT_HEARD: Final = "not_heard"


def open_case(state: State | None, command: OpenCase, context: Context) -> Decision:
    """Begin under the model that the municipality follows, with what was heard of the case before."""
    if isinstance(state, Case) and state.child_id == command.child_id and not state.ending:
        return Decision(state)
    if state is not None and not isinstance(state, Expected):
        raise no.CaseExists
    followed = context.others.get(command.municipality_id)
    if not isinstance(followed, Municipality) or _ref(followed) not in context.models:
        raise no.ModelMissing
    early = state or Expected()
    case = Case(
        child_id=command.child_id,
        department_id=command.department_id,
        caseworker_id=context.actor.id,
        model=followed.model,
        model_version=followed.model_version,
        opened_at=context.now,
        consents=early.consents,
        custody=early.custody,
    )
    opened = told.CaseOpened(
        department_id=case.department_id,
        caseworker_id=case.caseworker_id,
        model=case.model,
        model_version=case.model_version,
    )
    return Decision(case, (opened,), private_values=_about_child(command, context))


def note_views(case: Case, command: NoteViews, context: Context) -> Decision:
    """Keep how child and family see it; a party that was not heard needs a reason (Holbæk's principle 1)."""
    _must_be_open(case)
    for view in (command.child, command.family):
        if view.answer not in {HEARD, DECLINED, NOT_HEARD}:
            raise no.CodeUnknown(view.answer)
        if (view.answer == HEARD and not view.view) or (view.answer == NOT_HEARD and not view.why):
            raise no.ViewMissing
    views = Views(command.child.answer, command.family.answer, context.now)
    return Decision(
        replace(case, views=views),
        (told.ViewsNoted(child=views.child, family=views.family),),
        private_values=(
            PrivateValue(case.child_id, "child_view", _words(command.child)),
            PrivateValue(context.stream_id, "family_view", _words(command.family)),
        ),
    )


def assess(case: Case, command: AssessEligibility, context: Context) -> Decision:
    """Judge by the model's criteria, a reason for each yes and no; where the need is grave, keep no words."""
    _must_be_open(case)
    model = context.models[case.ref]
    eligible, statutory_channel, reasons = weigh(model, command, context)
    if eligible and not command.judgement:
        raise no.JudgementMissing
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
        (told.EligibilityAssessed(eligible=eligible, reasons=reasons),),
        private_values=(
            PrivateValue(case.child_id, "judgement", words),
            PrivateValue(case.child_id, "conditions", command.conditions),
            PrivateValue(case.child_id, "factors", command.factors),
        ),
    )


def draft(case: Case, command: DraftReferral, context: Context) -> Decision:
    """Choose an offer, once the family's view is on record and while public help goes on."""
    _must_be_open(case)
    if command.referral_id in case.referrals:
        return Decision(case)
    model = context.models[case.ref]
    eligibility = _must_be_eligible(case)
    _must_be_sound(command, model)
    _must_take_part(command, context)
    _must_cover(command, eligibility, model, context)
    plan = Plan(command.organisation_id, command.offer_id, command.purposes, command.public_help)
    drafted = told.ReferralDrafted(
        referral_id=command.referral_id,
        organisation_id=plan.organisation_id,
        offer_id=plan.offer_id,
        purposes=plan.purposes,
        public_help=tuple(
            told.PublicHelp(kind=help_.kind, department_id=help_.department_id) for help_ in plan.public_help
        ),
    )
    return Decision(
        case.with_referral(command.referral_id, Drafted(plan=plan)),
        (drafted,),
        private_values=(
            PrivateValue(case.child_id, f"need:{command.referral_id}", command.need),
            PrivateValue(case.child_id, f"aim:{command.referral_id}", command.aim),
        ),
    )


def close(case: Case, command: CloseCase, context: Context) -> Decision:
    """Follow the case no longer; deletions that are still owed are chased on."""
    if case.ending:
        return Decision(case)
    known(command.reason, context.models[case.ref].end_reasons)
    if any(isinstance(referral, Open) for referral in case.referrals.values()):
        raise no.StillOpen
    return Decision(
        replace(case, ending=Ending(command.reason, context.now)),
        (told.CaseClosed(reason=command.reason),),
    )


def _ref(followed: Municipality) -> str:
    return f"{followed.model}/{followed.model_version}"


def _about_child(command: OpenCase, context: Context) -> tuple[PrivateValue, ...]:
    child = command.child
    seals = (
        PrivateValue(command.child_id, "first_name", child.first_name),
        PrivateValue(command.child_id, "family_name", child.family_name),
        PrivateValue(command.child_id, "born", child.born.isoformat()),
        PrivateValue(command.child_id, "residence", child.residence),
        PrivateValue(command.child_id, "practical", child.practical),
        # how the guardians are reached and spoken to is theirs as much as the child's
        PrivateValue(context.stream_id, "contact", child.contact),
        PrivateValue(context.stream_id, "language", child.language),
    )
    return tuple(seal for seal in seals if seal.value)


def _words(view: View) -> dict[str, str]:
    return {"view": view.view, "proposals": view.proposals, "why": view.why}


def _must_be_open(case: Case) -> None:
    if case.ending:
        raise InvalidTransition("closed")


def _must_be_eligible(case: Case) -> Eligibility:
    if case.views is None:
        raise no.ViewsMissing
    if case.eligibility is None:
        raise no.EligibilityMissing
    if not case.eligibility.eligible:
        raise no.NotEligible(" ".join(case.eligibility.reasons))
    return case.eligibility


def _must_be_sound(command: DraftReferral, model: CollaborationModel) -> None:
    if not command.public_help:
        raise no.PublicHelpMissing
    if not command.purposes:
        raise no.PurposeMissing
    for purpose in command.purposes:
        known(purpose, model.purposes)
    for help_ in command.public_help:
        known(help_.kind, model.public_help)


def _must_take_part(command: DraftReferral, context: Context) -> None:
    offer = context.others.get(command.offer_id)
    if not isinstance(offer, Offer) or offer.organisation_id != command.organisation_id:
        raise no.OfferUnknown
    organisation = context.others.get(command.organisation_id)
    if not isinstance(organisation, Organisation) or not organisation.joined:
        raise no.OrganisationNotJoined


def _must_cover(
    command: DraftReferral, eligibility: Eligibility, model: CollaborationModel, context: Context
) -> None:
    offer = context.others[command.offer_id]
    mismatch = offer_covers(offer, eligibility.theme, age_of(context, model), context.tenant)
    if mismatch:
        raise no.OfferMismatch(mismatch)
