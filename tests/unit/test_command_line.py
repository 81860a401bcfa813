"""The command line: wrong use is refused before anything is started."""

import os
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.command_line import samspil


def _words(text: str) -> str:
    """Return the printed words without the box around them."""
    return re.sub(r"[\s─│╭╮╰╯]+", " ", text)


def test_version() -> None:
    """The version is that of the distribution."""
    assert samspil("--version").out.split() == ["samspil", version("samspil")]


@pytest.mark.parametrize("command", ["demo", "doctor"])
@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:8440", "ftp://127.0.0.1", "http://", ""])
def test_an_address_that_is_none(command: str, url: str) -> None:
    """A malformed address is refused before any request."""
    said = samspil(command, "--url", url)

    assert said.code == 2
    assert "an address as in http://127.0.0.1:8440" in _words(said.err)


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file stands where the folder should be: nothing is started, and the file stays."""
    file = tmp_path / "taken"
    file.write_text("mine")

    said = samspil("up", "--data", file)

    assert said.code == 2
    assert "File exists: name another folder" in _words(said.err)
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "setting"),
    [(("topics",), "SAMSPIL_BOOTSTRAP"), (("lost", "referral"), "SAMSPIL_DATABASE")],
)
def test_a_missing_setting_is_named(words: tuple[str, ...], setting: str) -> None:
    """Without settings the error names what to set."""
    said = samspil(*words)

    assert said.code == 3
    assert f"is named: set {setting}, or name a data folder" in _words(said.err)


BEYOND = 2**63


@pytest.mark.parametrize(
    "words",
    [
        ("parked", "show", "referral", BEYOND),
        ("parked", "show", "referral", 0),
        ("parked", "replay", "referral", BEYOND),
        ("parked", "follow", "referral", BEYOND),
        ("parked", "drop", "referral", BEYOND, "--because", "untrue"),
        ("parked", "drop", "referral", 1, "--because", "untrue", "--tenant", "٠٤٤٠"),
        ("parked", "list", "--most", BEYOND),
        ("resend", "referral", "--first", BEYOND),
        ("resend", "referral", "--last", BEYOND),
        ("resend", "referral", "--since", "0001-01-01T00:00:00+14:00"),
        ("resend", "referral", "--until", "9999-12-31T23:59:59-14:00"),
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_a_number_beyond_the_database_is_wrong_use(words: tuple[object, ...]) -> None:
    """It is refused before a database is opened."""
    assert samspil(*words).code == 2


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b"\xff"])
def test_an_unreadable_server_file_is_refused(tmp_path: Path, left: bytes) -> None:
    """The error names the file and the command that writes it again."""
    (tmp_path / "server.json").write_bytes(left)

    said = samspil("parked", "list", "--data", tmp_path)

    assert said.code == 3
    assert f"samspil up --data {tmp_path}" in _words(said.err).replace(" /", "/").replace(
        "--data/", "--data /"
    )


def test_a_file_instead_of_a_data_folder_is_refused(tmp_path: Path) -> None:
    """Nothing has run on it."""
    file = tmp_path / "file"
    file.touch()

    said = samspil("doctor", "--data", file)

    assert said.code == 3
    assert "No server has run on this data folder yet" in _words(said.err)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Work in an empty folder, without any setting."""
    for name in [name for name in os.environ if name.startswith("SAMSPIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("elsewhere")
def test_a_doctor_without_settings_says_what_to_name() -> None:
    """Wrong use: what is installed is examined, and the three ways to name a server are printed."""
    ended = samspil("doctor")

    assert ended.code == 2
    assert "✓ Python" in ended.out
    assert all(way in _words(ended.err) for way in ("--data", "--url", "SAMSPIL_DATABASE"))


@pytest.mark.usefixtures("elsewhere")
def test_a_doctor_without_settings_prints_json_for_programs() -> None:
    """Standard output holds JSON alone; what to name stands on standard error."""
    ended = samspil("doctor", "--json")

    assert (ended.code, ended.json["Python"]) == (2, "well")
    assert "SAMSPIL_DATABASE" in ended.err


def test_a_doctor_refuses_a_folder_without_a_server(elsewhere: Path) -> None:
    """A folder that is named and holds nothing does not count as the installation."""
    ended = samspil("doctor", "--data", elsewhere)

    assert ended.code == 3
    assert "No server has run on this data folder yet" in _words(ended.err)
    assert ended.out == ""


def test_an_unknown_clock_is_refused(elsewhere: Path) -> None:
    """Nothing is started."""
    ended = samspil("up", "--clock", "sundial")

    assert ended.code == 2
    assert "system or virtual" in _words(ended.err)
    assert list(elsewhere.iterdir()) == []
