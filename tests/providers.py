"""OpenID providers that are not ours, for the tests of sign-in, and the browser of a person."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import aiohttp
from joserfc.jwk import ECKey, OKPKey, RSAKey

from services.kernel.sign_in_settings import ProviderSettings
from tests.node_tools import node_tools_folder

CLIENT: Final = "samspil"
BACK: Final = "http://127.0.0.1:8080/sign-in/back"
TENANT: Final = "0440"
CLIENTS: Final = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
"""The clients of the strict provider: one for each algorithm by which it can sign ID tokens."""


_MOCK: Final = """
import sys, datetime, oidc_provider_mock as mock
with mock.run_server_in_thread(access_token_max_age=datetime.timedelta(minutes=5)) as server:
    print(f"http://localhost:{server.server_port}", flush=True)
    sys.stdin.read()
"""


@contextmanager
def mock_provider() -> Iterator[str]:
    """Run PyPI's `oidc-provider-mock`; return its issuer."""
    with _running([sys.executable, "-W", "ignore", "-c", _MOCK]) as issuer:
        yield issuer


@contextmanager
def _running(command: list[Any]) -> Iterator[str]:
    """Run a program that says its address in one line, and ends with its input."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


@contextmanager
def strict_provider(folder: Path) -> Iterator[str]:
    """Run npm's `oidc-provider`, certified, in a strict profile; return its issuer."""
    key = ECKey.generate_key("P-256")
    (folder / "client.json").write_text(json.dumps(key.as_dict(private=True)))
    clients = [
        {
            "client_id": f"{CLIENT}-{algorithm}",
            "redirect_uris": [BACK],
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "ES256",
            "id_token_signed_response_alg": algorithm,
            "jwks": {"keys": [key.as_dict(private=False)]},
            "post_logout_redirect_uris": ["http://127.0.0.1:8080/sign-in"],
        }
        for algorithm in CLIENTS
    ]
    signing = (RSAKey.generate_key(2048), ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519"))
    for one in signing:
        one.ensure_kid()
    keys = {"keys": [{**one.as_dict(private=True), "use": "sig"} for one in signing]}
    command = ["node", node_tools_folder() / "oidc_provider.mjs", json.dumps(clients), json.dumps(keys)]
    with _running(command) as issuer:
        yield issuer


def strict_settings(issuer: str, folder: Path, algorithm: str = "ES256", **more: Any) -> ProviderSettings:
    """Return the settings by which the portal is a client of the strict provider."""
    return ProviderSettings(
        **{
            "issuer": issuer,
            "name": "Municipality",
            "client_id": f"{CLIENT}-{algorithm}",
            "key": folder / "client.json",
            "municipalities": frozenset({TENANT}),
            "people": frozenset({"staff"}),
            "claims": {"national_number": "pid"},
            **more,
        }
    )


class Browser:
    """Browser of one person: follows redirects with its cookies, and stops at the portal's address."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Use a session of its own."""
        self._session = session

    async def visit(
        self, url: str, *, who: str, acr: str = "substantial", stop: bool = False
    ) -> dict[str, str]:
        """Sign in at a provider as a person; return what its redirect to the portal says."""
        for _ in range(10):
            if url.startswith(BACK):
                return dict(parse_qsl(urlsplit(url).query))
            if urlsplit(url).path.startswith("/as/"):
                url += "?" + urlencode({"stop": 1} if stop else {"who": who, "acr": acr})
            url = urljoin(url, await self._step(url, who))
        raise AssertionError(url)

    async def _step(self, url: str, who: str) -> str:
        async with self._session.get(url, allow_redirects=False) as answer:
            if "location" in answer.headers:
                return answer.headers["location"]
        form = {"sub": who}
        async with self._session.post(url, data=form, allow_redirects=False) as answer:
            assert "location" in answer.headers, (answer.status, await answer.text())
            return answer.headers["location"]


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Lend a browser without cookies."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Browser(session)


def without(values: Mapping[str, str], *names: str) -> dict[str, str]:
    """Return an answer without some of its parameters."""
    return {name: value for name, value in values.items() if name not in names}
