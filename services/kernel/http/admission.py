"""Admission of a request before any route sees it: its address, its headers, its host, and its rate."""

import re
from typing import Final

from fastapi import FastAPI
from starlette.types import Scope

from services.kernel.errors import ProblemError
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.rate_limits import RateLimits
from services.kernel.http.refusals import AddressUnreadable, HostUnknown, RequestUnreadable, TooManyRequests
from services.kernel.settings import Settings

_PROBES: Final = frozenset({"/live", "/ready"})
"""Never refused for their rate: an orchestrator would take the service for dead."""

_UNSAFE_IN_PATH: Final = re.compile(rb"%(2f|5c|[01][0-9a-f]|7f)|\\", re.IGNORECASE)
_ONCE_ONLY: Final = frozenset({
    b"host", b"authorization", b"content-type", b"content-length", b"idempotency-key", b"if-match",
})  # fmt: skip
_PORT: Final = re.compile(r":[0-9]+$")


class Admission:
    """What a process admits; `rates` counts the requests of verified persons."""

    def __init__(self, settings: Settings) -> None:
        """Take hosts and limits from the settings."""
        self.rates = RateLimits(settings)
        self._hosts = frozenset(one.strip().lower() for one in settings.http_hosts.split(",") if one.strip())

    async def check(self, scope: Scope) -> None:
        """Raise `AddressUnreadable`, `RequestUnreadable`, `HostUnknown` or `TooManyRequests`."""
        if _UNSAFE_IN_PATH.search(scope["raw_path"]):
            raise AddressUnreadable
        seen: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _ONCE_ONLY:
                if name in seen:
                    raise RequestUnreadable
                seen[name] = value
        if b"host" not in seen and scope["http_version"] == "1.1":
            raise RequestUnreadable
        if self._hosts and not self._names_us(seen.get(b"host", b"").decode("latin-1").strip().lower()):
            raise HostUnknown
        await self._check_rate(scope, seen.get(b"authorization"))

    def count(self, scope: Scope) -> None:
        """Count a request at its address, unless its token was good: then it counts for its person."""
        if "tenant" not in scope.get("state", {}) and scope["path"] not in _PROBES:
            self.rates.take_address(_client(scope))

    def _names_us(self, host: str) -> bool:
        return host in self._hosts or _PORT.sub("", host) in self._hosts

    async def _check_rate(self, scope: Scope, authorization: bytes | None) -> None:
        """Refuse an address that has sent too many requests without a valid token, except with one."""
        wait = self.rates.address_wait(_client(scope))
        if wait and scope["path"] not in _PROBES and not await _is_verified(scope["app"], authorization):
            raise TooManyRequests(wait)


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


async def _is_verified(app: FastAPI, authorization: bytes | None) -> bool:
    verifier: TokenVerifier = app.state.token_verifier
    try:
        await verifier.authenticate(authorization.decode("latin-1") if authorization else None)
    except ProblemError:
        return False
    return True
