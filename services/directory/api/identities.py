"""Identities as the directory keeps them: ids made from keyed digests, from which nobody finds the person."""

import json
from typing import Annotated, Final
from uuid import UUID

from pydantic import StringConstraints

from services.kernel.http.requests import RequestContext

_PURPOSE: Final = "identities"
_VERSION: Final = 0x8 << 76
_VARIANT: Final = 0b10 << 62
_FREE: Final = ~(0xF << 76 | 0b11 << 62)
_DANISH: Final = 10

Issuer = Annotated[str, StringConstraints(min_length=1, max_length=500)]
SubjectOfIssuer = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
NationalNumber = Annotated[str, StringConstraints(pattern=r"^([0-9]{6}-?[0-9]{4}|[0-9]{11})$")]
"""A Danish CPR number or a Norwegian number; neither its day nor its check is looked at."""


async def identities_of(
    request: RequestContext, issuer: str, subject: str, national_number: str | None
) -> tuple[UUID, ...]:
    """Return the ids of an identity of a sign-in service, and of the national number where it is known."""
    signed_in = await _identity(request, "sign_in", issuer, subject)
    if national_number is None:
        return (signed_in,)
    return signed_in, await identity_of_number(request, national_number)


async def identity_of_number(request: RequestContext, national_number: str) -> UUID:
    """Return the id of a national number; Danish ones have ten digits, Norwegian ones eleven."""
    digits = national_number.replace("-", "")
    country = "dk" if len(digits) == _DANISH else "no"
    return await _identity(request, "national_number", country, digits)


async def _identity(request: RequestContext, *parts: str) -> UUID:
    """Return a UUIDv8 (RFC 9562) of 122 bits of the keyed digest of an identity's parts."""
    digest = await request.keyed_digest(_PURPOSE, json.dumps(parts, ensure_ascii=False))
    return UUID(int=int.from_bytes(digest[:16]) & _FREE | _VERSION | _VARIANT)
