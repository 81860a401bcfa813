"""Documents are accessible PDFs, and whatever people write is text in them and never markup."""

import re
import zlib

import pytest

from contracts.model_parts import Language
from services.portal.documents.typesetting import (
    Block,
    Document,
    Grid,
    Heading,
    Item,
    Paragraph,
    Points,
    Quotation,
    Rows,
    pdf_of,
)

HOSTILE = (
    '#set page(width: 1pt) #read("/etc/passwd") #eval("1/0") [*b*] _i_ `c` $x$ @key <label> // \\u{0} "q" \\',
    '"}]}',
    "= Heading\n+ enum\n- list\n/ term: x",
)
OF_EACH_KIND: tuple[Block, ...] = (
    Heading("Mål"),
    Paragraph("Åse læser"),
    Quotation(("Første linje", "Anden linje"), "nb"),
    Rows((("Fra", "1. januar"), ("Til", "2. maj"))),
    Points((Item("Læser", ("Ansvarlig: familien",), ("på biblioteket",)),)),
    Grid(("Hvem", "Dag"), (("Familien", "1. januar"),)),
)


def a_document(*blocks: Block, language: Language = "da") -> Document:
    """Return a document with some blocks."""
    return Document("Samarbejdsaftale", language, "Kommunen, 1. januar", blocks)


@pytest.mark.parametrize("language", ["da", "nb", "en"])
async def test_a_document_is_accessible(language: Language) -> None:
    """It declares PDF/UA-1 (ISO 14289-1), and has a structure, its language and a title that is shown."""
    made = await pdf_of(a_document(*OF_EACH_KIND, language=language))

    assert made.startswith(b"%PDF-")
    assert b"<pdfuaid:part>1</pdfuaid:part>" in made
    assert b"/Marked true" in made
    assert b"/StructTreeRoot" in made
    assert f"/Lang({language})".encode() in made
    assert b"/DisplayDocTitle true" in made
    assert b"Samarbejdsaftale" in made


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_people_write_is_never_markup(text: str) -> None:
    """No word of a person changes the page, reads a file or breaks the document."""
    blocks = (Heading(text), Paragraph(text), Rows(((text, text),)), Points((Item(text, (text,), (text,)),)))
    made = await pdf_of(a_document(*blocks, Quotation((text,), "da"), Grid((text,), ((text,),))))

    assert b"<pdfuaid:part>1</pdfuaid:part>" in made
    assert set(re.findall(rb"/MediaBox\[([^]]*)", made)) == {b"0 0 595.2756 841.8898"}
    assert not any(b"root:" in one for one in _streams(made))


@pytest.mark.parametrize("text", ["Godt \U0001f642!", "\u4e2d\u6587 og \u0645\u0631\u062d", "\u200d\ufe0f"])
async def test_a_sign_without_a_letter_in_the_font_is_a_square(text: str) -> None:
    """A document that lacks a sign is better than none."""
    assert (await pdf_of(a_document(Paragraph(text)))).startswith(b"%PDF-")


async def test_a_long_text_runs_over_pages() -> None:
    """An agreement may have a hundred goals of four thousand signs."""
    made = await pdf_of(a_document(Points([Item("ord " * 1000) for _ in range(20)])))

    assert int(re.findall(rb"/Type/Pages/Count (\d+)", made)[0]) > 10


def _streams(pdf: bytes) -> list[bytes]:
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(stream))
        except zlib.error:
            found.append(stream)
    return found
