"""What the command answers to one who asks it wrongly, and before anything is started."""

import re
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from services.kernel.serving import PortTaken, door_of
from tests.command_line import samspil


def _words(text: str) -> str:
    """Return what was said without the frame that it is printed in."""
    return re.sub(r"[\s─│╭╮╰╯]+", " ", text)


def test_version() -> None:
    """The version is that of the distribution."""
    assert samspil("--version").out.split() == ["samspil", version("samspil")]


@pytest.mark.parametrize("command", ["demo", "doctor"])
@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:8440", "ftp://127.0.0.1", "http://", ""])
def test_an_address_that_is_none(command: str, url: str) -> None:
    """Nobody waits for a server whose address cannot be one."""
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


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """The port is tried before the database and the broker are started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = [sys.executable, "-m", "services", "up", "--data", str(tmp_path), "--port", port]
        said = subprocess.run(up, capture_output=True, text=True, check=False)

    assert said.returncode == 3
    assert "This port cannot be had: choose another" in _words(said.stderr)
    assert "Address already in use" in _words(said.stderr)
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_ours(host: str) -> None:
    """A door can be had at an address of this machine only."""
    with pytest.raises(PortTaken, match=host):
        door_of(host, 0)


@pytest.mark.parametrize(
    ("words", "setting"),
    [(("topics",), "SAMSPIL_BOOTSTRAP"), (("lost", "referral"), "SAMSPIL_DATABASE")],
)
def test_a_server_that_was_not_named(words: tuple[str, ...], setting: str) -> None:
    """Who has set nothing reads what to set, and is not sent to look at a certificate."""
    said = samspil(*words)

    assert said.code == 3
    assert f"is named: set {setting}, or name a data folder" in _words(said.err)
