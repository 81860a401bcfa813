"""Type of the setting SAMSPIL_ISSUERS: who may sign in whom, for which municipalities, and by which keys."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

from contracts.event import Tenant

Level: TypeAlias = Literal["low", "substantial", "high"]

ROLES: Final = frozenset({
    "caseworker", "coordinator", "guardian", "young_person", "leader", "auditor", "operator", "administrator",
    "bridge_builder", "portal",
})  # fmt: skip
DEFAULT_ROLES: Final = ROLES - {"portal"}
"""The roles with which an issuer may speak that names none: a portal alone finds out who somebody is."""

_LEVELS: Final[Mapping[str, Level]] = {"low": "low", "substantial": "substantial", "high": "high"}
_LARGEST: Final = 100


def _known_roles(roles: frozenset[str]) -> frozenset[str]:
    if roles - ROLES:
        raise ValueError(f"roles are: {', '.join(sorted(ROLES))}")
    return roles


class IssuerSettings(BaseModel):
    """One sign-in service, the municipalities that it may speak for, and what its levels are called.

    `roles` are those that it may speak with; without them all but `portal`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, max_length=500)
    keys: str = Field(min_length=1, max_length=500)
    ca: Path | None = None
    municipalities: frozenset[Tenant] = Field(min_length=1, max_length=_LARGEST)
    assurance: Mapping[Annotated[str, Field(min_length=1, max_length=500)], Level] = _LEVELS
    roles: Annotated[frozenset[str], AfterValidator(_known_roles)] = frozenset()

    @property
    def has_address(self) -> bool:
        """Whether its keys are fetched from an address, and not read from a file."""
        return self.keys.lower().startswith(("https://", "http://"))


def _from_json(value: object) -> object:
    """Return what JSON text holds; the setting's value is never repeated."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("a JSON list of issuers: see docs/installation.md") from None


def _once_each(issuers: tuple[IssuerSettings, ...]) -> tuple[IssuerSettings, ...]:
    if len({one.issuer for one in issuers}) < len(issuers):
        raise ValueError("each issuer is listed once, with all of its municipalities")
    return issuers


Issuers: TypeAlias = Annotated[
    tuple[IssuerSettings, ...],
    NoDecode,
    BeforeValidator(_from_json),
    AfterValidator(_once_each),
    Field(max_length=_LARGEST),
]
