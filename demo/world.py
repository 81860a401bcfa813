"""World of the situations: made-up people with accounts, and the steps that they take over HTTP."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID, uuid4

from msgspec import Struct

from demo.wire import Answer, Person, Unexpected, Wire

TENANT: Final = "0440"
MODEL: Final = "kerteminde"
_GOOD: Final = frozenset({200, 201})
_ABSENT: Final = 404
_STALE: Final = 412
_UNCONFIRMED: Final = "custody-unconfirmed"
_TRIES: Final = 60
_PAUSE_SECONDS: Final = 0.1


class Made(Struct, frozen=True):
    """A made-up person: the card at sign-in, and by whom the services know them."""

    name: str
    subject: str
    hint: str
    person: Person


class World:
    """One municipality of made-up people; every step goes over HTTP, as a person takes it."""

    def __init__(self, wire: Wire, issuer: str, today: date) -> None:
        """Speak to a server of `samspil up`, whose pretended sign-in service is `issuer`."""
        self.wire = wire
        self.issuer = issuer
        self.today = today
        self.made: dict[str, Made] = {}
        self.departments: dict[str, UUID] = {}
        self.organisations: dict[str, UUID] = {}
        self.offers: dict[str, UUID] = {}
        self._run, self._keys = uuid4(), count()
        self._setter = Person(UUID("0199a000-0000-7000-8000-00000000ad01"), "administrator")
        self._portal = Person(UUID("0199a000-0000-7000-8000-00000000ad02"), "portal")

    def __getitem__(self, subject: str) -> Person:
        """Return a made-up person by the subject of their card."""
        return self.made[subject].person

    async def do(self, who: Person, path: str, body: object = None, version: int | None = None) -> Any:
        """Take a step and return its answer; raise `Unexpected` where it is refused.

        What has not arrived yet from another service is waited for.
        """
        key = f"{self._run}-{next(self._keys)}"
        answer = await self._post(who, path, body or {}, key, version)
        if answer.status not in _GOOD:
            raise Unexpected(f"{answer.status} {answer.slug} at POST {path}: {answer.body}")
        return answer.body

    async def _post(self, who: Person, path: str, body: object, key: str, version: int | None) -> Answer:
        answer = await self.wire.post(who, path, body, key=key, version=version)
        for _ in range(_TRIES):
            if answer.status == _STALE:
                version = (await self.wire.get(who, _case_of(path))).version
            elif answer.status == _ABSENT or answer.slug == _UNCONFIRMED:
                # another service's event is on its way
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                break
            answer = await self.wire.post(who, path, body, key=key, version=version)
        return answer

    async def step(self, who: Person, case_id: UUID, service: str, rest: str, body: object = None) -> Any:
        """Take a step in a case, having read the version at which it stands."""
        seen = await self.until(who, f"/{service}/cases/{case_id}", lambda _view: True)
        return await self.do(who, f"/{service}/cases/{case_id}{rest}", body, int(seen["version"]))

    async def until(self, who: Person, path: str, holds: Callable[[Any], bool]) -> Any:
        """Read until something has arrived, and return it; raise `Unexpected` where it does not come."""
        for _ in range(_TRIES):
            answer = await self.wire.get(who, path)
            if answer.status in _GOOD and holds(answer.body):
                return answer.body
            await asyncio.sleep(_PAUSE_SECONDS)
        raise Unexpected(f"{answer.status} {answer.slug} at GET {path}: what was waited for has not come")

    async def set_up(self) -> None:
        """Adopt the model, and let departments, organisations and their people in."""
        adopted = await self.wire.get(self._setter, "/directory/model")
        if adopted.status == 404:  # noqa: PLR2004  HTTP's number
            await self.do(self._setter, "/directory/models/adopt", {"model": MODEL, "version": 1})
        for kind, name in _DEPARTMENTS.items():
            done = await self.do(self._setter, "/directory/departments", {"kind": kind, "name": name})
            self.departments[kind] = UUID(done["made"])
        for name in _ORGANISATIONS:
            body = {
                "name": name,
                "terms": f"{MODEL}_1",
                "declaration_until": self.today + timedelta(days=700),
            }
            done = await self.do(self._setter, "/directory/organisations", body)
            self.organisations[name] = UUID(done["id"])
        for subject, name, role, place, hint in _STAFF:
            await self._admit(subject, name, role, place, hint)
        for title, (name, offer) in _OFFERS.items():
            await self.publish(title, name, offer)

    async def publish(self, title: str, organisation: str, offer: Mapping[str, object]) -> None:
        """Put an offer into the catalogue, as the organisation's coordinator."""
        coordinator = next(
            one.person
            for one in self.made.values()
            if one.person.organisation_id == self.organisations[organisation]
        )
        path = f"/directory/organisations/{coordinator.organisation_id}/offers"
        done = await self.do(coordinator, path, {"title": title, "areas": [TENANT], **offer})
        self.offers[title] = UUID(done["id"])

    async def _admit(self, subject: str, name: str, role: str, place: str, hint: str) -> None:
        body: dict[str, Any] = {"role": role, "name": name}
        if place in self.departments:
            body["department_id"] = self.departments[place]
        if place in self.organisations:
            body["organisation_id"] = self.organisations[place]
        await self._redeem(self._setter, body, subject, name, role, hint)

    async def admit_family(
        self, caseworker: Person, person_id: UUID, role: str, card: tuple[str, str, str]
    ) -> None:
        """Invite somebody of a family, and let them use the code; `card` is subject, name and hint."""
        subject, name, hint = card
        await self._redeem(caseworker, {"role": role, "person_id": person_id}, subject, name, role, hint)

    async def _redeem(self, by: Person, body: object, subject: str, name: str, role: str, hint: str) -> None:
        invited = await self.do(by, "/directory/invitations", body)
        used = {"code": invited["code"], "issuer": self.issuer, "subject": subject}
        account = await self.do(self._portal, "/directory/invitations/redeem", used)
        membership = next(one for one in account["memberships"] if one["role"] == role)
        card = {"name": name, "subject": subject, "tenant": TENANT, "role": role, "hint": hint}
        await self.do(self._setter, "/development/people", card)
        places = {
            at: UUID(membership[at]) for at in ("department_id", "organisation_id") if membership.get(at)
        }
        self.made[subject] = Made(name, subject, hint, Person(UUID(membership["sub"]), role, **places))


def _case_of(path: str) -> str:
    """Return the address of the case, organisation or offer that a step is about."""
    parts = path.split("/")
    return "/".join(parts[:4])


_DEPARTMENTS: Final = {
    "child_welfare": "Børne- og familieafdelingen",
    "counselling": "Børn- og Ungerådgivningen",
}
_ORGANISATIONS: Final = ("Red Barnet", "Børns Voksenvenner", "Link")
_OFFERS: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "Læsemakker": (
        "Red Barnet",
        {
            "theme": "mentor",
            "format": "one_to_one",
            "age_from": 6,
            "age_to": 17,
            "price": "free",
            "places": 8,
        },
    ),
    "Fredagsklubben": (
        "Red Barnet",
        {"theme": "leisure", "format": "group", "age_from": 5, "age_to": 15, "price": "free", "places": 12},
    ),
    "Voksenven": (
        "Børns Voksenvenner",
        {
            "theme": "mentor",
            "format": "one_to_one",
            "age_from": 6,
            "age_to": 17,
            "price": "free",
            "places": 5,
        },
    ),
}
_STAFF: Final = (
    ("ida", "Ida Eksempel", "caseworker", "child_welfare", "Sagsbehandler i Børne- og familieafdelingen"),
    ("ole", "Ole Eksempel", "caseworker", "child_welfare", "Idas kollega, som bekræfter det, hun noterer"),
    ("uno", "Uno Andetsteds", "caseworker", "counselling", "Sagsbehandler i en anden afdeling"),
    (
        "kim",
        "Kim Påfund",
        "coordinator",
        "Red Barnet",
        "Koordinator i Red Barnet, med henvisninger, der venter",
    ),
    ("eva", "Eva Påfund", "coordinator", "Børns Voksenvenner", "Koordinator i Børns Voksenvenner"),
    ("lars", "Lars Eksempel", "leader", "child_welfare", "Leder, som ser tallene"),
    ("rita", "Rita Eksempel", "auditor", "", "Revisor, som ser loggen"),
    ("anne", "Anne Eksempel", "administrator", "", "Administrator, som lukker folk ind og ud"),
    ("bodil", "Bodil Eksempel", "bridge_builder", "", "Brobygger, som finder tilbud"),
    ("otto", "Otto Eksempel", "operator", "", "Drift, som ser, om alt kører"),
    ("oda", "Oda Eksempel", "operator", "", "Ottos kollega, som også skal sige ja, før noget kasseres"),
)
