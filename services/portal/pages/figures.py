"""Figures for a leader: how far cases come, how long it takes, and whether it helps; each with its table."""

import csv
from io import StringIO
from typing import Any, Final

from fastapi import Response

from services.kernel.errors import NotFound
from services.portal.catalogue import word
from services.portal.figures import Table, tables_of
from services.portal.pages.page import Area, Page
from services.portal.service_client import SILENT
from services.portal.texts import _
from services.portal.visit import NO_STORE, Visit

AREA: Final = Area()
LEADER: Final = ("leader",)

FIGURES: Final = Page(
    "/figures",
    "leader/figures.html",
    _("Figures"),
    LEADER,
    calls=("referral.funnel", "agreement.figures", "evaluation.outcomes"),
    menu=_("Figures"),
)
FIGURES_FILE: Final = Page(
    "/figures/{name}.csv",
    "",
    _("Figures"),
    LEADER,
    calls=("referral.funnel", "agreement.figures", "evaluation.outcomes"),
    parent=FIGURES,
)


@AREA.get(FIGURES)
async def figures(visit: Visit) -> Response:
    """Show the municipality's figures: the way of cases, agreements, and what became of the children."""
    tables, silent = await _tables(visit)
    return visit.render(tables=tables, silent=silent)


@AREA.get(FIGURES_FILE)
async def figures_file(visit: Visit, name: str) -> Response:
    """Return one table as CSV, exactly what the page shows, safe to open in a spreadsheet."""
    tables, _silent = await _tables(visit)
    for table in tables:
        if table.name == name:
            headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="{table.name}.csv"'}
            return Response(csv_of(table), media_type="text/csv; charset=utf-8", headers=headers)
    raise NotFound


async def _tables(visit: Visit) -> tuple[list[Table], bool]:
    found = await visit.parts(
        funnel=visit.get("referral", "/referral/funnel"),
        agreements=visit.get("agreement", "/agreement/figures"),
        outcomes=visit.get("evaluation", "/evaluation/outcomes"),
    )
    model = await visit.model()

    def say(kind: str, code: str) -> str:
        return word(model, kind, code, visit.language)

    known: dict[str, Any] = {name: None if part is SILENT else part for name, part in found.items()}
    return list(tables_of(known, say, visit.translate)), None in known.values()


def csv_of(table: Table) -> bytes:
    """Return a table as CSV in UTF-8 with a mark; a cell that a spreadsheet would reckon is quoted by it."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(table.head)
    writer.writerows([harmless(cell) for cell in row] for row in table.rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def harmless(cell: object) -> str:
    """Return a cell that no spreadsheet takes for a formula (OWASP: CSV injection)."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} and not text[1:].isdigit() else text
