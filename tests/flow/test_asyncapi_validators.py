"""The AsyncAPI document under the validator of the AsyncAPI initiative, on Node.js."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.asyncapi import document
from contracts.golden import Golden
from contracts.publish import ASYNCAPI
from contracts.registry import EVENTS
from tests.node_tools import run_node

Document = dict[str, Any]


@pytest.mark.usefixtures("node_tools")
def test_a_validator_of_others_takes_the_document() -> None:
    """The AsyncAPI initiative's own parser finds no error and no warning."""
    judged = run_node("validate.mjs", str(ASYNCAPI))

    assert (judged.returncode, json.loads(judged.stdout)) == (0, {str(ASYNCAPI): []}), judged.stderr


def sound(_: Document) -> None:
    """Change nothing."""


def without_info(broken: Document) -> None:
    """Leave out what every document must have."""
    del broken["info"]


def with_a_stranger(broken: Document) -> None:
    """Refer to a message that is nowhere."""
    broken["channels"]["referral"]["messages"]["stranger"] = {"$ref": "#/components/messages/stranger"}


def with_a_foreign_message(broken: Document) -> None:
    """Let a service send what belongs to another topic."""
    foreign = {"$ref": "#/channels/consent/messages/consent.given.v1"}
    broken["operations"]["referral.send"]["messages"].append(foreign)


def with_a_misspelt_binding(broken: Document) -> None:
    """Write a Kafka binding that does not exist."""
    broken["channels"]["referral"]["bindings"]["kafka"]["topics"] = "samspil.referral.v1"


def with_an_unknown_type(broken: Document) -> None:
    """Give a field a type that JSON Schema does not have."""
    broken["components"]["messages"]["referral.sent.v1"]["payload"]["properties"]["sent_at"]["type"] = "text"


@pytest.mark.usefixtures("node_tools")
def test_the_validator_refuses_broken_copies(tmp_path: Path) -> None:
    """A validator that takes everything would prove nothing."""
    few = {name: EVENTS[name] for name in ("referral.sent.v1", "consent.given.v1")}
    spoilers: tuple[Callable[[Document], None], ...] = (
        without_info,
        with_a_stranger,
        with_a_foreign_message,
        with_a_misspelt_binding,
        with_an_unknown_type,
    )
    copies = []
    for spoil in (sound, *spoilers):
        copy = json.loads(json.dumps(document(few, Golden())))
        spoil(copy)
        copies.append(tmp_path / f"{spoil.__name__}.json")
        copies[-1].write_text(json.dumps(copy), encoding="utf-8")

    judged = run_node("validate.mjs", *map(str, copies))

    wrong = {Path(path).stem: found for path, found in json.loads(judged.stdout).items()}
    assert judged.returncode == 1
    assert [name for name, found in wrong.items() if not found] == ["sound"]
    assert "info" in wrong["without_info"][0]
    assert any("stranger" in found for found in wrong["with_a_stranger"])
    assert any("topics" in found for found in wrong["with_a_misspelt_binding"])
