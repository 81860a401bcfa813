"""Documents that people take along: the agreement, for all who sign it."""

from typing import Final
from uuid import UUID

from fastapi import Response

from services.portal.documents.agreement import agreement_blocks
from services.portal.documents.answer import pdf_answer
from services.portal.pages.case_agreement import AGREEMENT, read_agreement
from services.portal.pages.page import FAMILY, Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

AGREEMENT_FILE: Final = Page(
    "/agreements/{case_id}/{agreement_id}/agreement.pdf",
    "",
    _("The cooperation agreement"),
    ("caseworker", "coordinator", *FAMILY),
    looks=("agreement",),
    calls=("agreement.case",),
    parent=AGREEMENT,
)


@AREA.get(AGREEMENT_FILE)
async def agreement_file(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """Return the agreement as an accessible PDF."""
    found = await read_agreement(visit, case_id, agreement_id)
    blocks = agreement_blocks(visit, found["one"], found["organisation"], await visit.model())
    return await pdf_answer(visit, "agreement", blocks)
