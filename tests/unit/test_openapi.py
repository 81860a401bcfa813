"""OpenAPI: the published document is valid, current and complete."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from contracts.fields import meanings
from contracts.registry import EVENTS
from services.kernel.http.fields import GIVEN
from services.kernel.http.openapi import OperationsUndeclared, require_declared
from services.kernel.http.openapi_schemas import undescribed
from services.kernel.issuer_settings import ROLES
from services.publish.openapi import FILE, document
from services.referral.app import SERVICE as REFERRAL
from services.referral.operations import OPERATIONS
from tests.documents import answers


def test_the_document_is_valid_openapi() -> None:
    """An independent validator finds no error in the document."""
    published = json.loads(FILE.read_text(encoding="utf-8"))

    validate(published)

    assert published["openapi"].startswith("3.1")


def test_the_document_is_current() -> None:
    """What is committed is what the services answer."""
    assert FILE.read_text(encoding="utf-8") == document()


def calls() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every call of the document, with its method."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    shared = document["components"]["parameters"]
    for method, operation in (each for methods in document["paths"].values() for each in methods.items()):
        parameters = [
            shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
            for one in operation["parameters"]
        ]
        yield method, {**operation, "parameters": parameters}


def test_every_command_requires_an_idempotency_key() -> None:
    """Each POST requires an Idempotency-Key, and a GET takes none."""
    keys = {
        (method, call["operationId"]): one["required"]
        for method, call in calls()
        for one in call["parameters"]
        if one["name"] == "idempotency-key"
    }

    assert keys.keys() == {(method, call["operationId"]) for method, call in calls() if method == "post"}
    assert set(keys.values()) == {True}


def test_every_operation_names_its_problem_responses() -> None:
    """A generated client knows each status of a rule, the request layer or an outage."""
    statuses = {status for status, _ in answers()} - {405}  # an undocumented method has no operation
    of_commands, of_bodies = {409, 412, 428}, {415}

    for method, call in calls():
        documented = {int(status) for status in call["responses"]} - {200, 201}
        left_out = (of_commands if method == "get" else set()) | (
            set() if "requestBody" in call else of_bodies
        )
        assert documented == statuses - left_out, call["operationId"]


def test_a_problem_response_has_the_shape_of_a_problem() -> None:
    """Media type, language, WWW-Authenticate and Retry-After are part of the document."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    responses = document["components"]["responses"]

    assert {next(iter(one["content"])) for one in responses.values()} == {"application/problem+json"}
    assert {
        status: set(one["headers"]) - {"Content-Language", "traceparent"} for status, one in responses.items()
    } == {
        **{status: set() for status in responses},
        "401": {"WWW-Authenticate"},
        "429": {"Retry-After"},
        "503": {"Retry-After"},
    }
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["security"] == [{"token": []}]


def values_in(
    node: object, shapes: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every plain value below a shape, with its path."""
    if isinstance(node, list):
        for one in node:
            yield from values_in(one, shapes, path)
    elif isinstance(node, dict) and "$ref" in node:
        yield from values_in(shapes[node["$ref"].rpartition("/")[2]], shapes, path)
    elif isinstance(node, dict):
        if "format" in node or "patternProperties" in node:
            yield path, node
        for name, one in node.items():
            yield from values_in(one, shapes, f"{path}/{name}")


def test_every_day_of_a_request_is_bounded() -> None:
    """Neither the year 1 nor the year 9999 reaches a rule that adds days to it."""
    shapes = json.loads(FILE.read_text(encoding="utf-8"))["components"]["schemas"]
    requests = [call.get("requestBody", {}) for _, call in calls()] + [
        call["parameters"] for _, call in calls()
    ]
    found = [(path, node) for one in requests for path, node in values_in(one, shapes)]
    days = [(path, node) for path, node in found if str(node.get("format")).startswith("date")]

    assert {node["format"] for _, node in days} == {"date", "date-time"}
    assert [path for path, node in days if "pattern" not in node] == []


def test_keys_that_have_a_pattern_are_the_only_ones() -> None:
    """Other keys are refused, and documented as such."""
    shapes = json.loads(FILE.read_text(encoding="utf-8"))["components"]["schemas"]
    patterned = [node for _, node in values_in([*shapes.values()], shapes) if "patternProperties" in node]

    assert patterned
    assert {node["additionalProperties"] for node in patterned} == {False}


def test_findings_1_and_2_every_id_in_a_body_is_one_that_was_given() -> None:
    """Finding 1, 2: no body takes an id of another form than the server gives."""
    shapes = json.loads(FILE.read_text(encoding="utf-8"))["components"]["schemas"]
    bodies = [call.get("requestBody", {}) for _, call in calls()]
    ids = [
        (path, node)
        for one in bodies
        for path, node in values_in(one, shapes)
        if node.get("format") == "uuid"
    ]

    assert len(ids) > 10
    assert [path for path, node in ids if node.get("pattern") != GIVEN] == []


def test_every_field_and_parameter_has_a_meaning_and_every_meaning_a_field() -> None:
    """A stranger reads what a field is; what describes nothing any more is taken out."""
    published = json.loads(FILE.read_text(encoding="utf-8"))
    events = {name for kind in EVENTS.values() for name in names_in(kind.model_json_schema())}
    used = (
        events | set(names_in(published)) | {one["name"] for _, call in calls() for one in call["parameters"]}
    )

    assert undescribed(published) == []
    assert {name for names in meanings().values() for name in names} - used == set()


def names_in(node: object) -> Iterator[str]:
    """Return the names of all fields below a schema."""
    if isinstance(node, dict):
        yield from node.get("properties", {})
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from names_in(one)


def test_every_call_has_an_example_that_its_schema_takes() -> None:
    """The examples of requests and answers are true ones."""
    published = json.loads(FILE.read_text(encoding="utf-8"))
    shapes = {"components": published["components"]}
    examples = [
        (call["operationId"], content)
        for _, call in calls()
        for one in [call.get("requestBody", {}), *call["responses"].values()]
        for content in one.get("content", {}).values()
    ]

    assert len(examples) >= len(list(calls()))
    for name, content in examples:
        validator = Draft202012Validator({**content["schema"], **shapes}, format_checker=FormatChecker())
        assert [fault.message for fault in validator.iter_errors(content["example"])] == [], name


def test_every_call_has_a_short_id_and_every_schema_a_title_of_its_own() -> None:
    """A generated client has one function a call, and one class a schema."""
    ids = [call["operationId"] for _, call in calls()]
    shapes = json.loads(FILE.read_text(encoding="utf-8"))["components"]["schemas"]

    assert len({*ids}) == len(ids)
    assert [one for one in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z]+){1,4}", one)] == []
    assert {name: shape["title"] for name, shape in shapes.items()} == {name: name for name in shapes}


def test_every_call_names_its_roles_and_its_problems() -> None:
    """Who may call, and which refusals may come, is part of the document."""
    codes = {f"urn:samspil:problem:{code}" for _, code in answers()}

    for _, call in calls():
        assert call["x-roles"], call["operationId"]
        assert {*call["x-roles"]} <= ROLES, call["operationId"]
        assert {
            f"urn:samspil:problem:{code}" for found in call["x-problems"].values() for code in found
        } <= codes


def test_the_refusals_of_a_call_are_those_of_its_steps() -> None:
    """A referral cannot be sent without a consent, nor where no place is free."""
    problems = {call["operationId"]: call["x-problems"].get("409", []) for _, call in calls()}

    assert {"consent-missing", "wrong-moment"} <= {*problems["sendReferral"]}
    assert "consent-missing" not in problems["openCase"]
    assert {code for found in problems.values() for code in found} > {"reason-unknown", "offer-unknown"}


def test_a_route_without_a_declaration_is_refused() -> None:
    """Refused is the default: a call for which nobody has named the roles is not served."""
    with pytest.raises(OperationsUndeclared, match="send"):
        require_declared(replace(REFERRAL, operations={**OPERATIONS, "unsend": OPERATIONS["send"]}))
