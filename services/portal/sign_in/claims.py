"""Who somebody is by an ID token, read under the names that a provider's settings give its claims."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from services.kernel.issuer_settings import Level
from services.kernel.sign_in_settings import LEVELS, ProviderSettings
from services.portal.sign_in.refusals import AssuranceTooLow, SignInFailed

_LONGEST: Final = 255


class Identity(Struct, frozen=True):
    """Who has signed in: handed to the directory once, and kept nowhere in the clear."""

    issuer: str
    subject: str
    level: Level
    signed_in_at: int
    national_number: str = ""
    organisation_number: str = ""
    provider_session: str = ""

    def __repr__(self) -> str:
        """Name the issuer only, so that no log can show the person."""
        return f"Identity({self.issuer!r})"


def identity_of(settings: ProviderSettings, claims: Mapping[str, Any], wanted: Level) -> Identity:
    """Return an identity from verified claims; raise `AssuranceTooLow` below the level that was asked for."""
    names = settings.claims
    level = settings.level_of(_claim(claims, names.assurance))
    if level is None or LEVELS.index(level) < LEVELS.index(wanted):
        raise AssuranceTooLow(wanted)
    return Identity(
        settings.issuer,
        _text(claims, names.subject, required=True),
        level,
        int(claims.get("auth_time") or claims["iat"]),
        _text(claims, names.national_number),
        _text(claims, names.organisation_number),
        _text(claims, "sid"),
    )


def _text(claims: Mapping[str, Any], name: str, *, required: bool = False) -> str:
    """Return a claim as text; raise `SignInFailed` for what is none, or too long, or missing."""
    value = _claim(claims, name) if name else None
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or "\0" in value:
        raise SignInFailed("claim")
    return value


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim at a path such as `outer/inner`; a list on the way is one of a single value."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("/"):
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        found = found.get(name) if isinstance(found, dict) else None
    return found
