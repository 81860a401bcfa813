"""Opening of sign-in: the providers of the settings and the key that signs, kept while the site is served."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from services.kernel.privacy.token_signing import token_signer_of
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings, SettingsFault
from services.kernel.sign_in_settings import ProviderSettings
from services.portal.service_client import ServiceClient
from services.portal.sign_in.directory import Directory
from services.portal.sign_in.procedure import SignInProcedure
from services.portal.sign_in.provider import Provider
from services.portal.sign_in.refusals import SignInFailed
from services.portal.sign_in.tokens import Tokens


@asynccontextmanager
async def sign_in_of(runtime: Runtime, client: ServiceClient) -> AsyncIterator[SignInProcedure]:
    """Open sign-in; raise `SettingsFault` for files that cannot be used."""
    settings = runtime.settings
    if settings.mode == "production" and not settings.sign_in:
        raise SettingsFault("SAMSPIL_SIGN_IN: list the providers at which people sign in")
    async with (
        token_signer_of(settings) as signer,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        tokens = Tokens(signer, settings)
        providers = [_provider(one, session, settings) for one in settings.sign_in]
        yield SignInProcedure(runtime, providers, Directory(client, tokens), tokens)


def _provider(one: ProviderSettings, session: aiohttp.ClientSession, settings: Settings) -> Provider:
    try:
        return Provider(one, session, plain=settings.mode != "production")
    except OSError as fault:
        hint = f"SAMSPIL_SIGN_IN: {fault.filename} of {one.issuer} cannot be read ({fault.strerror})"
        raise SettingsFault(hint) from None
    except SignInFailed as fault:
        raise SettingsFault(f"SAMSPIL_SIGN_IN: {fault.detail}") from None
