"""Publishing: an allowed change is added to what was accepted, a break is refused and nothing is written."""

import json
from pathlib import Path
from typing import Annotated, ClassVar
from uuid import UUID

import pytest
from pydantic import Field

from contracts import publish
from contracts.event import Code, Event
from contracts.golden import Golden
from contracts.registry import EVENTS
from contracts.samples import NoSample


class Sent(Event):
    """Something was sent, as it was first written."""

    type: ClassVar[str] = "referral.tried.v1"

    referral_id: UUID


class SentWithChannel(Sent):
    """The same with an optional field."""

    channel: Code | None = None


class SentWithOffer(Sent):
    """The same with a required field."""

    offer_id: UUID


class SentByNumber(Event):
    """The same with a field of another type."""

    type: ClassVar[str] = "referral.tried.v1"

    referral_id: int


class SentWithChannelNumber(Sent):
    """The optional field, come back as something else."""

    channel: int | None = None


class Described(Event):
    """An event with free text, for which there is no example."""

    type: ClassVar[str] = "referral.described.v1"

    description: Annotated[str, Field(min_length=1)]


NAME = Sent.type


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    """A folder in which the first version of an event was accepted."""
    folder = Golden(tmp_path / "golden")
    publish.publish({NAME: Sent}, folder, tmp_path / "asyncapi.json")
    return folder


def published(golden: Golden) -> Path:
    """Return where the document beside a golden folder stands."""
    return golden.folder.parent / "asyncapi.json"


def test_publishing_twice_changes_nothing(golden: Golden) -> None:
    """What is current is left alone."""
    assert publish.publish({NAME: Sent}, golden, published(golden)) == ([], [])
    assert publish.check({NAME: Sent}, golden, published(golden)) == []


def test_an_allowed_change_is_added_and_the_first_one_kept(golden: Golden) -> None:
    """The history grows; the first day is still compared."""
    before = golden.history(NAME)

    assert publish.check({NAME: SentWithChannel}, golden, published(golden)) == [
        "referral.tried.v1: its class differs from what was accepted; run python -m contracts.publish"
    ]
    faults, written = publish.publish({NAME: SentWithChannel}, golden, published(golden))

    assert (faults, written) == ([], ["golden/referral.tried.v1.json", "asyncapi.json"])
    assert golden.history(NAME)[:1] == before
    assert [set(one.schema["properties"]) for one in golden.history(NAME)] == [
        {"referral_id"},
        {"referral_id", "channel"},
    ]
    assert publish.check({NAME: SentWithChannel}, golden, published(golden)) == []


@pytest.mark.parametrize("kind", [SentWithOffer, SentByNumber])
def test_a_break_is_refused_and_nothing_is_written(golden: Golden, kind: type[Event]) -> None:
    """Neither the schema nor the document moves; the error names where."""
    before = {path: path.read_bytes() for path in golden.folder.parent.rglob("*.json")}

    faults, written = publish.publish({NAME: kind}, golden, published(golden))

    assert written == []
    assert faults
    assert all(fault.startswith("referral.tried.v1: ") for fault in faults)
    assert publish.check({NAME: kind}, golden, published(golden)) == faults
    assert {path: path.read_bytes() for path in golden.folder.parent.rglob("*.json")} == before


def test_a_field_that_went_may_not_come_back_as_something_else(golden: Golden) -> None:
    """The oldest accepted schema still counts."""
    for kind in (SentWithChannel, Sent):
        assert publish.publish({NAME: kind}, golden, published(golden))[0] == []

    faults, _ = publish.publish({NAME: SentWithChannelNumber}, golden, published(golden))

    assert len(golden.history(NAME)) == 3
    assert any("channel: string is written" in fault for fault in faults)


def test_a_type_may_not_disappear(golden: Golden) -> None:
    """Its events are still in logs, and somebody replays them."""
    assert publish.publish({}, golden, published(golden)) == (
        ["referral.tried.v1: is gone, but its events are still in logs; keep its class"],
        [],
    )


def test_a_document_that_was_edited_by_hand_is_not_current(golden: Golden) -> None:
    """The document is made, never written."""
    published(golden).write_text("{}", encoding="utf-8")

    assert publish.check({NAME: Sent}, golden, published(golden)) == [
        "asyncapi.json is not current; run python -m contracts.publish"
    ]


def test_an_old_event_that_is_no_longer_read_is_reported(golden: Golden) -> None:
    """A stored event is held against the class itself, not only against schemas."""
    path = golden.folder / f"{NAME}.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    whole["accepted"][0]["sample"]["referral_id"] = "no id"
    path.write_text(json.dumps(whole), encoding="utf-8")

    (fault,) = golden.faults({NAME: Sent})

    assert fault.startswith("referral.tried.v1: the event of acceptance 1 is no longer read")


def test_free_text_cannot_be_published(tmp_path: Path) -> None:
    """There is no example for a sentence, and there will be none."""
    with pytest.raises(NoSample, match="description"):
        Golden(tmp_path / "golden").write({Described.type: Described})


def test_the_published_contracts_are_current() -> None:
    """Schemas and AsyncAPI document say what the classes say, and nothing is broken."""
    assert publish.check(EVENTS, Golden(), publish.ASYNCAPI) == []


def test_the_command_says_that_all_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever runs the check reads one plain line."""
    assert publish.main(["--check"]) == 0
    assert capsys.readouterr().out == "The contracts are current.\n"


def test_the_command_fails_on_a_break_and_gives_advice(
    golden: Golden, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code stops a pipeline, the text says what to do instead."""
    broken = {NAME: SentWithOffer}

    checked = publish.main(["--check"], events=broken, golden=golden, asyncapi=published(golden))
    written = publish.main([], events=broken, golden=golden, asyncapi=published(golden))
    said = capsys.readouterr().out

    assert (checked, written) == (1, 1)
    assert "referral.tried.v1: offer_id: is needed, but not always written" in said
    assert "make a new type that ends in .v2" in said


def test_the_command_names_what_it_wrote(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    """The one who publishes sees which files to commit."""
    code = publish.main([], events={NAME: SentWithChannel}, golden=golden, asyncapi=published(golden))

    assert code == 0
    assert capsys.readouterr().out == "wrote golden/referral.tried.v1.json\nwrote asyncapi.json\n"
