"""Page of a person's own sessions: where they are signed in, and how to end it."""

from typing import Final

from fastapi import Response
from fastapi.responses import RedirectResponse

from services.kernel.errors import NotFound
from services.portal.pages.page import EVERYBODY, Area, Page
from services.portal.sessions import Session, idle_minutes
from services.portal.sign_in.cookies import SESSION
from services.portal.texts import _
from services.portal.visit import NO_STORE, Visit, uuid_of

AREA: Final = Area()

SESSIONS: Final = Page(
    "/sessions",
    "sign_in/sessions.html",
    _("Where you are signed in"),
    EVERYBODY,
    commands=("end", "end_all"),
    done={"ended": _("The other sign-in has ended.")},
)


@AREA.get(SESSIONS)
async def sessions(visit: Visit) -> Response:
    """Show somebody's own sessions, this one first."""
    own = _own(visit)
    found = await visit.portal.sign_in.sessions.of_account(own)
    minutes = round(idle_minutes(own.role, visit.portal.runtime.settings))
    ordered = sorted(found, key=lambda one: one.session_id != own.session_id)
    named = [(one, visit.portal.role_name(one.role, visit.language)) for one in ordered]
    return visit.render(sessions=named, own=own.session_id, minutes=minutes)


@AREA.post(SESSIONS, "end")
async def end(visit: Visit) -> Response:
    """End one of them."""
    session_id = uuid_of(_sent(visit, "session_id"))
    if session_id is None:
        raise NotFound
    own = _own(visit)
    await visit.portal.sign_in.end(own, session_id)
    return _signed_out(visit) if session_id == own.session_id else visit.redirect(SESSIONS, done="ended")


@AREA.post(SESSIONS, "end_all")
async def end_all(visit: Visit) -> Response:
    """Sign out everywhere."""
    await visit.portal.sign_in.end_all(_own(visit))
    return _signed_out(visit)


def _signed_out(visit: Visit) -> Response:
    answer = RedirectResponse("/sign-out", 303, NO_STORE)
    visit.portal.sign_in.cookies.delete(answer, SESSION)
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


def _own(visit: Visit) -> Session:
    session: Session = visit.request.state.session
    return session


def _sent(visit: Visit, name: str) -> str:
    return visit.submitted.text(name) if visit.submitted else ""
