"""Pages and calls of the pretended OpenID provider: one card for each made-up person."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from html import escape
from typing import Annotated, Final, TypeAlias

from fastapi import APIRouter, Form, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from services.kernel.embedded.pretended_provider import (
    PATH,
    AuthorizationRequest,
    PretendedPerson,
    PretendedProvider,
)
from services.kernel.http.content_language import language_of

_TEXTS: Final = {
    "da": ("Vælg, hvem du vil være", "Alle her er opdigtede. Log ind som", "Der er ingen at vælge endnu."),
    "nb": ("Velg hvem du vil være", "Alle her er oppdiktet. Logg inn som", "Det er ingen å velge ennå."),
    "en": ("Choose who you want to be", "Everybody here is made up. Sign in as", "There is nobody yet."),
}
_STYLE: Final = (
    "body{font:1.125rem/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "li{list-style:none;margin:0 0 1rem}ul{padding:0}button{font:inherit;text-align:left;width:100%;"
    "padding:1rem;border:2px solid #1a1a1a;background:#fff;cursor:pointer}button:focus-visible{outline:4px "
    "solid #0059b3}span{display:block}"
)
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


FirstPerson: TypeAlias = Callable[[str], Awaitable[PretendedPerson]]
"""Makes the first person of a municipality, where there is nobody to choose yet."""


def provider_routes(provider: PretendedProvider, first_person: FirstPerson) -> APIRouter:
    """Return the provider's routes, and those by which people are added."""
    router = APIRouter(prefix="/development", include_in_schema=False)
    _documents(router, provider)
    _sign_in(router, provider, first_person)

    @router.post("/people", status_code=201)
    async def admit(person: PretendedPerson) -> PretendedPerson:
        provider.admit(person)
        return person

    @router.get("/people")
    async def people() -> list[PretendedPerson]:
        return provider.people

    return router


def _documents(router: APIRouter, provider: PretendedProvider) -> None:
    @router.get("/oidc/.well-known/openid-configuration")
    async def discovery() -> JSONResponse:
        return JSONResponse(provider.document())

    @router.get("/oidc/jwks")
    async def jwks() -> JSONResponse:
        return JSONResponse(provider.key_set())

    @router.get("/oidc/style.css")
    async def style() -> Response:
        return Response(_STYLE, media_type="text/css")


def _sign_in(router: APIRouter, provider: PretendedProvider, first_person: FirstPerson) -> None:
    making = asyncio.Lock()

    @router.get("/oidc/authorize")
    async def authorize(request: Request, wanted: Annotated[AuthorizationRequest, Query()]) -> Response:
        if not provider.accepts(wanted):
            return Response("unknown client", 400)
        async with making:
            if not provider.people_of(wanted.tenant):
                provider.admit(await first_person(wanted.tenant))
        return _cards(request, provider, wanted)

    @router.post("/oidc/authorize")
    async def choose(request: Request, wanted: Annotated[AuthorizationRequest, Form()]) -> Response:
        found = next((one for one in provider.people if one.subject == wanted.subject), None)
        if not provider.accepts(wanted):
            return Response("unknown client", 400)
        if found is None:
            return _cards(request, provider, wanted)
        return RedirectResponse(provider.grant(found, wanted), 303)

    @router.post("/oidc/token")
    async def token(
        code: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        authorization: Annotated[str, Header()] = "",
    ) -> JSONResponse:
        if not provider.knows(authorization):
            return JSONResponse({"error": "invalid_client"}, 401)
        id_token = provider.id_token(code, code_verifier, redirect_uri)
        if id_token is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        tokens = {"access_token": secrets.token_urlsafe(32), "id_token": id_token, "token_type": "Bearer"}
        return JSONResponse(tokens)


def _cards(request: Request, provider: PretendedProvider, wanted: AuthorizationRequest) -> HTMLResponse:
    """Return the page of cards: everybody of the municipality, which the portal's state names."""
    language = language_of(request)
    title, lead, nobody = _TEXTS[language]
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(str(value))}">'
        for name, value in wanted.model_dump(exclude={"subject"}).items()
    )
    cards = "".join(
        f'<li><button name="subject" value="{escape(one.subject)}"><strong>{escape(one.name)}</strong>'
        f"<span>{escape(one.hint)}</span></button></li>"
        for one in provider.people_of(wanted.tenant)
    )
    people = f"<p>{lead}:</p><ul>{cards}</ul>" if cards else f"<p>{nobody}</p>"
    html = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{title}</title>'
        f'<link rel="stylesheet" href="{PATH}/style.css"></head><body><main><h1>{title}</h1>'
        f'<form method="post" action="{PATH}/authorize">{hidden}{people}</form></main></body></html>'
    )
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin"}
    return HTMLResponse(html, headers=headers)
