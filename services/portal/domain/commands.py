"""Commands of the portal's own: only sign-in and sign-out, every other is another service's."""

from msgspec import Struct


class SignIn(Struct, frozen=True):
    """Begin a session in one role, after the person has proven who they are by a method."""

    role: str
    assurance: str
    method: str


class SignOut(Struct, frozen=True):
    """End a session in one role before its time."""

    role: str
    reason: str
