"""Sign-in of the embedded installation: the pretended provider, the portal as an issuer, a first person."""

import json
from pathlib import Path
from typing import Any, Final, get_args
from uuid import UUID

import aiohttp
from fastapi import APIRouter

from services.kernel.embedded.development_api import Bearer, Issuer
from services.kernel.embedded.pretended_pages import provider_routes
from services.kernel.embedded.pretended_provider import PretendedPerson, PretendedProvider
from services.kernel.errors import ServerFailed
from services.kernel.http.authentication import TrustedIssuer
from services.kernel.http.issuer_keys import IssuerKeys
from services.kernel.ids import new_id
from services.kernel.issuer_settings import ROLES, Level
from services.kernel.privacy.token_signing import EMBEDDED_ISSUER, token_signer_of
from services.kernel.settings import Settings

MUNICIPALITIES: Final = {"0440": "Kerteminde"}
"""The municipalities in which somebody can sign in, and what they are called."""

_SETTER: Final = UUID("53616d73-7069-8000-8000-000000000001")
_PORTAL: Final = UUID("53616d73-7069-8000-8000-000000000002")
_CREATED: Final = (200, 201)


def portal_key(folder: Path) -> Path:
    """Return the file with the key of the portal's tokens."""
    return folder.absolute() / "keys" / "portal.json"


def pretended_provider(folder: Path, public_url: str) -> PretendedProvider:
    """Return the pretended provider of a data folder."""
    return PretendedProvider(folder.absolute() / "keys" / "sign-in", public_url)


async def portal_issuer(settings: Settings) -> TrustedIssuer:
    """Return the portal as an issuer of tokens, for people and in its own name."""
    async with token_signer_of(settings) as signer:
        document = json.dumps({"keys": await signer.public_keys()}).encode()

    async def read() -> bytes:
        return document

    keys = IssuerKeys(read)
    await keys.refresh()
    levels: dict[str, Level] = {level: level for level in get_args(Level)}
    return TrustedIssuer(EMBEDDED_ISSUER, keys, None, levels, ROLES)


def pretended_sign_in(settings: Settings, issuer: Issuer, folder: Path) -> APIRouter:
    """Return the provider's routes; it makes its first person when somebody wants to sign in."""
    provider = pretended_provider(folder, settings.public_url)

    async def first_person(tenant: str) -> PretendedPerson:
        return await first_administrator(settings.public_url, issuer, tenant, provider.issuer)

    return provider_routes(provider, first_person)


async def first_administrator(url: str, issuer: Issuer, tenant: str, provider: str) -> PretendedPerson:
    """Return a made-up administrator with an account; raise `ServerFailed` where the directory refuses."""
    person = PretendedPerson(
        name="Alma Eksempel",
        subject=f"administrator-{tenant}",
        tenant=tenant,
        role="administrator",
        hint="Administrator",
    )
    setter = issuer.token(Bearer(sub=_SETTER, role="administrator", tenant=tenant))
    portal = issuer.token(Bearer(sub=_PORTAL, role="portal", tenant=tenant))
    async with aiohttp.ClientSession(url) as session:
        wanted = {"role": "administrator", "name": person.name}
        invited = await _post(session, "/directory/invitations", setter, wanted)
        used = {"code": invited["code"], "issuer": provider, "subject": person.subject}
        await _post(session, "/directory/invitations/redeem", portal, used)
    return person


async def _post(session: aiohttp.ClientSession, path: str, token: str, body: dict[str, str]) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id())}
    async with session.post(path, json=body, headers=headers) as answer:
        if answer.status not in _CREATED:
            raise ServerFailed(f"POST {path} answered {answer.status}")
        return await answer.json()
