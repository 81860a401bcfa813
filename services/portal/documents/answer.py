"""A document as the answer to a request."""

from collections.abc import Iterable

from fastapi import Response

from services.portal.documents.typesetting import Block, Document, pdf_of
from services.portal.rendering import day_text
from services.portal.visit import NO_STORE, Visit


async def pdf_answer(visit: Visit, name: str, blocks: Iterable[Block]) -> Response:
    """Return blocks under the page's title as a PDF of that name, which like the title names nobody."""
    by = visit.portal.municipality_of(visit.person)
    document = Document(
        visit.translate(visit.page.title),
        visit.language,
        ", ".join(filter(None, (by, day_text(visit.today, visit.language)))),
        list(blocks),
    )
    headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="{name}.pdf"'}
    return Response(await pdf_of(document), media_type="application/pdf", headers=headers)
