"""Typesetting of documents: a title and blocks of text become an accessible PDF (PDF/UA-1, ISO 14289-1)."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import typst
from msgspec import Struct

from contracts.model_parts import Language

_TEMPLATE: Final = (Path(__file__).parent / "document.typ").read_bytes()
_FONTS: Final = typst.Fonts(include_system_fonts=False)
_NO_SIGN: Final = re.compile('the text `"(.+?)"` could not be displayed')
_REPLACEMENT: Final = "\N{WHITE SQUARE}"
_MOST_REPLACED: Final = 50


class Heading(Struct, frozen=True, tag="heading", tag_field="kind"):
    """A heading inside the document."""

    text: str


class Paragraph(Struct, frozen=True, tag="paragraph", tag_field="kind"):
    """A paragraph."""

    text: str


class Quotation(Struct, frozen=True, tag="quotation", tag_field="kind"):
    """What was written elsewhere, in its own language."""

    paragraphs: Sequence[str]
    language: str


class Rows(Struct, frozen=True, tag="rows", tag_field="kind"):
    """Words with what they stand for, one under the other."""

    rows: Sequence[tuple[str, str]]


class Item(Struct, frozen=True):
    """One point of a list, with remarks and smaller points under it."""

    text: str
    notes: Sequence[str] = ()
    parts: Sequence[str] = ()


class Points(Struct, frozen=True, tag="list", tag_field="kind"):
    """A list of points."""

    items: Sequence[Item]


class Grid(Struct, frozen=True, tag="table", tag_field="kind"):
    """A table; every line has as many cells as the head."""

    head: Sequence[str]
    lines: Sequence[Sequence[str]]


Block = Heading | Paragraph | Quotation | Rows | Points | Grid


class Document(Struct, frozen=True):
    """A document as it is read: its title names nobody; `from_` says who has made it, and when."""

    title: str
    language: Language
    from_: str = msgspec.field(name="from")
    blocks: Sequence[Block] = ()


async def pdf_of(document: Document) -> bytes:
    """Return a document as PDF, made in a thread of its own.

    A sign that the font does not have is shown as an empty square, since PDF/UA knows no other way.
    """
    return await asyncio.to_thread(_typeset, msgspec.json.encode(document).decode())


def _typeset(data: str) -> bytes:
    for _ in range(_MOST_REPLACED):
        try:
            return _compiled(data)
        except typst.TypstError as error:
            missing = _NO_SIGN.search(error.message)
            if missing is None:
                raise
            if missing[1] not in data:  # it is written otherwise in the message
                break
            data = data.replace(missing[1], _REPLACEMENT)
    return _compiled(re.sub(r"[^\x20-\u024f]", _REPLACEMENT, data))


def _compiled(data: str) -> bytes:
    made = typst.compile(
        _TEMPLATE,
        format="pdf",
        sys_inputs={"data": data},
        pdf_standards=["ua-1"],
        font_paths=_FONTS,
        ignore_system_fonts=True,
    )
    if not isinstance(made, bytes):
        raise TypeError("Typst gave no single file")
    return made
