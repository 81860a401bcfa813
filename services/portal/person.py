"""The person who is signed in: what a session says of them, and by what the services know them."""

from typing import Final, Protocol
from uuid import UUID

from fastapi import Request
from msgspec import Struct

LANGUAGE_COOKIE: Final = "language"
"""The cookie that keeps the language that a person chose."""


class Person(Struct, frozen=True):
    """One person in one role; `sub` is the id by which the services know them in that role.

    `name` is shown to nobody but the person. `acr` is the assurance of the sign-in: low, substantial or high.
    `secret` is the session's own, for form keys; it never leaves the process but in the cookie.
    """

    tenant: str
    account_id: UUID
    role: str
    sub: UUID
    department_id: UUID | None = None
    organisation_id: UUID | None = None
    name: str = ""
    acr: str = "substantial"
    secret: bytes = b""
    session_id: UUID | None = None
    membership_id: UUID | None = None


class SignedIn(Protocol):
    """What pages need of sign-in: who asks, and a token to ask the services with."""

    async def person_of(self, request: Request) -> Person | None:
        """Return who is signed in, or None where nobody is or the session has ended."""
        ...

    async def token_of(self, person: Person) -> str:
        """Return a token of the person's session that is valid for another minute at least."""
        ...
