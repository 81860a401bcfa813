"""My work: what waits for a person, counted over the services, each count with the list behind it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from contracts.event import SERVICES
from services.portal.service_client import SILENT, ServiceProblem
from services.portal.texts import _n
from services.portal.visit import Visit

_ROWS: Final = 100


class Tile(NamedTuple):
    """One count on the start page: a marked sentence with its plural, the number, and where its list is.

    `number` is None where the service is silent. An `urgent` one is shown first where there is any.
    """

    sentence: tuple[str, str]
    number: int | None
    url: str
    urgent: bool = False


Counted = Callable[[Visit], Awaitable[list[Tile]]]


async def work_of(visit: Visit) -> list[Tile]:
    """Return the tiles of a person's role; those with something urgent first."""
    found = await asyncio.gather(*(counted(visit) for counted in _OF_ROLE.get(visit.person.role, ())))
    tiles = [tile for some in found for tile in some]
    return sorted(tiles, key=lambda tile: not (tile.urgent and tile.number))


async def _consents(visit: Visit) -> list[Tile]:
    found = await _rows(visit, "consent", "/consent/mine")
    return [
        Tile(
            _n("%(num)s consent waits for your answer", "%(num)s consents wait for your answer"),
            _count(found, lambda one: one["status"] == "requested"),
            "/consents",
            urgent=True,
        )
    ]


async def _referrals(visit: Visit) -> list[Tile]:
    found = await _rows(visit, "referral", "/referral/inbox")
    asked = _n("%(num)s referral waits for your answer", "%(num)s referrals wait for your answer")
    ended = _n(
        "%(num)s referral has ended: confirm that you have deleted it",
        "%(num)s referrals have ended: confirm that you have deleted them",
    )
    going = _n("%(num)s cooperation is under way", "%(num)s cooperations are under way")
    return [
        Tile(asked, _count(found, lambda one: one["status"] in {"sent", "seen"}), "/referrals", urgent=True),
        Tile(ended, _count(found, lambda one: one["status"] not in _SHARED), "/referrals", urgent=True),
        Tile(going, _count(found, lambda one: one["status"] in {"accepted", "under_way"}), "/cooperations"),
    ]


def _own_list(service: str, sentence: tuple[str, str], url: str) -> Counted:
    async def counted(visit: Visit) -> list[Tile]:
        found = await _rows(visit, service, f"/{service}/mine")
        return [Tile(sentence, _count(found, lambda _one: True), url, urgent=True)]

    return counted


async def _parked(visit: Visit) -> list[Tile]:
    parts = {name: visit.get(name, f"/{name}/operations/health") for name in SERVICES}
    found = list((await visit.parts(**parts)).values())
    heard = [one for one in found if one is not SILENT]
    parked = sum(sum(one["parked"].values()) for one in heard) if heard else None
    away = sum(1 for one in found if one is SILENT or not one["ready"])
    return [
        Tile(
            _n("%(num)s service does not run", "%(num)s services do not run"), away, "/running", urgent=True
        ),
        Tile(_n("%(num)s event is parked", "%(num)s events are parked"), parked, "/running/parked"),
    ]


async def _messages(visit: Visit) -> list[Tile]:
    found = await visit.parts(inbox=visit.get("notify", "/notify/inbox", unread="true", limit=1))
    count = None if found["inbox"] is SILENT else int(found["inbox"]["unread"])
    return [Tile(_n("%(num)s unread message", "%(num)s unread messages"), count, "/messages")]


async def _rows(visit: Visit, service: str, path: str) -> list[dict[str, Any]] | None:
    """Return the rows of a list, None where its service is silent or cannot say it just now."""
    try:
        found = await visit.parts(rows=visit.items(service, path, limit=_ROWS))
    except ServiceProblem:
        return None
    return None if found["rows"] is SILENT else list(found["rows"])


def _count(rows: list[dict[str, Any]] | None, fits: Callable[[dict[str, Any]], bool]) -> int | None:
    return None if rows is None else sum(1 for one in rows if fits(one))


_SHARED: Final = frozenset({"sent", "seen", "accepted", "under_way"})
_AGREEMENTS: Final = _n("%(num)s step waits in an agreement", "%(num)s steps wait in agreements")
_EVALUATIONS: Final = _n("%(num)s evaluation waits for you", "%(num)s evaluations wait for you")
_OF_ROLE: Final[dict[str, tuple[Counted, ...]]] = {
    "guardian": (
        _consents,
        _own_list("agreement", _AGREEMENTS, "/children"),
        _own_list("evaluation", _EVALUATIONS, "/children"),
        _messages,
    ),
    "young_person": (
        _consents,
        _own_list("agreement", _AGREEMENTS, "/children"),
        _own_list("evaluation", _EVALUATIONS, "/children"),
        _messages,
    ),
    "coordinator": (
        _referrals,
        _own_list("agreement", _AGREEMENTS, "/cooperations"),
        _own_list("evaluation", _EVALUATIONS, "/cooperations"),
        _messages,
    ),
    "caseworker": (
        _own_list("agreement", _AGREEMENTS, "/cases"),
        _own_list("evaluation", _EVALUATIONS, "/cases"),
        _messages,
    ),
    "leader": (_messages,),
    "operator": (_parked,),
}
