"""One request of one signed-in person: asks the services in their name, and answers with a page."""

import asyncio
import hashlib
from collections.abc import Awaitable, Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData

from contracts.model_parts import Language
from services.kernel.errors import NotFound
from services.portal.forms import Bound, FieldError, Form, M
from services.portal.person import Person
from services.portal.rendering import ZONE, translate
from services.portal.service_client import SILENT, Answer, ServiceProblem, ServiceSilent
from services.portal.sign_in.form_keys import new_key, nonce_of

if TYPE_CHECKING:
    from services.portal.pages.page import Page
    from services.portal.site import Portal

NO_STORE: Final = {"Cache-Control": "no-store"}


class Submitted:
    """A form that was sent: its fields, its key, and the version that was seen."""

    def __init__(self, data: FormData, nonce: str) -> None:
        """Take what was sent; `nonce` is the verified part of its key."""
        self.data = data
        self.version = str(data.get("version", ""))
        self.command = str(data.get("command", ""))
        self._nonce = nonce

    def text(self, name: str) -> str:
        """Return a field as it was sent, such as a hidden one."""
        return str(self.data.get(name, ""))

    def id(self, name: str) -> UUID:
        """Return a hidden id as it was sent; raises `NotFound` where it is none."""
        found = uuid_of(self.text(name))
        if found is None:
            raise NotFound
        return found

    def number(self, name: str) -> int | None:
        """Return a hidden number as it was sent; None where it is none."""
        text = self.text(name)
        return int(text) if text.isascii() and text.isdigit() else None

    def key(self, step: int = 0) -> str:
        """Return the idempotency key of one command of this form; several commands have one each."""
        return f"{self._nonce}-{step}"


class Visit:
    """One request for a page; `person` is who asks."""

    def __init__(
        self, portal: "Portal", request: Request, page: "Page", person: Person, language: Language
    ) -> None:
        """Bind a request to the portal and the person."""
        self.portal = portal
        self.request = request
        self.page = page
        self.person = person
        self.language = language
        self.status = 200
        self.bound: Bound[Any] | None = None
        self.problem: ServiceProblem | ServiceSilent | None = None
        self.submitted: Submitted | None = None

    @property
    def today(self) -> date:
        """The day that it is in Denmark and Norway, by the clock of the installation."""
        return self.portal.runtime.clock.now().astimezone(ZONE).date()

    @property
    def sent(self) -> Submitted:
        """The form that was sent; raises `RuntimeError` where a page is only shown."""
        if self.submitted is None:
            raise RuntimeError("no form was sent")
        return self.submitted

    async def get(self, service: str, path: str, **params: object) -> Any:
        """Return what a service shows this person; raises `ServiceProblem` and `ServiceSilent`."""
        return (await self.answer(service, path, **params)).body

    async def items(self, service: str, path: str, **params: object) -> list[Any]:
        """Return the lines of a list, as far as one answer holds them."""
        found = await self.get(service, path, **params)
        return list(found["items"] if isinstance(found, Mapping) else found)

    async def note(self, service: str, path: str) -> None:
        """Put on record that the person has opened something; done once, however often it is opened."""
        key = hashlib.sha256(f"{self.person.account_id} {path}".encode()).hexdigest()
        await self._request("POST", service, path, body={}, headers={"Idempotency-Key": key})

    async def answer(self, service: str, path: str, **params: object) -> Answer:
        """Return what a service shows this person, with its version."""
        given = {name: str(value) for name, value in params.items() if value not in (None, "")}
        return await self._request("GET", service, path, params=given)

    async def read(self, service: str, path: str, body: Mapping[str, Any]) -> Any:
        """Return what a service answers to a question that has a body, such as many ids."""
        return (await self._request("POST", service, path, body=body)).body

    async def command(
        self,
        service: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        step: int = 0,
        version: str | int | None = None,
    ) -> Any:
        """Give a command once for this form, however often it is sent; return the service's answer."""
        sent = self.sent
        seen = sent.version if version is None else str(version)
        headers = {"Idempotency-Key": sent.key(step)} | ({"If-Match": f'"{seen}"'} if seen else {})
        return (await self._request("POST", service, path, body=body or {}, headers=headers)).body

    async def parts(self, **parts: Awaitable[Any]) -> dict[str, Any]:
        """Return what several calls answer, all at once; `SILENT` where a service does not answer.

        A refusal is raised: it concerns the page, not a part of it.
        """
        done = await asyncio.gather(*parts.values(), return_exceptions=True)
        for value in done:
            if isinstance(value, BaseException) and not isinstance(value, ServiceSilent):
                raise value
        return {
            name: SILENT if isinstance(value, ServiceSilent) else value
            for name, value in zip(parts, done, strict=True)
        }

    async def model(self) -> Mapping[str, Any]:
        """Return the collaboration model that the municipality follows, with its texts."""
        return await self.portal.catalogue.model(self)

    async def organisation_name(self, organisation_id: UUID | str) -> str:
        """Return an organisation's name; empty where the directory does not say it."""
        return await self.portal.catalogue.organisation_name(self, organisation_id)

    async def offer(self, offer_id: UUID | str) -> Mapping[str, Any]:
        """Return an offer of the catalogue; empty where the directory does not say it."""
        return await self.portal.catalogue.offer(self, offer_id)

    async def organisation_names(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the names of organisations by id."""
        wanted = list(dict.fromkeys(str(one) for one in ids))
        names = await asyncio.gather(*(self.organisation_name(one) for one in wanted))
        return dict(zip(wanted, names, strict=True))

    def form(self, form: Form[M], **known: object) -> Bound[M]:
        """Return a form as it was just sent, or empty with what is known."""
        if self.bound is not None and self.bound.form is form:
            return self.bound
        return form.empty(**known)

    def bind(self, form: Form[M]) -> Bound[M]:
        """Bind what was sent to a form; raises `FormRefused` where it does not fit."""
        self.bound = bound = form.bind(self.sent.data)
        if bound.model is None:
            raise FormRefused
        return bound

    def refuse(self, field: str, sentence: str) -> "FormRefused":
        """Return the refusal of a form for a reason that only the page knows; a marked sentence."""
        self.bound = (self.bound or Form.nothing()).refused(FieldError(field, sentence))
        return FormRefused()

    def translate(self, sentence: str, **values: object) -> str:
        """Return a marked sentence in the person's language."""
        return translate(self.language, sentence, **values)

    def new_key(self) -> str:
        """Return the key of a form that is about to be shown, bound to this session."""
        return new_key(self.person.secret)

    def nonce_of(self, key: str) -> str | None:
        """Return the nonce of a form's key; None where the key is not of this session."""
        return nonce_of(self.person.secret, key)

    def render(self, page: "Page | None" = None, /, **values: Any) -> HTMLResponse:
        """Return a page with its values."""
        return self.portal.page_response(self, page or self.page, values)

    def redirect(self, page: "Page", /, *, done: str = "", anchor: str = "", **values: object) -> Response:
        """Return the answer after a command: show a page anew, with a sentence that says what was done."""
        path = page.url(**values)
        query = "?" + urlencode({"done": done}) if done else ""
        return RedirectResponse(path + query + (f"#{quote(anchor)}" if anchor else ""), 303, NO_STORE)

    def redirect_to(self, path: str) -> Response:
        """Return the answer after a command that leads to an own address."""
        return RedirectResponse(path, 303, NO_STORE)

    @staticmethod
    def query(**values: object) -> str:
        """Return the query of an address, of what is given."""
        return urlencode({name: str(value) for name, value in values.items() if value not in (None, "")})

    async def _request(self, method: str, service: str, path: str, **more: Any) -> Answer:
        token = await self.portal.signed_in.token_of(self.person)
        return await self.portal.client.ask(
            method, service, path, token=token, language=self.language, **more
        )


class FormRefused(Exception):
    """A form was not accepted: the page is shown again with what is wrong, and what was typed."""


def uuid_of(text: str) -> UUID | None:
    """Return the id that a part of an address names; None where it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def portal_of(request: Request) -> "Portal":
    """Return what the pages of this site share, for a page that needs nobody to be signed in."""
    portal: Portal = request.app.state.portal
    return portal
