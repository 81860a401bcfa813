"""What the documents say is so: commands, tests, links, names of refusals, settings, libraries."""

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from typer.testing import CliRunner

from contracts.event import SERVICES
from services.cli.main import app
from services.kernel import metrics
from services.kernel.errors import Poison, Refused
from services.kernel.settings import Settings
from services.kernel.streams.parked import WAITING_ORDER
from tests.documents import (
    FILES,
    ROOT,
    Command,
    anchors_of,
    answers,
    called,
    commands,
    everywhere,
    kinds_of,
    names_in,
    section,
    status_of,
    table,
    text_of,
)

HOSTS = {"keepachangelog.com", "semver.org", "127.0.0.1"}
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users|var|opt|mnt|tmp)/|\bfile://")
LIBRARIES = {
    "runs the product": "",
    "runs the embedded mode": "embedded",
    "prepares an installation": "deploy",
    "works on the code": "dev",
}

each_document = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


@each_document
def test_every_command_and_its_options_exist(file: Path) -> None:
    """Whoever types what a document says is understood."""
    asked = [one for line in file.read_text(encoding="utf-8").splitlines() for one in called(line)]

    assert [words for words, _ in asked if words not in commands() and words != ("parked",)] == []
    assert [words for words, options in asked if options - commands().get(words, options)] == []


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_told_and_helps(words: Command) -> None:
    """Nothing that can be done has to be found by chance."""
    helped = CliRunner().invoke(app, [*words, "--help"])

    assert helped.exit_code == 0
    assert f"| `samspil {' '.join(words)}` |" in text_of("README.md")


@each_document
def test_every_target_of_make_exists(file: Path) -> None:
    """`make` knows what the documents ask of it."""
    targets = re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE)
    asked = re.findall(r"(?:`|^)make ([a-z]+)", file.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(asked) <= set(targets)


def test_every_promise_names_tests_that_exist() -> None:
    """A promise without its proof would be a wish."""
    parts = text_of("SECURITY.md").split("\n### ")[1:]
    promises = [row for part in parts for row in table(part, "promise", "proved by")]
    named = [re.findall(r"`([a-z]+/test_\w+\.py)::(test_\w+)`", proof) for _, proof in promises]

    assert named
    assert [promise for (promise, _), proof in zip(promises, named, strict=True) if not proof] == []
    assert [f"{file}::{test}" for proof in named for file, test in proof if test not in names_in(file)] == []


@each_document
def test_every_link_leads_somewhere(file: Path) -> None:
    """What is linked lies in the repository, under the heading that is named."""
    for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        aim = (file.parent / path).resolve() if path else file
        assert aim.is_relative_to(ROOT), target
        assert aim.exists(), target
        assert not anchor or anchor in anchors_of(aim), target


def test_the_answers_of_every_call_are_as_told() -> None:
    """Each name in the README is one that a server gives, with that status, and no general one lacks."""
    rows = table(text_of("README.md"), "status", "name", "says")
    told = {(int(status), name.strip("`")) for status, name, _ in rows}

    assert told - answers() == set()
    assert everywhere() - told == set()


@pytest.mark.parametrize("where", ["kernel", *SERVICES])
def test_every_refusal_is_told_in_its_own_words(where: str) -> None:
    """A program that integrates meets no refusal that the list does not have."""
    title = "Every service" if where == "kernel" else where.capitalize()
    parts = section(text_of("docs/problems.md"), title).split("| name | says |")[1:]
    told = {tuple(row) for part in parts for row in table(f"| name | says |{part}", "name", "says")}
    refusals = [kind for kind in kinds_of(Refused) if kind.__module__.split(".")[1] == where]
    codes = {409: "", 503: " (503)"}

    assert told == {(f"`{kind.code()}`", kind.title() + codes[status_of(kind)]) for kind in refusals}


@each_document
def test_no_machine_and_no_foreign_host_is_named(file: Path) -> None:
    """The documents are true on every machine."""
    text = file.read_text(encoding="utf-8")

    assert MACHINE.findall(text) == []
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= HOSTS


@each_document
def test_every_setting_and_every_metric_exists(file: Path) -> None:
    """A setting or a number that the program does not know would be looked for in vain."""
    text = file.read_text(encoding="utf-8")
    settings = {name.removesuffix("_FILE").lower() for name in re.findall(r"SAMSPIL_([A-Z_]*[A-Z])", text)}
    numbers = set(re.findall(r"`(samspil_[a-z_]+)`", text))
    families = [family.name for family in metrics.REGISTRY_OF_ALL.collect()]

    assert settings - set(Settings.model_fields) == set()
    assert numbers - {name + end for name in families for end in ("", "_total")} == set()


def test_every_reason_has_its_advice() -> None:
    """Whoever finds an event parked reads what its reason means."""
    reasons = " ".join(
        reason for reason, _, _ in table(text_of("docs/operations.md"), "reason", "means", "do")
    )

    assert set(re.findall(r"`(\w+)`", reasons)) == {*Poison.reasons, *WAITING_ORDER} - {"refused"}


def test_every_decision_is_numbered_dated_and_short() -> None:
    """Question, decision, why, cost and where: five lines each, and the files are there."""
    for number, part in enumerate(text_of("DECISIONS.md").split("\n## ")[1:], start=1):
        title, *lines = part.splitlines()
        keys = [line[2:].partition(":")[0] for line in lines if line.startswith("- ")]
        assert re.fullmatch(rf"{number}\. .+ \(\d{{4}}-\d\d-\d\d\)", title), title
        assert keys == ["Question", "Decided", "Why", "Cost", "Where"], title
        where = " ".join(line for line in lines if line.startswith("- Where"))
        assert all(any(ROOT.glob(path)) for path in re.findall(r"`([\w.*]+/[\w./*]*\w)/?`", where)), title


@pytest.mark.parametrize(("title", "group"), LIBRARIES.items())
def test_every_library_has_its_reason_and_licence(title: str, group: str) -> None:
    """What is taken from others is known, and the product itself takes nothing under GPL."""
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    names = {key: {re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0] for line in asked[key]} for key in asked}
    rows = table(text_of("DECISIONS.md"), title, "licence", "why")
    elsewhere = names[""] | names["embedded"] | names["deploy"] if group == "dev" else set()

    assert {row[0] for row in rows} == names[group] - elsewhere
    assert all(reason for _, _, reason in rows)
    assert group == "dev" or not [name for name, licence, _ in rows if "GPL" in licence]


def test_the_pictures_are_whole_and_can_be_read_aloud() -> None:
    """Each picture is well-formed, and says what it shows to whoever cannot see it."""
    pictures = sorted(ROOT.glob("docs/*.svg"))

    assert pictures
    for picture in pictures:
        parts = [part.tag.rpartition("}")[2] for part in ET.parse(picture).getroot()]  # noqa: S314  our own file
        assert parts[:2] == ["title", "desc"], picture.name


def test_the_catalogue_entry_keeps_the_standard() -> None:
    """Catalogues of public code can read the entry (publiccode.yml 0.4)."""
    entry = yaml.safe_load(text_of("publiccode.yml"))

    assert entry["publiccodeYmlVersion"] == "0.4"
    assert entry["legal"]["license"] == tomllib.loads(text_of("pyproject.toml"))["project"]["license"]
    assert [list(contact) for contact in entry["maintenance"]["contacts"]] == [["name"]]
    assert set(entry["localisation"]["availableLanguages"]) == set(entry["description"]) == {"da", "nb", "en"}
    for text in entry["description"].values():
        assert len(text["shortDescription"]) <= 150
        assert 150 <= len(text["longDescription"]) <= 10_000
        assert text["features"]
