"""The case itself: opened, its views noted, its eligibility judged, a referral drafted, and closed."""

from typing import Final

from msgspec.structs import replace

from contracts import referral as told
from contracts.model import CollaborationModel
from services.kernel.decider.decision import Decision, Given, Seal
from services.kernel.errors import WrongMoment
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


def open_case(state: State | None, asked: OpenCase, given: Given) -> Decision:
    """Begin under the model that the municipality follows, with what was heard of the case before."""
    if isinstance(state, Case) and state.child_id == asked.child_id and not state.ending:
        return Decision(state)
    if state is not None and not isinstance(state, Expected):
        raise no.CaseExists
    followed = given.others.get(asked.municipality_id)
    if not isinstance(followed, Municipality) or _ref(followed) not in given.models:
        raise no.ModelMissing
    early = state or Expected()
    case = Case(
        child_id=asked.child_id,
        department_id=asked.department_id,
        caseworker_id=given.actor.id,
        model=followed.model,
        model_version=followed.model_version,
        opened_at=given.now,
        consents=early.consents,
        custody=early.custody,
    )
    opened = told.CaseOpened(
        department_id=case.department_id,
        caseworker_id=case.caseworker_id,
        model=case.model,
        model_version=case.model_version,
    )
    return Decision(case, (opened,), seals=_about_child(asked, given))


def note_views(case: Case, asked: NoteViews, given: Given) -> Decision:
    """Keep how child and family see it; a party that was not heard needs a reason (Holbæk's principle 1)."""
    _must_be_open(case)
    for view in (asked.child, asked.family):
        if view.answer not in {HEARD, DECLINED, NOT_HEARD}:
            raise no.CodeUnknown(view.answer)
        if (view.answer == HEARD and not view.view) or (view.answer == NOT_HEARD and not view.why):
            raise no.ViewMissing
    views = Views(asked.child.answer, asked.family.answer, given.now)
    return Decision(
        replace(case, views=views),
        (told.ViewsNoted(child=views.child, family=views.family),),
        seals=(
            Seal(case.child_id, "child_view", _words(asked.child)),
            Seal(given.stream_id, "family_view", _words(asked.family)),
        ),
    )


def assess(case: Case, asked: AssessEligibility, given: Given) -> Decision:
    """Judge by the model's criteria, a reason for each yes and no; where the need is grave, keep no words."""
    _must_be_open(case)
    model = given.models[case.ref]
    eligible, statutory_channel, reasons = weigh(model, asked, given)
    if eligible and not asked.judgement:
        raise no.JudgementMissing
    eligibility = Eligibility(
        eligible=eligible,
        statutory_channel=statutory_channel,
        reasons=reasons,
        theme=asked.theme,
        measure=asked.measure,
        assessed_by=given.actor.id,
        assessed_at=given.now,
    )
    words = "" if statutory_channel else asked.judgement
    return Decision(
        replace(case, eligibility=eligibility),
        (told.EligibilityAssessed(eligible=eligible, reasons=reasons),),
        seals=(
            Seal(case.child_id, "judgement", words),
            Seal(case.child_id, "conditions", asked.conditions),
            Seal(case.child_id, "factors", asked.factors),
        ),
    )


def draft(case: Case, asked: DraftReferral, given: Given) -> Decision:
    """Choose an offer, once the family's view is on record and while public help goes on."""
    _must_be_open(case)
    if asked.referral_id in case.referrals:
        return Decision(case)
    model = given.models[case.ref]
    eligibility = _must_be_eligible(case)
    _must_be_sound(asked, model)
    _must_take_part(asked, given)
    _must_cover(asked, eligibility, model, given)
    plan = Plan(asked.organisation_id, asked.offer_id, asked.purposes, asked.public_help)
    drafted = told.ReferralDrafted(
        referral_id=asked.referral_id,
        organisation_id=plan.organisation_id,
        offer_id=plan.offer_id,
        purposes=plan.purposes,
        public_help=tuple(
            told.PublicHelp(kind=help_.kind, department_id=help_.department_id) for help_ in plan.public_help
        ),
    )
    return Decision(
        case.with_referral(asked.referral_id, Drafted(plan=plan)),
        (drafted,),
        seals=(
            Seal(case.child_id, f"need:{asked.referral_id}", asked.need),
            Seal(case.child_id, f"aim:{asked.referral_id}", asked.aim),
        ),
    )


def close(case: Case, asked: CloseCase, given: Given) -> Decision:
    """Follow the case no longer; deletions that are still owed are chased on."""
    if case.ending:
        return Decision(case)
    known(asked.reason, given.models[case.ref].end_reasons)
    if any(isinstance(referral, Open) for referral in case.referrals.values()):
        raise no.StillOpen
    return Decision(
        replace(case, ending=Ending(asked.reason, given.now)),
        (told.CaseClosed(reason=asked.reason),),
    )


def _ref(followed: Municipality) -> str:
    return f"{followed.model}/{followed.model_version}"


def _about_child(asked: OpenCase, given: Given) -> tuple[Seal, ...]:
    child = asked.child
    seals = (
        Seal(asked.child_id, "first_name", child.first_name),
        Seal(asked.child_id, "family_name", child.family_name),
        Seal(asked.child_id, "born", child.born.isoformat()),
        Seal(asked.child_id, "residence", child.residence),
        Seal(asked.child_id, "practical", child.practical),
        # how the guardians are reached and spoken to is theirs as much as the child's
        Seal(given.stream_id, "contact", child.contact),
        Seal(given.stream_id, "language", child.language),
    )
    return tuple(seal for seal in seals if seal.value)


def _words(view: View) -> dict[str, str]:
    return {"view": view.view, "proposals": view.proposals, "why": view.why}


def _must_be_open(case: Case) -> None:
    if case.ending:
        raise WrongMoment("closed")


def _must_be_eligible(case: Case) -> Eligibility:
    if case.views is None:
        raise no.ViewsMissing
    if case.eligibility is None:
        raise no.EligibilityMissing
    if not case.eligibility.eligible:
        raise no.NotEligible(" ".join(case.eligibility.reasons))
    return case.eligibility


def _must_be_sound(asked: DraftReferral, model: CollaborationModel) -> None:
    if not asked.public_help:
        raise no.PublicHelpMissing
    if not asked.purposes:
        raise no.PurposeMissing
    for purpose in asked.purposes:
        known(purpose, model.purposes)
    for help_ in asked.public_help:
        known(help_.kind, model.public_help)


def _must_take_part(asked: DraftReferral, given: Given) -> None:
    offer = given.others.get(asked.offer_id)
    if not isinstance(offer, Offer) or offer.organisation_id != asked.organisation_id:
        raise no.OfferUnknown
    organisation = given.others.get(asked.organisation_id)
    if not isinstance(organisation, Organisation) or not organisation.joined:
        raise no.OrganisationNotJoined


def _must_cover(
    asked: DraftReferral, eligibility: Eligibility, model: CollaborationModel, given: Given
) -> None:
    offer = given.others[asked.offer_id]
    mismatch = offer_covers(offer, eligibility.theme, age_of(given, model), given.tenant)
    if mismatch:
        raise no.OfferMismatch(mismatch)
