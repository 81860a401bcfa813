"""Strangers' tools on the OpenAPI document: a linter, two generators of clients, and the page that begins."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from services.kernel.http.api_page import CSP
from services.publish.openapi import FILE
from tests.generator_tools import OPEN_CASE, PYTHON, generator
from tests.node_tools import run_program
from tests.up import Server

_QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


@pytest.mark.usefixtures("node_tools")
def test_redocly_finds_nothing_in_the_document() -> None:
    """Neither an error nor a warning of its recommended rules."""
    judged = run_program("@redocly/cli/bin/cli.js", "lint", str(FILE), "--format", "json", env=_QUIET)

    found = [(one["ruleId"], one["message"]) for one in json.loads(judged.stdout)["problems"]]
    assert (judged.returncode, found) == (0, []), judged.stderr


@pytest.mark.usefixtures("node_tools")
def test_a_typescript_client_compiles(tmp_path: Path) -> None:
    """Types generated from the document compile under `strict`, and know statuses and required headers."""
    made = run_program("openapi-typescript/bin/cli.js", str(FILE), "-o", str(tmp_path / "api.d.ts"))
    shutil.copy(Path(__file__).parents[1] / "node" / "client.ts", tmp_path)
    options = ["--noEmit", "--strict", "--noUncheckedIndexedAccess", "--skipLibCheck", "--lib", "es2022"]

    compiled = run_program("typescript/bin/tsc", *options, str(tmp_path / "client.ts"))

    assert made.returncode == 0, made.stdout + made.stderr
    assert "warn" not in (made.stdout + made.stderr).lower()
    assert (compiled.returncode, compiled.stdout) == (0, "")


def test_a_generated_python_client_opens_a_case_and_reads_it(server: Server, tmp_path: Path) -> None:
    """The generator leaves no operation out, and its client needs nothing beside the document."""
    folder = tmp_path / "stranger"
    command = [
        str(generator()),
        "generate",
        "--path",
        str(FILE),
        "--output-path",
        str(folder),
        "--meta",
        "none",
    ]
    (tmp_path / "config.json").write_text(json.dumps({"post_hooks": []}))

    made = subprocess.run(
        [*command, "--config", str(tmp_path / "config.json")], capture_output=True, text=True, check=False
    )
    ran = subprocess.run(
        [PYTHON, OPEN_CASE, tmp_path, server.url], capture_output=True, text=True, check=False
    )

    calls = sum(len(methods) for methods in json.loads(FILE.read_text(encoding="utf-8"))["paths"].values())
    assert (made.returncode, "warning" in (made.stdout + made.stderr).lower()) == (0, False), made.stdout
    assert len([one for one in folder.glob("api/*/*.py") if one.name != "__init__.py"]) == calls
    assert json.loads(ran.stdout or "{}") == {"first_name": "Test", "version": 1, "closed": False}, ran.stderr


def test_the_server_shows_the_page_of_the_api_and_answers_head(server: Server) -> None:
    """The page comes with its own style sheet and a policy without exceptions; HEAD is GET without a body."""
    with urllib.request.urlopen(f"{server.url}/docs", timeout=20) as page:  # noqa: S310  our own address
        text = page.read().decode()
    style = re.findall(r'href="(/docs/[^"]+)"', text)[0]
    head = urllib.request.Request(f"{server.url}{style}", method="HEAD")  # noqa: S310  the same

    with urllib.request.urlopen(head, timeout=20) as answer:  # noqa: S310  the same
        assert (answer.status, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
        assert (int(answer.headers["content-length"]) > 100, answer.read()) == (True, b"")
    assert page.headers["content-security-policy"] == CSP
    assert "acceptReferral" in text


def test_the_commands_of_the_quickstart_run(server: Server) -> None:
    """A stranger who copies the page's commands has a case at the end."""
    text = (Path(__file__).parents[2] / "docs" / "integrate.md").read_text(encoding="utf-8")
    script = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[0]

    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, "SERVER": server.url, "TENANT": "0480"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout[ran.stdout.rindex('{"case_id"') :])["facts"]["first_name"] == "Prøve"


def test_the_consumer_of_the_page_reads_what_has_happened(server: Server) -> None:
    """The twenty lines of the page print the events of the case that the quickstart opens."""
    page = (Path(__file__).parents[2] / "docs" / "integrate.md").read_text(encoding="utf-8")
    env = {**os.environ, "SERVER": server.url, "TENANT": "0430"}
    script = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[0]
    program = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    subprocess.run(["bash", "-euc", script], env=env, capture_output=True, check=True)
    broker = json.loads((server.folder / "server.json").read_text(encoding="utf-8"))["bootstrap"]

    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, env={**env, "BROKER": broker}, stdout=subprocess.PIPE, text=True
    ) as consumer:
        assert consumer.stdout is not None
        found = next((line for line in consumer.stdout if line.startswith("referral.case_opened.v1 ")), "")
        consumer.terminate()

    assert "'department_id': '" in found
    assert broker.rpartition(":")[2] == (server.folder / "broker.port").read_text(encoding="ascii")


def test_every_operation_of_the_quickstart_is_one_of_the_document() -> None:
    """The table of steps names operations that there are, with roles that may call them."""
    text = (Path(__file__).parents[2] / "docs" / "integrate.md").read_text(encoding="utf-8")
    calls = {
        one["operationId"]: {role.replace("_", " ") for role in one["x-roles"]}
        for methods in json.loads(FILE.read_text(encoding="utf-8"))["paths"].values()
        for one in methods.values()
    }
    rows = re.findall(r"^\| [^|]+ \| ([a-z, ]+) \| (`[^|]+`) \| [^|]+ \|$", text, re.MULTILINE)

    assert len(rows) > 15
    for roles, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert {*roles.split(", ")} <= calls[name], name
    assert {*re.findall(r"`([a-z]+[A-Z]\w+)`", text)} <= calls.keys()
