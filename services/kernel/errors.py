"""Errors: problem types, whose first docstring line is the title that a person reads (RFC 9457)."""

import re
from collections.abc import Iterable
from typing import ClassVar

_HUMPS = re.compile(r"(?<!^)(?=[A-Z])")


class ProblemError(Exception):
    """The request cannot be carried out."""

    slug: ClassVar[str] = ""
    detail: str

    def __init__(self, hint: str = "") -> None:
        """Take a hint of codes and numbers, never of personal data, that says what to do."""
        super().__init__(hint)
        self.detail = hint

    @classmethod
    def code(cls) -> str:
        """Return the stable name of this type: `ConsentMissing` is `consent-missing`; `slug` overrides it."""
        return cls.__dict__.get("slug") or _HUMPS.sub("-", cls.__name__).lower()

    @classmethod
    def title(cls) -> str:
        """Return the sentence that a person reads."""
        return (cls.__doc__ or "").strip().partition("\n")[0]


class Refused(ProblemError):
    """A rule says no."""


class InvalidTransition(Refused):
    """This step does not fit the state that the matter is in."""

    slug = "wrong-moment"


class NotAllowed(ProblemError):
    """You have no right to this."""


def roles_named(roles: Iterable[str]) -> str:
    """Return the hint of a `NotAllowed` that rests on the role alone."""
    return f"this is for: {', '.join(roles)}"


class NotFound(ProblemError):
    """There is nothing with this id, or nothing that you have a right to."""


class VersionConflict(ProblemError):
    """Somebody changed this after you saw it: read it again, then decide again."""

    slug = "stale"


class PreconditionRequired(ProblemError):
    """Say which version you saw, in the header If-Match."""

    slug = "version-missing"


class IdempotencyKeyMissing(ProblemError):
    """Send an Idempotency-Key, so that a repeated request is done once."""

    slug = "key-missing"


class IdempotencyKeyReused(ProblemError):
    """This Idempotency-Key was used for another request: choose a new one."""

    slug = "key-reused"


class ConsentUnknown(Refused):
    """What is known of consents is too old to be trusted: wait a moment and try again."""


class Unavailable(ProblemError):
    """Something that we need does not answer just now: try again in a moment."""


class ServerFailed(ProblemError):
    """An embedded server did not start or did not answer."""


class FolderInUse(ServerFailed):
    """Another running process owns this data folder: stop it, or name another folder."""


class AccessNotRecorded(ProblemError):
    """This cannot be shown, for its access cannot be put on record: an operator must see to it first."""


class Poison(ProblemError):
    """An event cannot be read or applied; it is parked with its reason."""

    reasons: ClassVar[tuple[str, ...]] = (
        "header", "source", "tenant", "body", "version", "gap", "divergence", "refused", "bug", "oversized",
        "held",
    )  # fmt: skip
