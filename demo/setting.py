"""The stage: Kerteminde's model, its departments, five associations with their offers, and who acts."""

from datetime import date, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID, uuid5

from msgspec import Struct

from demo.dice import dice
from demo.names import address
from demo.wire import Person, Unexpected, Wire

TENANT: Final = "0440"
MODEL: Final = "kerteminde"
MODEL_VERSION: Final = 1
_AUDITORS: Final = 4
_DECLARED: Final = timedelta(days=730)
_CASES_A_CASEWORKER: Final = 40
_CASES_A_PLACE: Final = 50
_DEPARTMENTS: Final = (
    ("counselling", "Børn- og Ungerådgivningen"),
    ("child_welfare", "Børne- og familieafdelingen"),
    ("health_visitors", "Sundhedsplejen"),
)
_ASSOCIATIONS: Final = (
    ("Link", (("mentor", "one_to_one", 4, 17, "free"), ("social_network", "group", 6, 17, "free"))),
    ("DUI", (("leisure", "group", 3, 17, "subsidised"), ("social_network", "group", 3, 17, "free"))),
    ("Børns Voksenvenner", (("mentor", "one_to_one", 6, 17, "free"),)),
    (
        "Mødrehjælpen",
        (("family_guidance", "family", 0, 17, "free"), ("social_network", "family", 0, 17, "free")),
    ),
    ("Red Barnet", (("family_guidance", "family", 0, 17, "free"), ("leisure", "group", 0, 17, "paid"))),
)


class Department(Struct, frozen=True):
    """One department, its leader and its caseworkers, of whom the first reads the lists for all."""

    id: UUID
    leader: Person
    caseworkers: tuple[Person, ...]


class Cast(Struct, frozen=True):
    """The cast besides the families; `places` is the capacity of each offer, as last set."""

    run: UUID
    administrator: Person
    operator: Person
    auditors: tuple[Person, ...]
    departments: tuple[Department, ...]
    coordinators: dict[UUID, Person]
    places: dict[UUID, int]


async def set_the_stage(wire: Wire, run: UUID, cases: int, today: date) -> Cast:
    """Adopt the model, let everybody in, publish the offers, say how all are reached; return who acts.

    Departments and organisations get their ids from the server; who works there signs in with these.
    """
    stage = _Stage(wire, run)
    await stage.adopt()
    size = max(1, round(cases / _CASES_A_CASEWORKER / len(_DEPARTMENTS)))
    departments = [await _department(stage, kind, name, size) for kind, name in _DEPARTMENTS]
    coordinators: dict[UUID, Person] = {}
    places: dict[UUID, int] = {}
    for name, offers in _ASSOCIATIONS:
        at = await stage.join(name, today)
        coordinators[at] = Person(uuid5(run, f"coordinator:{name}"), "coordinator", None, at)
        await stage.reach(coordinators[at], address(dice(run, name)))
        for offer in offers:
            room = max(3, cases // _CASES_A_PLACE)
            places[await stage.publish(coordinators[at], name, offer, room)] = room
    return Cast(
        run=run,
        administrator=stage.administrator,
        operator=Person(uuid5(run, "operator"), "operator"),
        auditors=tuple(Person(uuid5(run, f"auditor:{n}"), "auditor") for n in range(_AUDITORS)),
        departments=tuple(departments),
        coordinators=coordinators,
        places=places,
    )


async def _department(stage: "_Stage", kind: str, name: str, size: int) -> Department:
    at = await stage.register(kind, name)
    department = Department(
        at,
        Person(uuid5(stage.run, f"leader:{kind}"), "leader", at),
        tuple(Person(uuid5(stage.run, f"caseworker:{kind}:{n}"), "caseworker", at) for n in range(size)),
    )
    await stage.reach(department.leader, address(dice(stage.run, kind)))
    for caseworker in department.caseworkers:
        await stage.reach(caseworker, None)
    return department


class _Stage:
    """Gives the commands of the set-up, each under a key of its own."""

    def __init__(self, wire: Wire, run: UUID) -> None:
        self.run = run
        self.administrator = Person(uuid5(run, "administrator"), "administrator")
        self._wire = wire
        self._numbers = count()

    async def do(self, who: Person, path: str, body: object, version: int | None = None) -> Any:
        key = f"{self.run}:stage:{next(self._numbers)}"
        answer = await self._wire.post(who, path, body, key=key, version=version)
        if answer.status not in {200, 201}:
            raise Unexpected(f"{answer.status} {answer.slug} at POST {path}")
        return answer.body

    async def adopt(self) -> None:
        adopted = await self._wire.get(self.administrator, "/directory/model")
        if adopted.status == 200 and adopted.body["ref"] == f"{MODEL}/{MODEL_VERSION}":  # noqa: PLR2004  HTTP's
            return
        body = {"model": MODEL, "version": MODEL_VERSION}
        await self.do(self.administrator, "/directory/models/adopt", body, adopted.version)

    async def register(self, kind: str, name: str) -> UUID:
        done = await self.do(self.administrator, "/directory/departments", {"kind": kind, "name": name})
        return UUID(done["made"])

    async def reach(self, who: Person, email: str | None) -> None:
        """Say how somebody is reached, or their department or organisation, as they would do it."""
        await self.do(who, "/notify/contacts/mine", {"language": "da", "email": email})

    async def join(self, name: str, today: date) -> UUID:
        body = {
            "name": name,
            "terms": f"{MODEL}_{MODEL_VERSION}",
            "declaration_until": today + _DECLARED,
        }
        done = await self.do(self.administrator, "/directory/organisations", body)
        return UUID(done["id"])

    async def publish(
        self, coordinator: Person, name: str, offer: tuple[str, str, int, int, str], places: int
    ) -> UUID:
        theme, form, age_from, age_to, price = offer
        body = {
            "title": f"{name}: {theme}",
            "theme": theme,
            "format": form,
            "age_from": age_from,
            "age_to": age_to,
            "areas": [TENANT],
            "price": price,
            "places": places,
        }
        path = f"/directory/organisations/{coordinator.organisation_id}/offers"
        done = await self.do(coordinator, path, body)
        return UUID(done["id"])
