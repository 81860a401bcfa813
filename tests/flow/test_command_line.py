"""The command line where it meets ports, processes and servers."""

import json
import re
import signal
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from services.cli.main import ready_lines
from services.kernel.embedded.child_process import free_port, owned
from services.kernel.embedded.up import ServerInfo
from services.kernel.http.server import PortTaken, listening_socket
from tests.command_line import samspil
from tests.servers import scratch_folder
from tests.up import Server


def _words(text: str) -> str:
    """Return the printed words without the box around them."""
    return re.sub(r"[\s─│╭╮╰╯]+", " ", text)


def test_a_demo_empties_no_folder_but_its_own(tmp_path: Path) -> None:
    """A folder that holds anything else is not emptied."""
    (tmp_path / "letter").write_text("mine")
    (tmp_path / "clock").write_text("an hour glass")
    (tmp_path / "demo").mkdir()

    demo = [sys.executable, "-m", "demo", "--cases", "1", "--data", str(tmp_path)]
    said = subprocess.run(demo, capture_output=True, text=True, check=False)

    assert said.returncode == 2
    assert "name another folder" in _words(said.stderr)
    assert (tmp_path / "letter").read_text() == "mine"


@pytest.mark.parametrize("signal_sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_ended_stops_its_server(tmp_path: Path, signal_sent: signal.Signals) -> None:
    """A terminal that is closed, or a kill, leaves no server behind."""
    command = [sys.executable, "-m", "demo", "--cases", "1", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        addresses = (re.search(r"address +http://127.0.0.1:([0-9]+)", line) for line in demo.stdout)
        port = int(next(filter(None, addresses))[1])
        demo.send_signal(signal_sent)
        rest = demo.stdout.read()
        demo.wait(60)

    assert demo.returncode == 128 + signal_sent
    assert "Stopped." in rest
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """The port is tried before the database and the broker are started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = [sys.executable, "-m", "services.cli", "up", "--data", str(tmp_path), "--port", port]
        said = subprocess.run(up, capture_output=True, text=True, check=False)

    assert said.returncode == 3
    assert "This port is not available: choose another" in _words(said.stderr)
    assert "Address already in use" in _words(said.stderr)
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_ours(host: str) -> None:
    """A socket can be bound at an address of this machine only."""
    with pytest.raises(PortTaken, match=host):
        listening_socket(host, 0)


class OtherServer(BaseHTTPRequestHandler):
    """Answers everything with JSON that is not ours."""

    said = b"{}"

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_said: object) -> None:
        """Log nothing."""


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"{", b'{"reasons": ["x"]}', b'{"reasons": {"x": "y"}}'])
def test_another_server_is_recognised(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """The address of another server is reported as such."""
    monkeypatch.setattr(OtherServer, "said", answer)
    with HTTPServer(("127.0.0.1", 0), OtherServer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        said = samspil("doctor", "--url", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()

    assert said.code == 1
    assert "not as Samspil does" in _words(said.out)


def test_a_doctor_prefers_settings_to_the_folder_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Beside an embedded server's folder the settings of an installation count, where there are any."""
    (tmp_path / ".samspil").mkdir()
    (tmp_path / ".samspil" / "server.json").write_text("broken")
    monkeypatch.chdir(tmp_path)
    alone = samspil("doctor")
    monkeypatch.setenv("SAMSPIL_DATABASE", "postgresql://user@127.0.0.1:1/samspil")

    named = samspil("doctor")

    assert (alone.code, named.code) == (3, 1)
    assert "database of directory: does not answer" in _words(named.out)


def test_up_prints_where_it_is_how_time_moves_and_how_it_stops() -> None:
    """Address, folder and broker are true, and the printed calls move the clock by a day."""
    with scratch_folder() as folder:
        server = Server(folder / "data")
        server.start(stdout=subprocess.PIPE)
        try:
            lines = server.lines()
            started = [next(lines) for _ in range(8)]
            calls = "\n".join(started[-2:])
            moved = subprocess.run(["bash", "-c", calls], capture_output=True, text=True, check=True)
            info = json.loads((folder / "data" / "server.json").read_text(encoding="utf-8"))
            server.end(signal.SIGINT)
            stopped = list(lines)
        finally:
            server.end(signal.SIGKILL)

    assert re.fullmatch(r"Starting PostgreSQL, a broker and 8 services on .*/data \.\.\.", started[0])
    assert re.fullmatch(r"Ready in \d+\.\d s, stop with Ctrl-C\.", started[1])
    assert started[2].split() == ["address", server.url, "(API:", f"{server.url}/docs)"]
    assert started[3].split()[:2] == ["data", str(folder / "data")]
    assert started[4].split()[:2] == ["broker", info["bootstrap"]]
    assert "virtual: it stands at 2026-01-05T07:00:00+00:00" in started[5]
    assert json.loads(moved.stdout)["now"] == "2026-01-06T07:00:00Z"
    assert stopped == ["Stopped."]


def test_a_server_of_this_folder_is_found_and_a_stopped_one_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Commands find `.samspil` by themselves, and say what to do when its server does not run."""
    with scratch_folder() as folder:
        server = Server(folder / ".samspil")
        server.start(stdout=subprocess.PIPE)
        monkeypatch.chdir(folder)
        try:
            lines = server.lines()
            while not next(lines).startswith("Ready"):
                pass
            listed = samspil("parked", "list")
            server.end(signal.SIGINT)
            rest = list(lines)
        finally:
            server.end(signal.SIGKILL)
        doctor, stopped = samspil("doctor"), samspil("parked", "list")

    assert rest[-1] == "Stopped."
    assert (listed.code, doctor.code, stopped.code) == (0, 1, 3)
    assert "start it with `samspil up`" in _words(doctor.out)
    assert len(doctor.out.splitlines()) == 1
    assert "start it with `samspil up`" in _words(stopped.err)


def test_up_by_the_clock_of_the_machine_prints_no_way_to_move_it() -> None:
    """A call that would be refused is not offered."""
    info = ServerInfo("http://127.0.0.1:8440", Path("data"), "127.0.0.1:9092", virtual_now=None)

    lines = ready_lines(info)

    assert [line.split()[0] for line in lines] == ["address", "data", "broker", "clock"]
    assert lines[-1].split()[1:] == ["the", "machine's"]


def test_a_folder_that_is_in_use_is_refused() -> None:
    """A second server on a folder ends with what to do, and the first goes on."""
    with scratch_folder() as folder, owned(folder / "postgres", "postgres"):
        up = [sys.executable, "-m", "services.cli", "up", "--data", str(folder), "--port", str(free_port())]
        ended = subprocess.run(up, capture_output=True, text=True, check=False)

    assert ended.returncode == 3
    assert "Another running process owns this data folder" in _words(ended.stderr)
    assert "Ready" not in ended.stdout
