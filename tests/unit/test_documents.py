"""Documents against the code: commands, tests, links, paths, problem codes, settings, metrics, libraries."""

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
    DECISIONS,
    FILES,
    ROOT,
    Command,
    anchors_of,
    answers,
    called,
    commands,
    everywhere,
    exists,
    kinds_of,
    names_in,
    paths_in,
    section,
    status_of,
    table,
    text_of,
)

HOSTS = {
    "keepachangelog.com", "semver.org", "127.0.0.1",
    "idporten.no", "login.microsoftonline.com", "data.gov.dk", "broker.example.dk", "keycloak.example.dk",
}  # fmt: skip
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users|var|opt|mnt|tmp)/|\bfile://")
PRIVATE_WORDS = re.compile(
    r"\b(?:told|tells?|heard|hears?|weigh(?:s|ed)?|obeys?|desks?|bells?|lanes?|mend(?:s|ed)?)\b"
)
IN_DOMAIN_WORDS = {"municipality.md", "errors.md"}
"""Documents with the sentences of the domain: there a child is heard."""

LIBRARIES = {
    "runs the product": "",
    "runs the embedded mode": "embedded",
    "prepares an installation": "deploy",
    "works on the code": "dev",
}

each_document = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


@each_document
def test_every_command_and_its_options_exist(file: Path) -> None:
    """A command in a document can be typed as it is."""
    named = [one for line in file.read_text(encoding="utf-8").splitlines() for one in called(line)]

    assert [words for words, _ in named if words not in commands() and words != ("parked",)] == []
    assert [words for words, options in named if options - commands().get(words, options)] == []


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_documented_and_has_help(words: Command) -> None:
    """Every command of `samspil` is in the table of the command line."""
    shown = CliRunner().invoke(app, [*words, "--help"])

    assert shown.exit_code == 0
    assert f"| `samspil {' '.join(words)}` |" in text_of("docs/command-line.md")


@each_document
def test_every_target_of_make_exists(file: Path) -> None:
    """Every target of `make` in a document is in the Makefile."""
    targets = re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE)
    named = re.findall(r"(?:`|^)make ([a-z]+)", file.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(named) <= set(targets)


def test_every_promise_names_tests_that_exist() -> None:
    """Each promise of SECURITY.md names tests that prove it."""
    parts = text_of("SECURITY.md").split("\n### ")[1:]
    promises = [row for part in parts for row in table(part, "promise", "proved by")]
    named = [re.findall(r"`([a-z]+/test_\w+\.py)::(test_\w+)`", proof) for _, proof in promises]

    assert named
    assert [promise for (promise, _), proof in zip(promises, named, strict=True) if not proof] == []
    assert [f"{file}::{test}" for proof in named for file, test in proof if test not in names_in(file)] == []


def test_every_finding_has_its_fix_and_tests_that_exist() -> None:
    """Each finding of the security test is in SECURITY.md, in order, with what was done and what shows it."""
    findings = table(text_of("SECURITY.md"), "#", "finding", "fix", "test")
    named = [re.findall(r"`([a-z]+/test_\w+\.py)::(test_\w+)`", shown) for *_, shown in findings]

    assert [number for number, *_ in findings] == [str(number) for number in range(1, 16)]
    assert [f"{file}::{test}" for shown in named for file, test in shown if test not in names_in(file)] == []
    assert [
        number
        for (number, _, fix, _), shown in zip(findings, named, strict=True)
        if bool(shown) == (fix == "Not fixed yet")
    ] == []


@each_document
def test_every_link_leads_somewhere(file: Path) -> None:
    """The target of a link is in the repository, with its heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        aim = (file.parent / path).resolve() if path else file
        assert aim.is_relative_to(ROOT), target
        assert aim.exists(), target
        assert not anchor or anchor in anchors_of(aim), target


@each_document
def test_every_path_exists(file: Path) -> None:
    """A module or a file that a document names can be opened."""
    assert [path for path in paths_in(file.read_text(encoding="utf-8")) if not exists(path)] == []


def test_the_readme_is_short() -> None:
    """The README says what it is, how it is tried and where to go on, and no more."""
    assert len(text_of("README.md").splitlines()) <= 90


def test_every_term_of_the_glossary_is_explained_once() -> None:
    """One word for one thing: no term and no word of ours has two lines."""
    rows = table(text_of("ARCHITECTURE.md"), "term", "ours, where it differs", "is")
    words = [word for term, ours, _ in rows for word in (term, ours.strip("`")) if word]

    assert len(rows) >= 20
    assert sorted(words) == sorted(set(words))
    assert all(meaning for _, _, meaning in rows)


def test_the_errors_of_every_request_are_documented() -> None:
    """Each code is one that a server answers, with that status, and no general one is missing."""
    rows = table(text_of("docs/errors.md"), "status", "name", "says")
    documented = {(int(status), name.strip("`")) for status, name, _ in rows}

    assert documented - answers() == set()
    assert everywhere() - documented == set()


@pytest.mark.parametrize("where", ["kernel", *SERVICES])
def test_every_refusal_is_documented_in_its_own_words(where: str) -> None:
    """A program that integrates gets no refusal that the list does not have."""
    title = "Every service" if where == "kernel" else where.capitalize()
    parts = section(text_of("docs/errors.md"), title).split("| name | says |")[1:]
    documented = {tuple(row) for part in parts for row in table(f"| name | says |{part}", "name", "says")}
    refusals = [kind for kind in kinds_of(Refused) if kind.__module__.split(".")[1] == where]
    codes = {409: "", 503: " (503)"}

    assert documented == {(f"`{kind.code()}`", kind.title() + codes[status_of(kind)]) for kind in refusals}


@each_document
def test_no_machine_and_no_foreign_host_is_named(file: Path) -> None:
    """The documents are true on every machine."""
    text = file.read_text(encoding="utf-8")

    assert MACHINE.findall(text) == []
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= HOSTS


@each_document
def test_every_setting_and_every_metric_exists(file: Path) -> None:
    """A setting or a metric in a document is one of the program, or a value of the compose file."""
    text = file.read_text(encoding="utf-8")
    settings = {name.removesuffix("_FILE").lower() for name in re.findall(r"SAMSPIL_([A-Z_]*[A-Z])", text)}
    named = set(re.findall(r"`(samspil_[a-z_]+)`", text))
    families = [family.name for family in metrics.REGISTRY_OF_ALL.collect()]

    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    of_compose = {one.lower() for one in re.findall(r"\$\{SAMSPIL_(\w+?)(?:_FILE)?\b", compose)}
    assert settings - set(Settings.model_fields) - of_compose == set()
    assert named - {name + end for name in families for end in ("", "_total")} == set()


def test_every_reason_has_its_advice() -> None:
    """Each reason of a parked event is in the manual."""
    reasons = " ".join(
        reason for reason, _, _ in table(text_of("docs/operations.md"), "reason", "means", "do")
    )

    assert set(re.findall(r"`(\w+)`", reasons)) == {*Poison.reasons, *WAITING_ORDER} - {"refused"}


def test_every_decision_is_in_the_index_once() -> None:
    """The index of decisions links each document, with a line and its status."""
    rows = table(text_of("docs/decisions/README.md"), "thread", "says", "status")
    linked = [re.sub(r".*\((.+)\)", r"\1", thread) for thread, _, _ in rows]

    assert sorted(linked) == [file.name for file in DECISIONS]
    assert all(line and status for _, line, status in rows)


@pytest.mark.parametrize("file", DECISIONS, ids=lambda file: file.stem)
def test_every_decision_says_what_holds_and_why(file: Path) -> None:
    """Four sections and no diary: the present, its reason, its cost, and the code."""
    text = file.read_text(encoding="utf-8")

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["What holds", "Why", "Cost", "Where"]
    assert re.findall(r"\d{4}-\d\d-\d\d", text) == []
    assert re.findall(r"`(.+?)`", section(text, "Where"))


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.name not in IN_DOMAIN_WORDS], ids=lambda file: file.name
)
def test_technical_documents_use_the_terms_of_the_field(file: Path) -> None:
    """An engineer finds a mechanism by the word that they already know."""
    prose = re.sub(r"`[^`\n]*`", "", file.read_text(encoding="utf-8"))

    assert PRIVATE_WORDS.findall(prose) == []


@pytest.mark.parametrize(("title", "group"), LIBRARIES.items())
def test_every_library_has_its_reason_and_licence(title: str, group: str) -> None:
    """Each dependency is listed with its licence, and the product itself has none under GPL."""
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    declared = {"": project["dependencies"], **project["optional-dependencies"]}
    names = {
        key: {re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0] for line in declared[key]} for key in declared
    }
    rows = table(text_of("docs/decisions/libraries.md"), title, "licence", "why")
    elsewhere = names[""] | names["embedded"] | names["deploy"] if group == "dev" else set()

    assert {row[0] for row in rows} == names[group] - elsewhere
    assert all(reason for _, _, reason in rows)
    assert group == "dev" or not [name for name, licence, _ in rows if "GPL" in licence]


def test_the_pictures_are_whole_and_can_be_read_aloud() -> None:
    """Each picture is well-formed, and has a title and a description for screen readers."""
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
