"""Pages as values, and areas: what shows a page and what takes the forms on it."""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.kernel.errors import NotAllowed, NotFound
from services.portal.forms import FieldError, Form
from services.portal.refusals import FormForeign, TooEarly
from services.portal.service_client import ServiceProblem, ServiceSilent
from services.portal.visit import NO_STORE, FormRefused, Submitted, Visit, uuid_of

STAFF: Final = ("caseworker", "leader", "administrator", "bridge_builder")
FAMILY: Final = ("guardian", "young_person")
EVERYBODY: Final = (*STAFF, *FAMILY, "coordinator", "auditor", "operator")

_PARAMETER: Final = re.compile(r"{(\w+)}")
_TOO_WEAK: Final = "sign-in-too-weak"
"""The services' code for a consent or a signature that needs a stronger sign-in."""

_MOST_FIELDS: Final = 300

Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True)
class Page:
    """One page: where it is, what shows it, who may open it, and what it does to the trail.

    `title` is a marked sentence without a name in it. `looks` are the kinds of personal data that opening it
    shows, each one entry of the trail; `calls` the reads of services, `commands` the forms on it. A page is
    in the `menu` under a marked word, or has a `parent`. `done` holds the sentences shown after a command.
    """

    path: str
    template: str
    title: str
    roles: tuple[str, ...]
    looks: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    parent: "Page | None" = None
    menu: str = ""
    done: dict[str, str] = field(default_factory=dict, hash=False)

    def within(self, other: "Page") -> bool:
        """Return whether this page lies below another one."""
        return self.parent is not None and (self.parent is other or self.parent.within(other))

    def url(self, **values: object) -> str:
        """Return the page's address; values that are no part of the path are left out."""
        return _PARAMETER.sub(lambda found: quote(str(values[found[1]]), safe=""), self.path)


class Area:
    """Pages that belong together, with their handlers."""

    def __init__(self) -> None:
        """Begin without pages."""
        self.router = APIRouter(include_in_schema=False)
        self.pages: list[Page] = []
        self._show: dict[Page, Handler] = {}
        self._take: dict[tuple[Page, str], Handler] = {}

    def get(self, page: Page) -> Callable[[Handler], Handler]:
        """Register what shows a page: it takes the visit and the parts of the path, and renders."""

        def register(handler: Handler) -> Handler:
            self._show[page] = handler
            self.pages.append(page)

            async def endpoint(request: Request) -> Response:
                return await _answered(request, self._shown(request, page))

            self.router.add_api_route(
                page.path, endpoint, methods=["GET"], name=page.path, response_class=HTMLResponse
            )
            if page.commands:

                async def sent(request: Request) -> Response:
                    return await _answered(request, self._taken(request, page))

                self.router.add_api_route(
                    page.path, sent, methods=["POST"], name=page.path, response_class=HTMLResponse
                )
            return handler

        return register

    def post(self, page: Page, command: str) -> Callable[[Handler], Handler]:
        """Register what takes one form of a page; where it is refused, the page is shown again."""
        if command not in page.commands:
            raise TypeError(f"{page.template} has no command {command}")

        def register(handler: Handler) -> Handler:
            self._take[page, command] = handler
            return handler

        return register

    def commands(self) -> list[tuple[Page, str]]:
        """Return the commands that are taken, each with its page."""
        return list(self._take)

    async def _shown(self, request: Request, page: Page) -> Response:
        if "prefetch" in request.headers.get("sec-purpose", ""):
            raise TooEarly  # a look that nobody took must not stand in the trail
        visit = await self._visit(request, page)
        if isinstance(visit, Response):
            return visit
        return await self._call(self._show[page], visit)

    async def _taken(self, request: Request, page: Page) -> Response:
        require_same_origin(request)
        visit = await self._visit(request, page)
        if isinstance(visit, Response):
            return visit
        data = await request.form(max_files=0, max_fields=_MOST_FIELDS)
        nonce = visit.nonce_of(str(data.get("key", "")))
        if nonce is None:
            raise FormForeign
        visit.submitted = Submitted(data, nonce)
        handler = self._take.get((page, visit.submitted.command))
        if handler is None:
            raise NotFound
        try:
            return await self._call(handler, visit)
        except FormRefused:
            visit.status = 422
        except ServiceProblem as problem:
            if problem.status in {401, 403, 404}:
                raise
            if problem.code == _TOO_WEAK:
                return RedirectResponse(visit.portal.stronger_sign_in_url(request), 303, NO_STORE)
            visit.problem, visit.status = problem, problem.status
            visit.bound = (visit.bound or Form.nothing()).refused(*_errors_of(problem, visit))
        except ServiceSilent as silent:
            visit.problem, visit.status = silent, 503
        return await self._call(self._show[page], visit)

    async def _visit(self, request: Request, page: Page) -> Visit | Response:
        """Return the visit of the person who is signed in, or the way to sign-in."""
        portal = request.app.state.portal
        person = await portal.signed_in.person_of(request)
        if person is None:
            return RedirectResponse(portal.sign_in_url(request), 303, NO_STORE)
        request.state.tenant = person.tenant
        if person.role not in page.roles:
            raise NotAllowed(f"this is for: {', '.join(page.roles)}")
        return Visit(portal, request, page, person, portal.language_of(request))

    async def _call(self, handler: Handler, visit: Visit) -> Response:
        response = await handler(visit, **_arguments(handler, visit.request))
        if visit.status != 200:  # noqa: PLR2004  HTTP's number
            response.status_code = visit.status
        return response


async def _answered(request: Request, answer: Awaitable[Response]) -> Response:
    """Return an answer, or a page that says what a service refused, or that it is silent."""
    try:
        return await answer
    except (ServiceProblem, ServiceSilent) as problem:
        shown: Response = request.app.state.portal.service_page(request, problem)
        return shown


def _arguments(handler: Handler, request: Request) -> dict[str, Any]:
    """Return the parts of the path that a handler takes; raise `NotFound` for what is no id."""
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(handler, eval_str=True).parameters.items():
        if name not in request.path_params:
            continue
        text = str(request.path_params[name])
        value = uuid_of(text) if parameter.annotation is UUID else text
        if value is None:
            raise NotFound
        found[name] = value
    return found


def require_same_origin(request: Request) -> None:
    """Refuse a form that another site has sent (OWASP: Fetch Metadata); an old browser names its origin."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        origin = request.headers.get("origin")
        allowed = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if not allowed:
        raise FormForeign


def _errors_of(problem: ServiceProblem, visit: Visit) -> list[FieldError]:
    """Return what a service refused, at the fields that it names, else for the whole form."""
    fields = visit.bound.form.fields if visit.bound else {}
    named = [str(error.get("at", "")).split("/") for error in problem.errors]
    found = [
        FieldError(name, fields[name].sentence("invalid"))
        for path in named
        for name in path[1:2]
        if name in fields
    ]
    return found or [FieldError("", problem.title, translated=True)]
