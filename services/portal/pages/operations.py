"""Operations: how each service is, what is parked of the municipality, taken up again or discarded by two."""

from typing import Any, Final

from fastapi import Response
from pydantic import BaseModel

from contracts.event import SERVICES
from services.kernel.errors import NotFound
from services.portal.forms import Choice, Form
from services.portal.pages.page import Area, Page
from services.portal.service_client import SILENT
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
OPERATOR: Final = ("operator",)
_MOST: Final = 200

RUNNING: Final = Page(
    "/running",
    "operator/running.html",
    _("Operations"),
    OPERATOR,
    calls=("operations.health",),
    menu=_("Operations"),
)
PARKED: Final = Page(
    "/running/parked",
    "operator/parked.html",
    _("Parked events"),
    OPERATOR,
    looks=("parked_list",),
    calls=("operations.parked",),
    commands=("replay",),
    parent=RUNNING,
    done={
        "replayed": _("The events are taken up again. What is still parked is shown here."),
        "dropped": _("The event is discarded, and the case goes on without it. The trail names both of you."),
    },
)
EVENT: Final = Page(
    "/running/parked/{service}/{number}",
    "operator/event.html",
    _("Parked event"),
    OPERATOR,
    looks=("parked_show",),
    calls=("operations.parked",),
    commands=("replay", "propose", "withdraw", "confirm"),
    parent=PARKED,
    done={
        "proposed": _("You have proposed to discard it. Another operator must say so too."),
        "withdrawn": _("The proposal is taken back. The event stays parked."),
    },
)

WHY: Final = (
    ("sent_again", _("Its sender has sent the true one")),
    ("not_ours", _("Its sender had no right to, or it belongs elsewhere")),
    ("untrue", _("It states what did not happen")),
    ("without_effect", _("Nothing here depends on it")),
    ("settled_by_hand", _("It was settled by hand instead")),
)
BECAUSE: Final = {
    "gap": _("An earlier event of the case has not come"),
    "behind": _("An earlier event of the case is parked"),
    "divergence": _("Another event has the same number: the sender was restored"),
    "header": _("The message cannot be read"),
    "source": _("Its sender may not send such events"),
    "tenant": _("It names no municipality, or another one than its case"),
    "body": _("The body is not as agreed"),
    "version": _("It is of a version that is not known here"),
    "oversized": _("It is too large"),
    "held": _("Too much of this municipality could not be applied"),
    "refused": _("A rule says no"),
    "bug": _("A rule raised an unexpected error"),
}


class Discard(BaseModel):
    """Why an event is to be discarded."""

    why: str


DISCARD: Final = Form(Discard, why=Choice(_("Why is it to be discarded?"), options=WHY))


@AREA.get(RUNNING)
async def running(visit: Visit) -> Response:
    """Show how each service is; one that does not answer says that."""
    found = await visit.parts(**{name: visit.get(name, f"/{name}/operations/health") for name in SERVICES})
    return visit.render(services=found)


@AREA.get(PARKED)
async def parked(visit: Visit) -> Response:
    """List what is parked of the municipality in all services, oldest first."""
    found = await _parked(visit)
    events = [one for rows in found.values() if rows is not SILENT for one in rows]
    silent = [name for name, rows in found.items() if rows is SILENT]
    return visit.render(
        events=sorted(events, key=lambda one: str(one["parked_at"])), silent=silent, because=BECAUSE
    )


@AREA.post(PARKED, "replay")
async def replay_all(visit: Visit) -> Response:
    """Take everything up again, in every service that has something."""
    found = await _parked(visit)
    for step, (name, rows) in enumerate(found.items()):
        if rows:
            await visit.command(name, f"/{name}/operations/take-up", {}, step=step, version="")
    return visit.redirect(PARKED, done="replayed")


@AREA.get(EVENT)
async def event(visit: Visit, service: str, number: str) -> Response:
    """Show one parked event, and what can be done with it."""
    found = await _one(visit, service, number)
    return visit.render(
        one=found,
        service=service,
        because=BECAUSE,
        why=dict(WHY),
        form=visit.form(DISCARD),
    )


@AREA.post(EVENT, "replay")
async def replay(visit: Visit, service: str, number: str) -> Response:
    """Take one event up again, after those before it."""
    found = await _one(visit, service, number)
    await visit.command(service, f"{_at(service, found)}/take-up", version="")
    return visit.redirect(PARKED, done="replayed")


@AREA.post(EVENT, "propose")
async def propose(visit: Visit, service: str, number: str) -> Response:
    """Propose to discard an event."""
    found = await _one(visit, service, number)
    body = {"why": visit.bind(DISCARD).value.why}
    await visit.command(service, f"{_at(service, found)}/propose-drop", body, version="")
    return visit.redirect(EVENT, done="proposed", service=service, number=number)


@AREA.post(EVENT, "withdraw")
async def withdraw(visit: Visit, service: str, number: str) -> Response:
    """Take a proposal back."""
    found = await _one(visit, service, number)
    await visit.command(service, f"{_at(service, found)}/withdraw-drop", version="")
    return visit.redirect(EVENT, done="withdrawn", service=service, number=number)


@AREA.post(EVENT, "confirm")
async def confirm(visit: Visit, service: str, number: str) -> Response:
    """Discard an event that another operator has proposed to discard, for the same reason."""
    found = await _one(visit, service, number)
    body = {"why": visit.sent.text("why")}
    await visit.command(service, f"{_at(service, found)}/confirm-drop", body, version="")
    return visit.redirect(PARKED, done="dropped")


def _at(service: str, event: dict[str, Any]) -> str:
    return f"/{service}/operations/parked/{event['id']}"


async def _parked(visit: Visit) -> dict[str, Any]:
    """Return the parked events of each service, as far as one page holds; `SILENT` where one is."""
    return await visit.parts(
        **{name: visit.items(name, f"/{name}/operations/parked", limit=_MOST) for name in SERVICES}
    )


async def _one(visit: Visit, service: str, number: str) -> dict[str, Any]:
    """Return one parked event; raises `NotFound` where there can be none under the number."""
    if service not in SERVICES or not (number.isascii() and number.isdigit()):
        raise NotFound
    return dict(await visit.get(service, f"/{service}/operations/parked/{number}"))
