"""The kinds of no: each class's first line is the sentence that a person reads."""

import re
from typing import ClassVar

_HUMPS = re.compile(r"(?<!^)(?=[A-Z])")


class No(Exception):
    """What was asked cannot be done."""

    hint: str

    def __init__(self, hint: str = "") -> None:
        """Take a hint of codes and numbers, never of personal data, that says what to do."""
        super().__init__(hint)
        self.hint = hint

    @classmethod
    def slug(cls) -> str:
        """Return the stable name of this answer: `ConsentMissing` is `consent-missing`."""
        return _HUMPS.sub("-", cls.__name__).lower()

    @classmethod
    def sentence(cls) -> str:
        """Return the sentence that a person reads."""
        return (cls.__doc__ or "").strip().partition("\n")[0]


class Refused(No):
    """A rule says no."""


class WrongMoment(Refused):
    """This step does not fit the state that the matter is in."""


class NotAllowed(No):
    """You have no right to this."""


class Missing(No):
    """There is nothing with this id."""


class Stale(No):
    """Somebody changed this after you saw it: read it again, then decide again."""


class VersionMissing(No):
    """Say which version you saw, in the header If-Match."""


class KeyMissing(No):
    """Send an Idempotency-Key, so that a repeated request is done once."""


class KeyReused(No):
    """This Idempotency-Key was used for another request: choose a new one."""


class ConsentUnknown(Refused):
    """What is known of consents is too old to be trusted: wait a moment and try again."""


class Poison(No):
    """An event cannot be read or applied; it is parked with its reason."""

    reasons: ClassVar[tuple[str, ...]] = (
        "header", "source", "tenant", "body", "version", "gap", "divergence", "refused", "bug", "oversized",
    )  # fmt: skip
