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


def cast_of(run: UUID, cases: int) -> Cast:
    """Return who acts in one run; other runs have others."""
    size = max(1, round(cases / _CASES_A_CASEWORKER / len(_DEPARTMENTS)))
    return Cast(
        run=run,
        administrator=Person(uuid5(run, "administrator"), "administrator"),
        operator=Person(uuid5(run, "operator"), "operator"),
        auditors=tuple(Person(uuid5(run, f"auditor:{n}"), "auditor") for n in range(_AUDITORS)),
        departments=tuple(_department(run, kind, size) for kind, _ in _DEPARTMENTS),
        coordinators=dict(_coordinator(run, name) for name, _ in _ASSOCIATIONS),
        places={},
    )


def _department(run: UUID, kind: str, size: int) -> Department:
    at = uuid5(run, kind)
    return Department(
        at,
        Person(uuid5(run, f"leader:{kind}"), "leader", at),
        tuple(Person(uuid5(run, f"caseworker:{kind}:{n}"), "caseworker", at) for n in range(size)),
    )


def _coordinator(run: UUID, name: str) -> tuple[UUID, Person]:
    at = uuid5(run, name)
    return at, Person(uuid5(run, f"coordinator:{name}"), "coordinator", None, at)


async def set_the_stage(wire: Wire, cast: Cast, cases: int, today: date) -> None:
    """Adopt the model, let everybody in, publish the offers, and say how all are reached."""
    stage = _Stage(wire, cast)
    await stage.adopt()
    for department, (kind, name) in zip(cast.departments, _DEPARTMENTS, strict=True):
        body = {"department_id": department.id, "kind": kind, "name": name}
        await stage.do(cast.administrator, "/directory/departments", body)
        await stage.reach(department.id, address(dice(cast.run, kind)))
        for caseworker in department.caseworkers:
            await stage.reach(caseworker.id, None)
    for (organisation_id, coordinator), (name, offers) in zip(
        cast.coordinators.items(), _ASSOCIATIONS, strict=True
    ):
        await stage.join(organisation_id, name, today)
        await stage.reach(organisation_id, address(dice(cast.run, name)))
        for offer in offers:
            await stage.publish(coordinator, name, offer, max(3, cases // _CASES_A_PLACE))


class _Stage:
    """Gives the commands of the set-up, each under a key of its own."""

    def __init__(self, wire: Wire, cast: Cast) -> None:
        self._wire = wire
        self._cast = cast
        self._numbers = count()

    async def do(self, who: Person, path: str, body: object, version: int | None = None) -> Any:
        key = f"{self._cast.run}:stage:{next(self._numbers)}"
        answer = await self._wire.post(who, path, body, key=key, version=version)
        if answer.status not in {200, 201}:
            raise Unexpected(f"{answer.status} {answer.slug} at POST {path}")
        return answer.body

    async def adopt(self) -> None:
        administrator = self._cast.administrator
        adopted = await self._wire.get(administrator, "/directory/model")
        if adopted.status == 200 and adopted.body["ref"] == f"{MODEL}/{MODEL_VERSION}":  # noqa: PLR2004  HTTP's
            return
        body = {"model": MODEL, "version": MODEL_VERSION}
        await self.do(administrator, "/directory/models/adopt", body, adopted.version)

    async def reach(self, recipient_id: UUID, email: str | None) -> None:
        body = {"language": "da", "email": email}
        await self.do(self._cast.administrator, f"/notify/contacts/{recipient_id}", body)

    async def join(self, organisation_id: UUID, name: str, today: date) -> None:
        body = {
            "organisation_id": organisation_id,
            "name": name,
            "terms": f"{MODEL}_{MODEL_VERSION}",
            "declaration_until": today + _DECLARED,
        }
        await self.do(self._cast.administrator, "/directory/organisations", body)

    async def publish(
        self, coordinator: Person, name: str, offer: tuple[str, str, int, int, str], places: int
    ) -> None:
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
        self._cast.places[UUID(done["id"])] = places
