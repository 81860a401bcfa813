"""A stand-in for Vault and OpenBao: their transit engine, by its documents."""

import asyncio
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from services.kernel.settings import Settings

TOKEN = "s.token-of-the-test"
PREFIX = "vault:v1:"


def paths_of(policy: str) -> dict[str, set[str]]:
    """Return the capabilities of a policy by path; a path ending in `*` stands for all that begin so."""
    found = re.findall(r'^path "([^"]+)" \{ capabilities = \[([^]]*)\] \}$', policy, re.MULTILINE)
    return {path: set(re.findall(r'"(\w+)"', capabilities)) for path, capabilities in found}


@dataclass
class Transit:
    """Transit engine: holds the versions of a key for each requested name, and records its requests."""

    port: int = 0
    sealed: bool = False
    silent: bool = False
    leads_to: str = ""
    """Where a request is redirected."""
    makes_keys: bool = True
    keys: dict[str, list[AESGCM]] = field(default_factory=dict)
    signing: dict[str, list[Ed25519PrivateKey]] = field(default_factory=dict)
    """The versions of each key of type `ed25519`."""
    requests: list[str] = field(default_factory=list)
    policies: dict[str, str] = field(
        default_factory=lambda: {TOKEN: 'path "*" { capabilities = ["update", "read"] }'}
    )
    """The policy of each token."""

    def settings(self, **more: Any) -> Settings:
        """Return the settings of a service that keeps its keys here."""
        return Settings(
            **{
                "mode": "test",
                "vault_url": f"http://127.0.0.1:{self.port}",
                "vault_token": SecretStr(TOKEN),
                **more,
            }
        )

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the engine does: encrypt, decrypt, or say why not."""
        what, name = request.match_info["what"], request.match_info["name"]
        self.requests.append(f"{what} {name}")
        if self.silent:
            await asyncio.Event().wait()
        if self.leads_to:
            raise web.HTTPTemporaryRedirect(self.leads_to)
        if self.sealed:
            return _no(503, "Vault is sealed")
        if not self._may(request.headers.get("X-Vault-Token", ""), f"transit/{what}/{name}"):
            return _no(403, "permission denied")
        body: dict[str, str] = await request.json()
        about = b64decode(body["associated_data"])
        if what == "encrypt":
            return self._encrypt(name, b64decode(body["plaintext"]), about)
        return self._decrypt(name, body["ciphertext"], about)

    async def sign(self, request: web.Request) -> web.Response:
        """Answer a signature by a version of a key, or say why not."""
        name = request.match_info["name"]
        if (no := self._refusal(request, f"transit/sign/{name}", "update")) is not None:
            return no
        body = await request.json()
        version = int(body.get("key_version", len(self.signing[name])))
        signature = self.signing[name][version - 1].sign(b64decode(body["input"]))
        return _data(signature=f"vault:v{version}:{b64encode(signature).decode()}")

    async def show(self, request: web.Request) -> web.Response:
        """Answer the public half of each version of a key, or say why not."""
        name = request.match_info["name"]
        if (no := self._refusal(request, f"transit/keys/{name}", "read")) is not None:
            return no
        public = [b64encode(key.public_key().public_bytes_raw()).decode() for key in self.signing[name]]
        keys = {str(number): {"public_key": one} for number, one in enumerate(public, start=1)}
        return _data(type="ed25519", keys=keys)

    def _refusal(self, request: web.Request, path: str, capability: str) -> web.Response | None:
        self.requests.append(path.removeprefix("transit/").replace("/", " "))
        if self.sealed:
            return _no(503, "Vault is sealed")
        if not self._may(request.headers.get("X-Vault-Token", ""), path, capability):
            return _no(403, "permission denied")
        return None if request.match_info["name"] in self.signing else _no(404)

    def rotate(self, name: str) -> None:
        """Add a version to a key, as `transit/keys/<name>/rotate` does; older ones still decrypt."""
        self.keys[name].append(AESGCM(AESGCM.generate_key(256)))

    def _may(self, token: str, path: str, capability: str = "update") -> bool:
        return any(
            capability in capabilities
            and (path == named or (named[-1] == "*" and path.startswith(named[:-1])))
            for named, capabilities in paths_of(self.policies.get(token, "")).items()
        )

    def _encrypt(self, name: str, plaintext: bytes, about: bytes) -> web.Response:
        if name not in self.keys:
            if not self.makes_keys:
                return _no(400, "encryption key not found")
            self.keys[name] = [AESGCM(AESGCM.generate_key(256))]
        nonce, version = secrets.token_bytes(12), len(self.keys[name])
        sealed = nonce + self.keys[name][-1].encrypt(nonce, plaintext, about)
        return _data(ciphertext=f"vault:v{version}:{b64encode(sealed).decode()}", key_version=version)

    def _decrypt(self, name: str, ciphertext: str, about: bytes) -> web.Response:
        if name not in self.keys:
            return _no(400, "encryption key not found")
        named = re.match(r"vault:v([0-9]+):", ciphertext)
        if named is None:
            return _no(400, "invalid ciphertext: no prefix")
        version = int(named[1])
        if not 0 < version <= len(self.keys[name]):
            return _no(400, "invalid ciphertext: version is too new")
        sealed = b64decode(ciphertext[named.end() :])
        try:
            plaintext = self.keys[name][version - 1].decrypt(sealed[:12], sealed[12:], about)
        except InvalidTag:
            return _no(400, "cipher: message authentication failed")
        return _data(plaintext=b64encode(plaintext).decode())


def _data(**data: object) -> web.Response:
    return web.json_response({"request_id": "1", "lease_id": "", "data": data, "warnings": None})


def _no(status: int, *errors: str) -> web.Response:
    return web.json_response({"errors": list(errors)}, status=status)


@asynccontextmanager
async def transit() -> AsyncIterator[Transit]:
    """Run the engine, mounted at `transit`, on a free loopback port while the block runs."""
    engine = Transit()
    app = web.Application()
    app.router.add_post("/v1/transit/{what:encrypt|decrypt}/{name}", engine.answer)
    app.router.add_post("/v1/transit/sign/{name}", engine.sign)
    app.router.add_get("/v1/transit/keys/{name}", engine.show)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        engine.port = runner.addresses[0][1]
        yield engine
    finally:
        await runner.cleanup()
