"""A word planted in every field of every request comes back in no error (finding 14)."""

import json
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import aiohttp
import pytest

from services.kernel.ids import new_id
from tests.servers import scratch_folder
from tests.up import Server

pytestmark = pytest.mark.embedded
WORD: Final = "zyxflegni"
"""It has the form of a code, so that it gets as far as the rules where a code is asked for."""

ROLES: Final = (
    "caseworker", "administrator", "coordinator", "guardian", "young_person", "leader", "auditor", "operator",
    "bridge_builder", "portal",
)  # fmt: skip
_ASKING: Final = 2
"""How many of the roles that may call an operation do, besides one that may not."""


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Run all services in a process of their own."""
    with scratch_folder() as folder:
        started = Server(folder / "data")
        started.start()
        try:
            await started.ready()
            yield started
        finally:
            started.end(signal.SIGTERM)


def valid(shape: Mapping[str, Any], shapes: Mapping[str, Any]) -> Any:  # noqa: PLR0911  one for each kind
    """Return a value of a schema whose texts are the planted word wherever its pattern takes it."""
    if "$ref" in shape:
        return valid(shapes[shape["$ref"].rpartition("/")[2]], shapes)
    if "anyOf" in shape or "oneOf" in shape:
        return valid((shape.get("anyOf") or shape["oneOf"])[0], shapes)
    if "enum" in shape or "const" in shape:
        return shape.get("const", shape.get("enum", [None])[0])
    match shape.get("type"):
        case "object":
            fields = {name: valid(one, shapes) for name, one in shape.get("properties", {}).items()}
            others = shape.get("additionalProperties")
            return fields or {WORD: valid(others, shapes) if isinstance(others, dict) else WORD}
        case "array":
            return [valid(shape.get("items", {}), shapes)]
        case "string":
            formats = {"uuid": str(new_id()), "date": "2026-02-28", "date-time": "2026-02-28T10:00:00Z"}
            return formats.get(shape.get("format", ""), _of_pattern(shape.get("pattern", "")))
        case "integer" | "number":
            return shape.get("minimum", 1)
        case "boolean":
            return True
    return WORD


def _of_pattern(pattern: str) -> str:
    return {"^[0-9]{4}$": "0440", "^[0-9a-f]{64}$": "0" * 64}.get(pattern, WORD)


def spoiled(value: Any) -> Iterator[Any]:
    """Yield a body with one value after the other replaced by the word, and with the word as a key."""
    yield WORD
    if isinstance(value, dict):
        yield {**value, WORD: WORD}
        for name, part in value.items():
            yield from ({**value, name: one} for one in spoiled(part))
    elif isinstance(value, list) and value:
        yield from ([one] for one in spoiled(value[0]))


def requests_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Mapping[str, Any]]]:
    """Yield method, address and body of made-up requests, with the operation of each."""
    shapes = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts = path.split("/")
            ids = "/".join(str(new_id()) if part.startswith("{") else part for part in parts)
            words = "/".join(WORD if part.startswith("{") else part for part in parts)
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            body = valid(content["schema"], shapes) if content else None
            names = [one["name"] for one in operation["parameters"] if one.get("in") == "query"]
            query = "&".join(f"{name}={WORD}" for name in [*names, WORD])
            yield method, ids, body, operation
            yield method, f"{words}?{query}", body, operation
            yield method, f"{ids}?{query}", body, operation
            yield from ((method, ids, one, operation) for one in spoiled(body) if content)


def roles_for(operation: Mapping[str, Any]) -> tuple[str, ...]:
    """Return some of the roles that may call an operation, and one that may not."""
    may = [role for role in ROLES if role in operation["x-roles"]]
    return (*may[:_ASKING], *[role for role in ROLES if role not in may][:1])


async def test_finding_14_no_error_repeats_a_planted_word(server: Server) -> None:
    """Finding 14: in the path, the query, a header, a key or a value, right or wrong in form."""
    async with aiohttp.ClientSession(server.url) as session:
        tokens = {role: await token_of(session, role) for role in ROLES}
        adopt = {"Idempotency-Key": "1", "Authorization": f"Bearer {tokens['administrator']}"}
        model = {"model": "kerteminde", "version": 1}
        async with session.post("/directory/models/adopt", json=model, headers=adopt) as answer:
            assert answer.status == 200
        async with session.get("/openapi.json") as answer:
            document = await answer.json()
        refused: dict[int, int] = {}
        unread: set[str] = set()
        for method, path, body, operation in requests_of(document):
            roles = roles_for(operation)
            for role in roles if body is None or isinstance(body, dict) else roles[:1]:
                headers = {"Authorization": f"Bearer {tokens[role]}", "Idempotency-Key": str(new_id())}
                status, said = await sent(session, method, path, body, headers)
                if status >= 400:
                    assert WORD not in said, (method, path, body, said)
                    refused[status] = refused.get(status, 0) + 1
                if status == 422:
                    unread.add(operation["operationId"])
        for name in (
            "If-Match",
            "Accept-Language",
            "Authorization",
            "Content-Type",
            "X-Other",
            "traceparent",
        ):
            headers = {"Authorization": f"Bearer {tokens['caseworker']}", "Idempotency-Key": WORD, name: WORD}
            _, said = await sent(session, "post", f"/consent/cases/{new_id()}/custody", {}, headers)
            assert WORD not in said

    assert {404, 409, 422} <= refused.keys()
    assert with_body(document) - unread == set()
    assert 500 not in refused


def with_body(document: Mapping[str, Any]) -> set[str]:
    """Return the operations that take a body: each of them refuses one that is not as agreed."""
    operations = (one for path in document["paths"].values() for one in path.values())
    return {one["operationId"] for one in operations if "requestBody" in one}


async def sent(
    session: aiohttp.ClientSession, method: str, path: str, body: object, headers: Mapping[str, str]
) -> tuple[int, str]:
    """Send a request; return status, and what the response says in lower case, headers too."""
    data = None if body is None else json.dumps(body)
    usual = {"Content-Type": "application/json"} if data else {}
    async with session.request(method, path, data=data, headers={**usual, **headers}) as answer:
        text = f"{dict(answer.headers)} {await answer.text()}"
    return answer.status, text.lower()


async def token_of(session: aiohttp.ClientSession, role: str) -> str:
    """Return a token of somebody in a role."""
    person = str(UUID(int=ROLES.index(role) + 1))
    bearer = {"sub": person, "role": role, "tenant": "0440", "organisation_id": person, "acr": "high"}
    async with session.post("/development/tokens", json={**bearer, "department_id": person}) as answer:
        return str((await answer.json())["token"])
