"""The site: what all pages share while the application is served."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from contracts.model_parts import LANGUAGES, Language
from services.kernel.http.content_language import language_of
from services.kernel.http.problems import PageProblem
from services.kernel.runtime.runtime import Runtime
from services.portal.catalogue import Catalogue
from services.portal.pages import PAGES
from services.portal.pages.page import Page
from services.portal.person import LANGUAGE_COOKIE, Person, SignedIn
from services.portal.rendering import Renderer, summary_values, translate
from services.portal.service_client import ServiceClient, ServiceProblem, ServiceSilent, service_client
from services.portal.sessions import idle_minutes
from services.portal.sign_in.opening import sign_in_of
from services.portal.sign_in.procedure import SignInProcedure
from services.portal.site_texts import ROLE_NAMES
from services.portal.texts import _
from services.portal.theme import theme_url
from services.portal.visit import NO_STORE, Visit

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SILENT: Final = _(
    "This cannot be done just now. Nothing is lost: send it again in a moment, and it is done once."
)
_UNSHOWN: Final = _("This cannot be shown just now. Try again in a moment.")
_CHANGED: Final = _(
    "This has changed since you opened the page. What you wrote is kept: look at it, and send it again."
)


class Portal:
    """What pages need: the services, who is signed in, the model's texts, and the templates."""

    def __init__(
        self, runtime: Runtime, client: ServiceClient, sign_in: SignInProcedure, pages: tuple[Page, ...]
    ) -> None:
        """Take what was opened."""
        self.runtime = runtime
        self.client = client
        self.sign_in = sign_in
        self.signed_in: SignedIn = sign_in
        self.catalogue = Catalogue()
        self.renderer = Renderer()
        self.development = runtime.settings.mode == "embedded"
        self._pages = pages

    def language_of(self, request: Request) -> Language:
        """Return the language that the person chose, else what the browser prefers."""
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        return next((language for language in LANGUAGES if language == chosen), None) or language_of(request)

    def sign_in_url(self, request: Request) -> str:
        """Return where a person signs in, to come back to the page that was asked for."""
        path = request.url.path if request.method == "GET" else "/"
        return "/sign-in" if path == "/" else f"/sign-in?next={quote(path)}"

    def stronger_sign_in_url(self, request: Request) -> str:
        """Return where a person signs in at a higher level, to come back to the page."""
        return f"/sign-in/again?next={quote(request.url.path)}"

    def role_name(self, role: str, language: Language) -> str:
        """Return what a role is called."""
        return translate(language, ROLE_NAMES.get(role, role))

    def menu_of(self, role: str) -> list[Page]:
        """Return the pages in a role's menu."""
        return [page for page in self._pages if page.menu and role in page.roles]

    def page_response(self, visit: Visit, page: Page, values: Mapping[str, Any]) -> HTMLResponse:
        """Return a page as its person sees it."""
        bound = visit.bound
        errors = [summary_values(bound, error, visit.language) for error in bound.errors] if bound else []
        if isinstance(visit.problem, ServiceSilent):
            errors.insert(0, {"field": "", "text": translate(visit.language, _SILENT)})
        elif visit.status == 412:  # noqa: PLR2004  HTTP's number
            errors = [{"field": "", "text": translate(visit.language, _CHANGED)}]
        done = page.done.get(visit.request.query_params.get("done", ""), "")
        shared = {
            **self._frame(visit.language, visit.request.url.path, visit.person),
            "page": page,
            "title": translate(visit.language, page.title),
            "visit": visit,
            "errors": errors,
            "done": translate(visit.language, done),
            "new_key": visit.new_key,
        }
        html = self.renderer.render(page.template, visit.language, {**shared, **values})
        return HTMLResponse(html, visit.status, headers=page_headers(visit.language))

    def open_page(
        self, request: Request, template: str, title: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Return a page that needs nobody to be signed in; its title is a marked sentence."""
        language = self.language_of(request)
        shared = {**self._frame(language, request.url.path), "title": translate(language, title)}
        html = self.renderer.render(template, language, {**shared, **values})
        return HTMLResponse(html, status, headers=page_headers(language))

    def problem_page(
        self, request: Request, problem: PageProblem, headers: Mapping[str, str] | None
    ) -> Response:
        """Return what went wrong as a page; it needs nobody to be signed in."""
        language = self.language_of(request)
        values = {**self._frame(language, "/"), "problem": problem}
        html = self.renderer.render("problem.html", language, values)
        return HTMLResponse(html, problem.status, headers={**page_headers(language), **(headers or {})})

    def municipality_of(self, person: Person) -> str:
        """Return the name of a person's municipality; empty where the settings do not say it."""
        return self.runtime.settings.municipality_names.get(person.tenant, "")

    def _frame(self, language: Language, path: str, person: Person | None = None) -> dict[str, Any]:
        """Return what the frame of a page needs; with the person comes their municipality."""
        settings = self.runtime.settings
        role = person.role if person else ""
        names = settings.municipality_names
        tenant = person.tenant if person else next(iter(names)) if len(names) == 1 else ""
        return {
            "page": None,
            "person": person,
            "role_name": translate(language, ROLE_NAMES.get(role, role)),
            "menu": self.menu_of(role),
            "path": path,
            "errors": [],
            "done": "",
            "development": self.development,
            "municipality": names.get(tenant, ""),
            "colours_url": theme_url(tenant, settings.municipality_colours),
            "idle_seconds": round(60 * idle_minutes(role, settings)) if person else 0,
            "changes": "",
        }

    def service_page(self, request: Request, problem: ServiceProblem | ServiceSilent) -> Response:
        """Return that a service refused to show something, in its own sentence, or that it is silent."""
        language = self.language_of(request)
        if isinstance(problem, ServiceProblem):
            if problem.status == 401:  # noqa: PLR2004  HTTP's number
                return RedirectResponse(self.sign_in_url(request), 303, NO_STORE)
            said = PageProblem(problem.status, problem.code, problem.title, language)
        else:
            said = PageProblem(503, problem.code, translate(language, _UNSHOWN), language)
        return self.problem_page(request, said, None)


def page_headers(language: Language) -> dict[str, str]:
    """Return the headers of every page."""
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "same-origin",
        "Content-Language": language,
        "Vary": "Accept-Language, Cookie",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


@asynccontextmanager
async def open_portal(app: FastAPI, runtime: Runtime) -> AsyncIterator[None]:
    """Open what the pages need while the application is served."""
    async with (
        service_client(runtime.settings.services) as client,
        sign_in_of(runtime, client) as sign_in,
    ):
        portal = Portal(runtime, client, sign_in, PAGES)
        app.state.portal = portal
        app.state.problem_page = portal.problem_page
        yield
