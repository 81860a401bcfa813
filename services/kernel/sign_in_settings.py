"""Type of the setting SAMSPIL_SIGN_IN: where people sign in to the portal, and what is read from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import NoDecode

from contracts.event import Tenant
from services.kernel.issuer_settings import Level

People: TypeAlias = Literal["staff", "citizen", "organisation"]
"""For whom a provider is: a municipality's employees, families, or coordinators of organisations."""

LEVELS: Final[tuple[Level, ...]] = ("low", "substantial", "high")
_LEVELS: Final[Mapping[str, Level]] = {level: level for level in LEVELS}
_LARGEST: Final = 100
_Text = Annotated[str, Field(min_length=1, max_length=500)]
_Claim = Annotated[str, Field(max_length=200, pattern=r"^[^\s]*$")]


class ClaimNames(BaseModel):
    """Which claims of an ID token say who somebody is; a claim within another is named `outer/inner`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: Annotated[_Claim, Field(min_length=1)] = "sub"
    national_number: _Claim = ""
    organisation_number: _Claim = ""
    assurance: Annotated[_Claim, Field(min_length=1)] = "acr"


class ProviderSettings(BaseModel):
    """One OpenID provider: how the portal is its client, for whom it is, and what its claims are called.

    `key` is a file with the private key (JWK) of `private_key_jwt`, `secret` one with a client secret; one of
    the two. `assurance` says what the provider's levels mean; a level that is not there counts as none.
    `unstated` is the level of a provider that states none, because the municipality sees to it otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: _Text
    name: _Text
    client_id: _Text
    key: Path | None = None
    secret: Path | None = None
    secret_in: Literal["header", "body"] = "header"  # noqa: S105  where the secret is sent
    ca: Path | None = None
    municipalities: frozenset[Tenant] = Field(min_length=1, max_length=_LARGEST)
    people: frozenset[People] = Field(min_length=1)
    scope: _Text = "openid"
    claims: ClaimNames = ClaimNames()
    assurance: Mapping[_Text, Level] = _LEVELS
    unstated: Level | None = None

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if (self.key is None) == (self.secret is None):
            raise ValueError("name `key` or `secret`, a file with the one by which the portal is known there")
        if "openid" not in self.scope.split():
            raise ValueError("`scope` holds `openid`")
        return self

    def level_of(self, stated: object) -> Level | None:
        """Return the level that a provider has stated, the highest of several; None for none."""
        if stated is None:
            return self.unstated
        named = stated if isinstance(stated, list) else [stated]
        found = [self.assurance[one] for one in named if isinstance(one, str) and one in self.assurance]
        return max(found, key=LEVELS.index, default=None)

    def asking_for(self, level: Level) -> str:
        """Return the `acr_values` that ask for a level or a higher one, in the order of the settings."""
        wanted = LEVELS.index(level)
        return " ".join(name for name, meant in self.assurance.items() if LEVELS.index(meant) >= wanted)


def _from_json(value: object) -> object:
    """Return what JSON text holds; the setting's value is never repeated."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("a JSON list of providers: see docs/sign-in.md") from None


def _once_each(providers: tuple[ProviderSettings, ...]) -> tuple[ProviderSettings, ...]:
    if len({one.issuer for one in providers}) < len(providers):
        raise ValueError("each issuer is listed once, with all of its municipalities")
    return providers


Providers: TypeAlias = Annotated[
    tuple[ProviderSettings, ...],
    NoDecode,
    BeforeValidator(_from_json),
    AfterValidator(_once_each),
    Field(max_length=_LARGEST),
]
