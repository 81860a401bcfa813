"""Pages of sign-in: choose where, come back, type an invitation's code, choose a role, and sign out."""

import re
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from services.portal.addresses import own_path
from services.portal.forms import FieldError
from services.portal.pages.page import require_same_origin
from services.portal.refusals import FormForeign, TooEarly
from services.portal.rendering import error_values
from services.portal.service_client import ServiceProblem, ServiceSilent
from services.portal.sign_in.client import Wanted
from services.portal.sign_in.cookies import SESSION, SIGN_IN
from services.portal.sign_in.form_keys import new_key, nonce_of
from services.portal.sign_in.logout import logout_url
from services.portal.sign_in.procedure import Arrived, kinds_of
from services.portal.sign_in.refusals import RoleMissing, SignInExpired, SignInFailed, SignInSilent
from services.portal.texts import _
from services.portal.visit import NO_STORE, portal_of

router: Final = APIRouter(include_in_schema=False)

_TITLE: Final = _("Sign in")
_CODE: Final = _("Type the code of your invitation")
_ROLE: Final = _("Choose what you want to work as")
_AGAIN: Final = _("Confirm that it is you")
_ENDED: Final = _("You are signed out")
_NO_CODE: Final = _("Type the code from your invitation")
_LONGEST_CODE: Final = 40
_MOST_FIELDS: Final = 10
_NUMBER: Final = re.compile(r"[0-9]{1,3}", re.ASCII)

Number = Annotated[int, Query(ge=0, le=1000)]
Tenant = Annotated[str, Query(pattern="^([0-9]{4})?$")]


@router.get("/sign-in")
async def choose(
    request: Request, tenant: Tenant = "", then: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """Show where somebody can sign in, in their municipality."""
    portal, path = portal_of(request), own_path(then)
    if await portal.signed_in.person_of(request) is not None:
        return RedirectResponse(path, 303, NO_STORE)
    codes = portal.sign_in.municipalities
    chosen = codes[0] if len(codes) == 1 else tenant if tenant in codes else ""
    names = portal.runtime.settings.municipality_names
    return portal.open_page(
        request,
        "sign_in/choose.html",
        _TITLE,
        tenant=chosen,
        municipality=names.get(chosen, chosen),
        municipalities=[(code, names.get(code, code)) for code in codes],
        kinds=kinds_of(portal.sign_in.providers_of(chosen)),
        next=path,
    )


@router.get("/sign-in/start")
async def start(
    request: Request,
    tenant: Tenant,
    provider: Number,
    then: Annotated[str, Query(alias="next")] = "/",
    again: bool = False,  # noqa: FBT001, FBT002  a parameter of the address
) -> Response:
    """Send the browser to a provider; `again` asks for a new and stronger proof of who somebody is."""
    if "prefetch" in request.headers.get("sec-purpose", ""):
        raise TooEarly
    portal = portal_of(request)
    wanted = Wanted("high" if again else "substantial", again, portal.language_of(request))
    url, browser = await portal.sign_in.start(tenant, provider, wanted, own_path(then))
    answer = RedirectResponse(url, 303, NO_STORE)
    portal.sign_in.cookies.write(answer, SIGN_IN, browser)
    return answer


@router.get("/sign-in/back")
async def back(request: Request) -> Response:
    """Take what a provider answered through the browser, once."""
    portal = portal_of(request)
    answer = {name: values[-1] for name, values in _parameters(request).items() if len(values) == 1}
    try:
        arrived = await portal.sign_in.back(request, answer, portal.language_of(request))
    except (ServiceSilent, ServiceProblem) as fault:
        raise _refused(fault) from None
    return _go_on(request, arrived)


@router.get("/sign-in/code")
async def code(request: Request) -> Response:
    """Ask somebody who is not known yet for the code of their invitation."""
    return await _code_page(request, [])


@router.post("/sign-in/code")
async def redeem(request: Request) -> Response:
    """Take the code of an invitation."""
    sent = await _own_form(request)
    portal = portal_of(request)
    typed = sent.get("code", "").strip()
    if not 0 < len(typed) <= _LONGEST_CODE or not typed.isprintable():
        return await _code_page(request, [FieldError("code", _NO_CODE)], status=422)
    try:
        arrived = await portal.sign_in.redeem(request, typed, portal.language_of(request))
    except ServiceSilent as fault:
        raise _refused(fault) from None
    except ServiceProblem as problem:
        said = FieldError("code", problem.title, translated=True)
        return await _code_page(request, [said], status=problem.status)
    return _go_on(request, arrived)


@router.get("/sign-in/role")
async def role(request: Request) -> Response:
    """Show the roles of somebody who has several."""
    portal = portal_of(request)
    try:
        account = await portal.sign_in.waiting(request, portal.language_of(request))
    except (ServiceSilent, ServiceProblem) as fault:
        raise _refused(fault) from None
    if account is None:
        return RedirectResponse("/sign-in/code", 303, NO_STORE)
    language = portal.language_of(request)
    names = [(portal.role_name(one.role, language), one.label) for one in account.memberships]
    roles = [(number, ", ".join(filter(None, name))) for number, name in enumerate(names)]
    return portal.open_page(request, "sign_in/role.html", _ROLE, roles=roles, key=_new_key(request))


@router.post("/sign-in/role")
async def choose_role(request: Request) -> Response:
    """Begin a session in the role that somebody has chosen."""
    number = (await _own_form(request)).get("role", "")
    portal = portal_of(request)
    if not _NUMBER.fullmatch(number):
        raise RoleMissing
    try:
        arrived = await portal.sign_in.choose(request, int(number), portal.language_of(request))
    except (ServiceSilent, ServiceProblem) as fault:
        raise _refused(fault) from None
    return _go_on(request, arrived)


@router.get("/sign-in/again")
async def again(request: Request, then: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Explain why a stronger sign-in is needed, and lead to it; the page that was asked for is kept."""
    portal, path = portal_of(request), own_path(then)
    if await portal.signed_in.person_of(request) is None:
        return RedirectResponse(f"/sign-in?{urlencode({'next': path})}", 303, NO_STORE)
    session = request.state.session
    found = portal.sign_in.provider_of(session.issuer)
    possible = found is not None and bool(found[1].settings.asking_for("high"))
    query = {"tenant": session.tenant, "provider": found[0] if found else 0, "next": path, "again": "true"}
    url = f"/sign-in/start?{urlencode(query)}" if possible else ""
    return portal.open_page(request, "sign_in/again.html", _AGAIN, url=url, next=path)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    require_same_origin(request)
    portal = portal_of(request)
    at = ""
    if (await portal.signed_in.person_of(request)) is not None:
        session = request.state.session
        await portal.sign_in.end(session, session.session_id)
        at = session.issuer
    answer = RedirectResponse("/sign-out" + (f"?{urlencode({'at': at})}" if at else ""), 303, NO_STORE)
    portal.sign_in.cookies.delete(answer, SESSION)
    portal.sign_in.cookies.delete(answer, SIGN_IN)
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


@router.get("/sign-out")
async def signed_out(request: Request, at: str = "") -> Response:
    """Say that somebody is signed out, and how to sign out at the provider too."""
    portal = portal_of(request)
    found = portal.sign_in.provider_of(at)
    back_to = f"{portal.runtime.settings.public_url.rstrip('/')}/sign-in"
    url = await logout_url(found[1], back_to) if found else None
    name = found[1].settings.name if found else ""
    return portal.open_page(request, "sign_in/ended.html", _ENDED, url=url, name=name)


@router.get("/.well-known/jwks.json")
async def key_set(request: Request) -> JSONResponse:
    """Return the public keys by which services verify the portal's tokens."""
    return JSONResponse(await portal_of(request).sign_in.tokens.key_set())


def _parameters(request: Request) -> dict[str, list[str]]:
    return {name: request.query_params.getlist(name) for name in request.query_params}


def _go_on(request: Request, arrived: Arrived) -> Response:
    """Lead somebody who has come back to their page, or to what is still to be answered."""
    cookies = portal_of(request).sign_in.cookies
    if arrived.session is None:
        return RedirectResponse("/sign-in/role" if arrived.account else "/sign-in/code", 303, NO_STORE)
    answer = RedirectResponse(arrived.return_path, 303, NO_STORE)
    cookies.write(answer, SESSION, arrived.session)
    cookies.delete(answer, SIGN_IN)
    return answer


async def _code_page(request: Request, errors: list[FieldError], *, status: int = 200) -> Response:
    portal = portal_of(request)
    shown = [error_values(error, portal.language_of(request)) for error in errors]
    return portal.open_page(
        request, "sign_in/code.html", _CODE, status=status, errors=shown, key=_new_key(request)
    )


def _new_key(request: Request) -> str:
    """Return the key of a form for the browser that came back; raise `SignInExpired` where none did."""
    browser = portal_of(request).sign_in.cookies.read(request, SIGN_IN)
    if browser is None:
        raise SignInExpired
    return new_key(browser.derived("form"))


async def _own_form(request: Request) -> dict[str, str]:
    """Return a form's fields; refuse one that another site has sent, or that another browser was shown."""
    require_same_origin(request)
    browser = portal_of(request).sign_in.cookies.read(request, SIGN_IN)
    if browser is None:
        raise SignInExpired
    data = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    if nonce_of(browser.derived("form"), str(data.get("key", ""))) is None:
        raise FormForeign
    return {name: str(value) for name, value in data.items()}


def _refused(fault: ServiceSilent | ServiceProblem) -> SignInSilent | SignInFailed:
    """Return what a person reads where the directory does not answer, or refuses the portal."""
    return SignInSilent() if isinstance(fault, ServiceSilent) else SignInFailed(fault.code)
