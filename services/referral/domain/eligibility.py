"""Eligibility: the model's criteria for and against, applied to one case; pure."""

from collections.abc import Iterable
from datetime import date
from typing import Final

from contracts.model import CollaborationModel
from contracts.model_parts import Criterion, Word, by_code
from services.kernel.decider.decision import Context
from services.kernel.decider.working_days import calendar_of
from services.referral.domain.commands import AssessEligibility
from services.referral.domain.refusals import (
    AnswerMissing,
    ChildErased,
    CodeUnknown,
    CriterionReckoned,
    OfferUnknown,
)
from services.referral.domain.states import Offer

# How an organisation sees a child's age: wide enough to prepare, too wide to find the child by.
_BANDS: Final = ((0, 2), (3, 5), (6, 9), (10, 12), (13, 15), (16, 17))


def evaluate_criteria(
    model: CollaborationModel, command: AssessEligibility, context: Context
) -> tuple[bool, bool, tuple[str, ...]]:
    """Return whether the case is eligible, whether it belongs in the statutory channel, and every reason.

    The reasons are the model's own, in its order. A criterion that only an offer can decide is left out
    while no offer is chosen and the professional has not answered it.
    """
    _require_codes(model, command)
    eligible, statutory_channel = True, False
    reasons: list[str] = []
    for criterion in model.eligibility:
        holds = _holds(criterion, model, command, context)
        if holds is None:
            continue
        reasons.append(criterion.holds.code if holds else criterion.fails.code)
        eligible &= holds == (criterion.kind == "needed")
        statutory_channel |= holds and criterion.statutory_channel
    return eligible, statutory_channel, tuple(reasons)


def offer_covers(offer: Offer, theme: str, age: int, tenant: str) -> str:
    """Return in which way an offer does not cover a need, or nothing where it does."""
    if offer.theme != theme:
        return "theme"
    if not offer.age_from <= age <= offer.age_to:
        return "age"
    return "" if tenant in offer.areas else "area"


def age_of(context: Context, model: CollaborationModel) -> int:
    """Return the child's full years today, computed anew each time; negative before the birth."""
    return _years(date.fromisoformat(_about_child(context, "born")), calendar_of(model).today(context.now))


def age_band(born: date, today: date) -> str:
    """Return the band of years that an organisation sees: `6-9`."""
    age = _years(born, today)
    return next((f"{low}-{high}" for low, high in _BANDS if low <= age <= high), "18+")


def require_code(code: str, words: Iterable[Word]) -> None:
    """Raise `CodeUnknown` with the model's words where it has no such one; what was sent is not repeated."""
    known = tuple(words)
    if by_code(known, code) is None:
        raise CodeUnknown(", ".join(word.code for word in known))


def _require_codes(model: CollaborationModel, command: AssessEligibility) -> None:
    require_code(command.theme, model.themes)
    theme = next(theme for theme in model.themes if theme.code == command.theme)
    if command.measure not in theme.measures:
        raise CodeUnknown(", ".join(theme.measures))
    for condition in command.conditions:
        require_code(condition, model.target_group.conditions)
    for factor in command.factors:
        require_code(factor, model.target_group.factors)
    for answered in command.answers:
        require_code(answered, model.eligibility)
        criterion = by_code(model.eligibility, answered)
        if criterion is not None and criterion.by in _reckoned(command):
            raise CriterionReckoned(f"{criterion.code}: {criterion.by}")


def _reckoned(command: AssessEligibility) -> set[str]:
    """Return what criteria are reckoned from; by an offer where one is named."""
    return {"age", "residence", "condition"} | ({"offer"} if command.offer_id is not None else set())


def _holds(
    criterion: Criterion, model: CollaborationModel, command: AssessEligibility, context: Context
) -> bool | None:
    match criterion.by:
        case "age":
            return model.target_group.age_from <= age_of(context, model) <= model.target_group.age_to
        case "residence":
            return (
                not model.target_group.residence_required
                or _about_child(context, "residence") == context.tenant
            )
        case "condition":
            return bool(command.conditions)
        case "offer":
            return _offer_holds(criterion, model, command, context)
        case "answer":
            if criterion.code not in command.answers:
                raise AnswerMissing(criterion.code)
            return command.answers[criterion.code]


def _offer_holds(
    criterion: Criterion, model: CollaborationModel, command: AssessEligibility, context: Context
) -> bool | None:
    if command.offer_id is None:
        return command.answers.get(criterion.code)
    offer = context.others.get(command.offer_id)
    if not isinstance(offer, Offer):
        raise OfferUnknown
    return not offer_covers(offer, command.theme, age_of(context, model), context.tenant)


def _years(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _about_child(context: Context, name: str) -> str:
    try:
        return str(context.private[name])
    except KeyError:
        raise ChildErased from None
