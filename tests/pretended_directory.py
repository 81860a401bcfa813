"""A stand-in for the directory: answers who has an identity, and takes the codes of invitations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiohttp import web

ACCOUNT = UUID("0199a000-0000-7000-8000-0000000000a1")
CODE = "KXQT-7M2P"


def membership(role: str, sub: UUID = ACCOUNT, **more: Any) -> dict[str, Any]:
    """Return a role as the directory answers it."""
    return {"membership_id": str(sub), "role": role, "sub": str(sub), "label": "", **more}


@dataclass
class PretendedDirectory:
    """The directory: roles by subject, and what it was asked."""

    roles: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    silent: bool = False
    port: int = 0

    async def sign_in(self, request: web.Request) -> web.Response:
        """Answer whose identity it is."""
        body = await self._asked(request)
        if body["subject"] not in self.roles:
            return _problem(404, "not-found", "There is nothing with this id.")
        return self._account(body["subject"])

    async def redeem(self, request: web.Request) -> web.Response:
        """Take a code."""
        body = await self._asked(request)
        if body["code"] != CODE:
            return _problem(409, "code-unknown", "This code is not right, or was used.")
        self.roles.setdefault(body["subject"], [membership("coordinator")])
        return self._account(body["subject"])

    def _account(self, subject: str) -> web.Response:
        return web.json_response({"account_id": str(ACCOUNT), "memberships": self.roles[subject]})

    async def _asked(self, request: web.Request) -> dict[str, str]:
        if self.silent:
            raise web.HTTPServiceUnavailable
        body: dict[str, str] = await request.json()
        self.asked.append((request.path, body, request.headers["Authorization"].removeprefix("Bearer ")))
        return body


def _problem(status: int, code: str, title: str) -> web.Response:
    body = {"type": f"urn:samspil:problem:{code}", "title": title, "status": status}
    return web.json_response(body, status=status, content_type="application/problem+json")


@asynccontextmanager
async def pretended_directory() -> AsyncIterator[PretendedDirectory]:
    """Run it on a free loopback port while the block runs."""
    directory = PretendedDirectory()
    app = web.Application()
    app.router.add_post("/directory/sign-in", directory.sign_in)
    app.router.add_post("/directory/invitations/redeem", directory.redeem)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        directory.port = runner.addresses[0][1]
        yield directory
    finally:
        await runner.cleanup()
