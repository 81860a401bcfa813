"""Cookies of sign-in: each holds a municipality's code and a secret that is stored as its digest only."""

import hashlib
import re
import secrets
from typing import Final, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request, Response

SESSION: Final = "session"
SIGN_IN: Final = "sign-in"
_FORM: Final = re.compile(r"([0-9]{4})\.([A-Za-z0-9_-]{43})", re.ASCII)
_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TEXT: Final = "text"
_BROWSERS: Final = (("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))


class Secret(NamedTuple):
    """A secret of one browser, at one municipality."""

    tenant: str
    text: str

    @classmethod
    def new(cls, tenant: str) -> Self:
        """Return a secret of 256 random bits."""
        return cls(tenant, secrets.token_urlsafe(_BYTES))

    @property
    def value(self) -> str:
        """The secret as a cookie holds it."""
        return f"{self.tenant}.{self.text}"

    @property
    def digest(self) -> bytes:
        """The digest under which its row is found."""
        return hashlib.sha256(self.text.encode()).digest()

    def sealed(self, text: str) -> bytes:
        """Return a text that only who has the secret can open."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.derived(_TEXT)).encrypt(nonce, text.encode(), self.tenant.encode())

    def opened(self, sealed: bytes) -> str:
        """Return a text that was sealed; empty where it was sealed under another secret."""
        cipher = AESGCM(self.derived(_TEXT))
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self.tenant.encode()).decode()
        except InvalidTag:
            return ""

    def derived(self, purpose: str) -> bytes:
        """Return a key of 256 bits that only who has the secret can make."""
        return hashlib.sha256(f"{purpose}\0{self.text}".encode()).digest()


def secret_of(text: str | None) -> Secret | None:
    """Return the secret that a cookie or a state holds; None for anything else."""
    found = _FORM.fullmatch(text or "")
    return Secret(found[1], found[2]) if found else None


class Cookies:
    """Cookies of one site: bound to its host and to TLS where its address is https."""

    def __init__(self, public_url: str) -> None:
        """Take the address under which browsers reach the site."""
        self.secure = public_url.lower().startswith("https://")

    def read(self, request: Request, name: str) -> Secret | None:
        """Return the secret of a request's cookie."""
        return secret_of(request.cookies.get(self.named(name)))

    def write(self, response: Response, name: str, secret: Secret) -> None:
        """Set a cookie until the browser closes; no script reads it, no other site sends it with a form."""
        response.set_cookie(
            self.named(name), secret.value, path="/", httponly=True, samesite="lax", secure=self.secure
        )

    def delete(self, response: Response, name: str) -> None:
        """Delete a cookie."""
        response.delete_cookie(self.named(name), path="/", httponly=True, samesite="lax", secure=self.secure)

    def named(self, name: str) -> str:
        """Return a cookie's full name; the prefix keeps other hosts from setting it (RFC 6265bis)."""
        return f"__Host-{name}" if self.secure else name


def browser_of(request: Request) -> str:
    """Return the family of a request's browser, which its owner recognises; nothing else of it is kept."""
    agent = request.headers.get("user-agent", "")
    return next((name for mark, name in _BROWSERS if mark in agent), "")
