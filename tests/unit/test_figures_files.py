"""Figures as files: what the page shows, and no cell that a spreadsheet would reckon."""

import csv
from io import BytesIO, StringIO

import pytest
from openpyxl import load_workbook

from services.portal.figures import Table
from services.portal.pages.figures import csv_of, harmless, xlsx_of

FORMULAS = ('=HYPERLINK("http://x.example","y")', "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1")
TABLE = Table(
    "reasons", "Title", "About", ("Reason", "Cases"), [*((one, 5) for one in FORMULAS), ("x", None)]
)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text_in_a_file(text: str) -> None:
    """An apostrophe before it, as OWASP advises."""
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Læsemakker", "-5", "5 %", "a=b"])
def test_what_is_no_formula_stays(text: str) -> None:
    """Names and numbers are as on the page."""
    assert harmless(text) == text


def test_a_csv_file_is_the_table_of_the_page() -> None:
    """In UTF-8 with a mark, so that Danish letters are right in a spreadsheet; too few is said."""
    text = csv_of(TABLE, "for få").decode("utf-8-sig")
    lines = list(csv.reader(StringIO(text, newline="")))

    assert lines[0] == ["Reason", "Cases"]
    assert lines[1:] == [*([f"'{one}", "5"] for one in FORMULAS), ["x", "for få"]]


def test_a_workbook_is_the_table_of_the_page() -> None:
    """Numbers are numbers, a formula is text, and nothing else is in it."""
    book = load_workbook(BytesIO(xlsx_of(TABLE, "for få")))
    (sheet,) = book.worksheets
    cells = [[(cell.data_type, cell.value) for cell in row] for row in sheet.iter_rows()]

    assert sheet.title == "reasons"
    assert cells[0] == [("s", "Reason"), ("s", "Cases")]
    assert [row[0] for row in cells[1:]] == [("s", one.replace("\r", "_x000D_")) for one in (*FORMULAS, "x")]
    assert [row[1] for row in cells[1:]] == [("n", 5)] * len(FORMULAS) + [("s", "for få")]
