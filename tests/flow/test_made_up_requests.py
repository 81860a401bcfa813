"""Made-up requests against the running server: each response is in the OpenAPI document."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from services.kernel.embedded.child_process import free_port
from tests.servers import scratch_folder
from tests.waiting import until

ACTOR = UUID("0199a000-0000-7000-8000-0000000000aa")
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "allow_header_conformance",
    "unsupported_method", "ignored_auth",
)  # fmt: skip


def sent(url: str, path: str, body: object = None, **headers: str) -> bytes:
    """Return the answer to a request that is granted."""
    data = None if body is None else json.dumps(body).encode()
    headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url + path, data, headers)  # noqa: S310  our own address
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  our own address
        return bytes(answer.read())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Run all services in a process of their own until they are ready."""
    with scratch_folder() as folder:
        port = str(free_port())
        server = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "up", "--data", str(folder / "data"), "--port", port]
        )
        try:
            asyncio.run(ready(f"http://127.0.0.1:{port}"))
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


async def ready(url: str) -> None:
    """Wait until a server is."""

    async def answers() -> bool:
        try:
            return bool(await asyncio.to_thread(sent, url, "/ready"))
        except (urllib.error.URLError, OSError):
            return False

    await until(answers, seconds=120)


def token_of(role: str, url: str) -> str:
    """Return a token of somebody in a role."""
    bearer = {"sub": str(ACTOR), "role": role, "tenant": "0440", "department_id": str(ACTOR)}
    return f"Bearer {json.loads(sent(url, '/development/tokens', bearer))['token']}"


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("role", "calls"), [("caseworker", "^/(?!directory)"), ("administrator", "^/directory")]
)
def test_every_answer_is_documented(url: str, tmp_path: Path, role: str, calls: str) -> None:
    """Every call, with what is right, missing, too long or of another type: no bug, and no surprise."""
    key = {"Idempotency-Key": "1", "Authorization": token_of("administrator", url)}
    sent(url, "/directory/models/adopt", {"model": "kerteminde", "version": 1}, **key)
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "run", f"{url}/openapi.json", "-H", f"Authorization: {token_of(role, url)}"]
    options = [
        "--phases",
        "coverage",
        "--seed",
        "1",
        "--checks",
        ",".join(CHECKS),
        "--include-path-regex",
        calls,
    ]

    ran = subprocess.run(
        [*command, *options, "--no-color"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert ran.returncode == 0, ran.stdout[-8000:]
    assert int(re.findall(r"(\d+) generated", ran.stdout)[0]) > 400
