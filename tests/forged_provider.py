"""A provider on the loopback address that answers whatever a test tells it to."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import OKPKey, RSAKey

from services.kernel.sign_in_settings import ProviderSettings
from services.portal.sign_in.claims import Identity
from services.portal.sign_in.client import Wanted, finish, new_attempt
from services.portal.sign_in.provider import Provider
from tests.providers import BACK, CLIENT, TENANT

RSA: Final = RSAKey.generate_key(2048)
OTHER: Final = RSAKey.generate_key(2048)


@dataclass
class Forged:
    """What the provider publishes and answers; the keys are those of its key set."""

    session: aiohttp.ClientSession
    folder: Path
    issuer: str = ""
    keys: list[RSAKey | OKPKey] = field(default_factory=lambda: [RSA])
    document: dict[str, Any] = field(default_factory=dict)
    token_status: int = 200
    id_token: str = ""
    monotonic: float = 1000.0
    reads: int = 0

    def settings(self, **more: Any) -> ProviderSettings:
        """Return the settings by which the portal is its client."""
        secret = self.folder / "secret"
        secret.write_text("of the tests")
        return ProviderSettings(
            **{
                "issuer": self.issuer,
                "name": "Forged",
                "client_id": CLIENT,
                "secret": secret,
                "municipalities": frozenset({TENANT}),
                "people": frozenset({"citizen"}),
                **more,
            }
        )

    def provider(self, *, plain: bool = True, **more: Any) -> Provider:
        """Return the portal's view of it, by a clock that a test moves."""
        return Provider(self.settings(**more), self.session, plain=plain, monotonic=lambda: self.monotonic)

    def claims(self, nonce: str | None, **more: object) -> dict[str, object]:
        """Return the claims of an ordinary ID token; one that is None is left out."""
        now = int(time.time())
        whole = {
            "iss": self.issuer,
            "sub": "anna",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "acr": "substantial",
            **more,
        }
        return {name: value for name, value in whole.items() if value is not None}

    async def sign_in(
        self, provider: Provider | None = None, *, token: str | None = None, **more: Any
    ) -> Identity:
        """Bring a code back; the provider answers with a token of these claims, or with a given text."""
        attempt = new_attempt(TENANT)
        key, head = more.pop("key", RSA), more.pop("head", {})
        again = bool(more.pop("again", False))
        claims = self.claims(**{"nonce": attempt.nonce, **more})
        self.id_token = jwt.encode({"alg": "RS256", **head}, claims, key) if token is None else token
        wanted = Wanted(again=again)
        return await finish(provider or self.provider(), attempt, BACK, wanted, {"code": "of the tests"})

    async def discovery(self, _: web.Request) -> web.Response:
        """Answer the discovery document."""
        self.reads += 1
        named = {name: f"{self.issuer}/{name}" for name in ("authorize", "token", "jwks")}
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": named["authorize"],
            "token_endpoint": named["token"],
            "jwks_uri": named["jwks"],
            **self.document,
        }
        return web.json_response({name: value for name, value in document.items() if value is not None})

    async def jwks(self, _: web.Request) -> web.Response:
        """Answer the key set."""
        for key in self.keys:
            key.ensure_kid()
        return web.json_response({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def token(self, _: web.Request) -> web.Response:
        """Answer the tokens of a code."""
        body = {"access_token": "of the tests", "id_token": self.id_token, "token_type": "Bearer"}
        return web.Response(text=json.dumps(body), status=self.token_status, content_type="application/json")


@asynccontextmanager
async def forged_provider(folder: Path) -> AsyncIterator[Forged]:
    """Run the provider on a free loopback port while the block runs."""
    async with aiohttp.ClientSession() as session:
        forged = Forged(session, folder)
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", forged.discovery)
        app.router.add_get("/jwks", forged.jwks)
        app.router.add_post("/token", forged.token)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            forged.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield forged
        finally:
            await runner.cleanup()
