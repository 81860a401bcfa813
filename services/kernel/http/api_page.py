"""The page of the API: every operation for people, written from the OpenAPI document, without any script."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

CSP: Final = (
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_STYLE: Final = """\
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: #1a1a1a }
h2 { border-bottom: 2px solid; margin-top: 3rem }
h3 { margin-top: 2rem }
code, pre { background: #f3f3f3; font-size: .9rem; overflow-wrap: anywhere }
pre { overflow-x: auto; padding: .5rem }
table { border-collapse: collapse }
th, td { border: 1px solid #767676; padding: .25rem .5rem; text-align: left; vertical-align: top }
summary { cursor: pointer }
"""
_STYLE_PATH: Final = f"/docs/{hashlib.sha256(_STYLE.encode()).hexdigest()[:16]}.css"

Document = Mapping[str, Any]


def api_page_routes() -> APIRouter:
    """Return the routes of the page and its style sheet."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(
            page_of(request.app.openapi()), headers={"Content-Security-Policy": CSP, "Content-Language": "en"}
        )

    @router.get(_STYLE_PATH)
    async def style() -> Response:
        return Response(
            _STYLE, media_type="text/css", headers={"Cache-Control": "max-age=31536000, immutable"}
        )

    return router


def page_of(document: Document) -> str:
    """Return the page of an OpenAPI document."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    info = document["info"]
    title = f"{info['title']} API {info['version']}"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<link rel="stylesheet" href="{_STYLE_PATH}"></head><body><main><h1>{escape(title)}</h1>'
    yield f"<p>{escape(info['summary'])}</p><p>{_prose(info['description'])}</p>"
    yield '<p>The same for programs: <a href="/openapi.json">openapi.json</a>.</p>'
    yield '<nav aria-label="Contents"><ul>'
    for tag in document["tags"]:
        yield f'<li><a href="#{tag["name"]}">{tag["name"]}</a>: {_prose(tag["description"])}</li>'
    yield '<li><a href="#schemas">schemas</a></li></ul></nav>'
    for tag in document["tags"]:
        yield f'<h2 id="{tag["name"]}">{tag["name"]}</h2><p>{_prose(tag["description"])}</p>'
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(path, method, operation, document)
    yield '<h2 id="schemas">schemas</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield from _schema(name, schema)
    yield "</main></body></html>"


def _operation(path: str, method: str, operation: Document, document: Document) -> Iterator[str]:
    name = operation["operationId"]
    yield f'<h3 id="{name}">{name}</h3><p><code>{method.upper()} {escape(path)}</code></p>'
    yield f"<p>{_prose(operation['description'])}</p>"
    yield f"<p>Roles: {escape(', '.join(operation['x-roles']))}.</p>"
    yield f"<table><caption>Parameters</caption>{_row('name', 'in', 'required', 'meaning', cell='th')}"
    for given in operation["parameters"]:
        one = document["components"]["parameters"][_last(given["$ref"])] if "$ref" in given else given
        required = "yes" if one.get("required") else "no"
        meaning = _prose(one.get("description", ""))
        yield _row(f"<code>{one['name']}</code>", one["in"], required, meaning)
    yield "</table>"
    if "requestBody" in operation:
        yield from _content("Request", operation["requestBody"]["content"])
    for status, answer in operation["responses"].items():
        if "$ref" not in answer:
            headers = ", ".join(answer.get("headers", {}))
            yield from _content(f"Answer {status}, with the headers {headers}", answer["content"])
    yield f"<table><caption>Problems</caption>{_row('status', 'codes', cell='th')}"
    for status, codes in operation["x-problems"].items():
        yield _row(status, escape(", ".join(codes)))
    yield "</table>"


def _content(title: str, content: Document) -> Iterator[str]:
    for one in content.values():
        example = json.dumps(one["example"], indent=2, ensure_ascii=False)
        yield f"<details><summary>{escape(title)}: {_kind(one['schema'])}</summary>"
        yield f"<pre>{escape(example)}</pre></details>"


def _schema(name: str, schema: Document) -> Iterator[str]:
    yield f'<h3 id="schema-{name}">{name}</h3><p>{_prose(schema.get("description", ""))}</p>'
    yield f"<table><caption>Fields</caption>{_row('name', 'type', 'required', 'meaning', cell='th')}"
    for field, inner in schema.get("properties", {}).items():
        required = "yes" if field in schema.get("required", ()) else "no"
        meaning = _prose(inner.get("description", ""))
        yield _row(f"<code>{field}</code>", _kind(inner), required, meaning)
    yield "</table>"


def _row(*cells: str, cell: str = "td") -> str:
    return f"<tr>{''.join(f'<{cell}>{one}</{cell}>' for one in cells)}</tr>"


def _kind(schema: Document) -> str:
    """Return the type of a value in a few words, with a link to a schema that is described."""
    match schema:
        case {"$ref": str(ref)}:
            return f'<a href="#schema-{_last(ref)}">{_last(ref)}</a>'
        case {"anyOf": kinds}:
            return " or ".join(map(_kind, kinds))
        case {"type": "array", "items": items}:
            return f"list of {_kind(items)}"
        case {"enum": words}:
            return escape(", ".join(map(str, words)))
    return escape(str(schema.get("format") or schema.get("type", "")))


def _prose(text: str) -> str:
    """Return a text of the document as HTML: only code in backquotes is marked."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]
