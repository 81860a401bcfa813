"""All pages of the portal, and the router that serves them."""

from typing import Final

from fastapi import APIRouter

from services.portal.pages import (
    case,
    case_agreement,
    case_conclusion,
    case_confirm,
    case_consent,
    case_custody,
    case_evaluation,
    case_invite,
    case_offers,
    case_plan,
    case_proposal,
    case_referral,
    cases,
    consents,
    cooperations,
    documents,
    family,
    figures,
    frame,
    gallery,
    messages,
    offers,
    operations,
    partners,
    people,
    referrals,
    sessions,
    sign_in,
    trail,
)
from services.portal.pages.page import Area, Page

AREAS: Final[tuple[Area, ...]] = (
    frame.AREA,
    cases.AREA,
    case.AREA,
    case_plan.AREA,
    case_offers.AREA,
    case_referral.AREA,
    case_custody.AREA,
    case_consent.AREA,
    case_confirm.AREA,
    case_invite.AREA,
    case_agreement.AREA,
    case_proposal.AREA,
    case_evaluation.AREA,
    case_conclusion.AREA,
    consents.AREA,
    family.AREA,
    referrals.AREA,
    cooperations.AREA,
    documents.AREA,
    offers.AREA,
    figures.AREA,
    people.AREA,
    partners.AREA,
    trail.AREA,
    operations.AREA,
    messages.AREA,
    sessions.AREA,
)
"""Every area of pages; the order is that of the menu."""

PAGES: Final[tuple[Page, ...]] = tuple(page for area in AREAS for page in area.pages)

router: Final = APIRouter(include_in_schema=False)
router.include_router(frame.router)
router.include_router(sign_in.router)
router.include_router(gallery.router)
for _area in AREAS:
    router.include_router(_area.router)
