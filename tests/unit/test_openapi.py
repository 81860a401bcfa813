"""The published OpenAPI document is one that others can read."""

import json

from openapi_spec_validator import validate

from services.openapi import FILE, document


def test_the_document_is_valid_openapi() -> None:
    """An independent validator finds nothing to say about the document."""
    published = json.loads(FILE.read_text(encoding="utf-8"))

    validate(published)

    assert published["openapi"].startswith("3.1")


def test_the_document_is_current() -> None:
    """What is committed is what the services answer."""
    assert FILE.read_text(encoding="utf-8") == document()


def test_every_command_says_how_it_is_done_once() -> None:
    """Each POST that changes something names its Idempotency-Key."""
    paths = json.loads(FILE.read_text(encoding="utf-8"))["paths"]
    commands = [call["post"] for call in paths.values() if "post" in call]

    without = [
        call["operationId"]
        for call in commands
        if "idempotency-key" not in {one["name"] for one in call["parameters"]}
    ]

    assert commands
    assert without == []
