"""The page of the API: all of the document, without script, and nothing that a strict policy refuses."""

import json
from html.parser import HTMLParser
from typing import Any

from services.kernel.http.api_page import CSP, page_of
from services.publish.openapi import FILE

DOCUMENT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
EMPTY = {"link", "meta"}


class Reader(HTMLParser):
    """A reader of pages that knows which elements are open, and what was linked."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        assert self.open.pop() == tag


def test_the_page_shows_every_operation_and_schema() -> None:
    """What is in the document is on the page, every element is closed, and no link leads nowhere."""
    reader = Reader()
    reader.feed(page_of(DOCUMENT))
    calls = {one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()}

    assert reader.open == []
    assert calls <= {*reader.ids}
    assert {f"schema-{name}" for name in DOCUMENT["components"]["schemas"]} <= {*reader.ids}
    assert len({*reader.ids}) == len(reader.ids)
    assert {link[1:] for link in reader.links if link.startswith("#")} <= {*reader.ids}


def test_the_page_needs_no_script_and_no_inline_style() -> None:
    """A strict policy lets everything through that the page has."""
    reader = Reader()
    reader.feed(page_of(DOCUMENT))

    assert "script" not in reader.names
    assert "style" not in reader.names | reader.attributes
    assert not any(name.startswith("on") for name in reader.attributes)
    assert not any("//" in link for link in reader.links)
    assert "unsafe" not in CSP


def test_text_of_the_document_is_no_markup() -> None:
    """What looks like an element in a description is shown as it is written."""
    broken = json.loads(json.dumps(DOCUMENT))
    broken["info"]["description"] = "<script>alert(1)</script> `<b>`"

    page = page_of(broken)

    assert "<script" not in page
    assert "<code>&lt;b&gt;</code>" in page
