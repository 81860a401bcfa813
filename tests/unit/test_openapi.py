"""OpenAPI: the published document is valid, current and complete."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from openapi_spec_validator import validate

from services.kernel.http.fields import GIVEN
from services.publish.openapi import FILE, document
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
    documented = [{int(status) for status in call["responses"]} - {200, 201} for _, call in calls()]
    of_reads = statuses - {409, 412, 428}

    assert {frozenset(one) for one in documented} == {frozenset(statuses), frozenset(of_reads)}


def test_a_problem_response_has_the_shape_of_a_problem() -> None:
    """Media type, language, WWW-Authenticate and Retry-After are part of the document."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    responses = document["components"]["responses"]

    assert {next(iter(one["content"])) for one in responses.values()} == {"application/problem+json"}
    assert {status: set(one["headers"]) - {"Content-Language"} for status, one in responses.items()} == {
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
    assert [path for path, node in days if "formatMinimum" not in node or "formatMaximum" not in node] == []


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
