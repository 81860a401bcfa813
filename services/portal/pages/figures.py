"""Figures for a leader: how far cases come, how long it takes, and whether it helps; each with its table."""

import csv
from io import BytesIO, StringIO
from typing import Any, Final

from fastapi import Response
from xlsxwriter import Workbook

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
FIGURES_SHEET: Final = Page(
    "/figures/{name}.xlsx",
    "",
    _("Figures"),
    LEADER,
    calls=("referral.funnel", "agreement.figures", "evaluation.outcomes"),
    parent=FIGURES,
)
_TOO_FEW: Final = _("too few")
_LONGEST_NAME: Final = 31
_SHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@AREA.get(FIGURES)
async def figures(visit: Visit) -> Response:
    """Show the municipality's figures: the way of cases, agreements, and what became of the children."""
    tables, silent = await _tables(visit)
    return visit.render(tables=tables, silent=silent)


@AREA.get(FIGURES_FILE)
async def figures_file(visit: Visit, name: str) -> Response:
    """Return one table as CSV, exactly what the page shows, safe to open in a spreadsheet."""
    table = await _table(visit, name)
    return _file(csv_of(table, visit.translate(_TOO_FEW)), f"{table.name}.csv", "text/csv; charset=utf-8")


@AREA.get(FIGURES_SHEET)
async def figures_sheet(visit: Visit, name: str) -> Response:
    """Return one table as a workbook, exactly what the page shows, without formulas."""
    table = await _table(visit, name)
    return _file(xlsx_of(table, visit.translate(_TOO_FEW)), f"{table.name}.xlsx", _SHEET)


def _file(content: bytes, name: str, media_type: str) -> Response:
    headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)


async def _table(visit: Visit, name: str) -> Table:
    """Return the table of a name; raises `NotFound`."""
    tables, _silent = await _tables(visit)
    for table in tables:
        if table.name == name:
            return table
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


def csv_of(table: Table, too_few: str) -> bytes:
    """Return a table as CSV in UTF-8 with a mark; a cell that a spreadsheet would reckon is quoted by it."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(table.head)
    writer.writerows([harmless(too_few if cell is None else str(cell)) for cell in row] for row in table.rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def xlsx_of(table: Table, too_few: str) -> bytes:
    """Return a table as a workbook of one sheet: numbers as numbers, all else as text."""
    out = BytesIO()
    with Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet(table.name[:_LONGEST_NAME])
        for column, text in enumerate(table.head):
            sheet.write_string(0, column, text, book.add_format({"bold": True}))
        for row, cells in enumerate(table.rows, 1):
            for column, cell in enumerate(cells):
                if isinstance(cell, int):
                    sheet.write_number(row, column, cell)
                else:
                    sheet.write_string(row, column, too_few if cell is None else cell)
        sheet.freeze_panes(1, 0)
        sheet.autofit()
    return out.getvalue()


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula (OWASP: CSV injection)."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} and not text[1:].isdigit() else text
