"""The rights of an embedded installation on its machine: its files, and the names that it answers under."""

import asyncio
import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from smtplib import SMTP

import pytest

from services.kernel.embedded.mail_server import mail_server
from tests.raw_http import exchange
from tests.servers import scratch_folder
from tests.up import Server

pytestmark = pytest.mark.embedded
BEARER = json.dumps({"sub": "0199a000-0000-7000-8000-0000000000aa", "role": "operator", "tenant": "0440"})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run everything in a process of its own, which is started under the usual umask."""
    before = os.umask(0o022)
    try:
        with scratch_folder() as folder:
            started = Server(folder / "data")
            started.start()
            try:
                asyncio.run(started.ready())
                yield started
            finally:
                started.end(signal.SIGTERM)
    finally:
        os.umask(before)


def open_to_others(folder: Path) -> dict[str, str]:
    """Return what others than the owner have rights to, with its mode."""
    modes = {path: path.lstat().st_mode for path in (folder, *folder.rglob("*"))}
    return {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077 and not stat.S_ISLNK(mode)}


async def test_finding_14_no_file_of_the_data_folder_is_open_to_others(server: Server) -> None:
    """Finding 14: folder, logs, mails, keys, database and sockets belong to one user of the machine."""
    assert (server.folder / "keys" / "kek").exists()
    assert (server.folder / "samspil.log").exists()
    assert open_to_others(server.folder) == {}


async def test_finding_14_a_mail_is_kept_for_its_owner_alone() -> None:
    """Finding 14: a mail holds an address, also where the server was started under another umask."""

    def send(port: int) -> None:
        with SMTP("127.0.0.1", port) as client:
            client.sendmail("a@example.org", ["b@example.org"], "Subject: x\r\n\r\nx")

    with scratch_folder() as folder:
        before = os.umask(0)
        try:
            async with mail_server(folder / "mail") as port:
                await asyncio.to_thread(send, port)
        finally:
            os.umask(before)

        assert len(list((folder / "mail").iterdir())) == 1
        assert open_to_others(folder / "mail") == {}


async def test_finding_14_only_loopback_names_get_a_token(server: Server) -> None:
    """Finding 14: a web page whose name leads to 127.0.0.1 gets no token, nor anything else."""

    def request(host: str) -> bytes:
        head = f"POST /development/tokens HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        return f"{head}Connection: close\r\nContent-Length: {len(BEARER)}\r\n\r\n{BEARER}".encode()

    for name in ("127.0.0.1", "localhost", "[::1]"):
        assert (await exchange(server.port, request(f"{name}:{server.port}"))).statuses == [200]
    for host in ("evil.example", f"evil.example:{server.port}", "localhost", f"localhost:{server.port + 1}"):
        answer = await exchange(server.port, request(host))
        assert (answer.statuses, answer.slug) == ([421], "host-unknown")
