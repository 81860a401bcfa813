"""Staff besides the cases: inboxes, figures, corrected capacities, the audit trail."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from demo.casefile import World
from demo.days import ONE_DAY, on_duty
from demo.ledger import READING, Deed
from demo.setting import Department
from demo.story_end import INBOX
from demo.wire import Person, Unexpected

_NEWS: Final = "/notify/inbox?unread=true&limit=20"
_CATALOGUE: Final = "/directory/offers?organisation_id="
_AT_A_TIME: Final = 2
_MONTH: Final = 28
_TAKEN: Final = frozenset({"accepted", "under_way"})
_GOOD: Final = frozenset({200, 201})
_TAKEN_BACK: Final = frozenset({403, 404})


def stories(world: World) -> Iterator[Any]:
    """Return the stories of everybody who belongs to no single case."""
    for department in world.cast.departments:
        for caseworker in department.caseworkers:
            yield _read_inbox(world, caseworker)
        yield _lead(world, department)
    for coordinator in world.cast.coordinators.values():
        yield _read_inbox(world, coordinator)
        yield _correct_places(world, coordinator)
    yield _audit(world)


async def _read_inbox(world: World, who: Person) -> None:
    """Go through an inbox once a month, and open some of what is new."""
    number = 0
    while True:
        day = on_duty(world.days.today + _MONTH * ONE_DAY)
        [inbox] = await world.days.until(day, (who, _NEWS), order=-1)
        for notice in inbox["notices"][:_AT_A_TIME]:
            number += 1
            await _open(world, who, notice, number)


async def _open(world: World, who: Person, notice: Any, number: int) -> None:
    """Open a notice; somebody else's step of the same day may have taken it back."""
    path, key = f"/notify/inbox/{notice['notice_id']}/read", f"{world.cast.run}:notice:{who.id}:{number}"
    answer = await world.wire.post(who, path, None, key=key)
    book = world.ledger.cases.get(UUID(notice["case_id"]))
    if answer.status in _TAKEN_BACK and book is not None:
        book.perhaps["notify.access_refused.v1", who.id] += 1
        return
    if answer.status not in _GOOD:
        raise Unexpected(f"{answer.status} {answer.slug} at the reading of a notice")
    world.ledger.counted()
    if book is not None:
        book.deeds.append(Deed(f"notice:{number}", READING, who.id, world.days.today))


async def _lead(world: World, department: Department) -> None:
    """Read the figures once a month."""
    leader = department.leader
    while True:
        await world.days.until(world.days.today + _MONTH * ONE_DAY, (leader, _NEWS), order=-1)
        for path in ("/referral/funnel", "/agreement/figures", "/evaluation/outcomes"):
            await world.wire.read(leader, path)


async def _correct_places(world: World, coordinator: Person) -> None:
    """Find more volunteers once a month for an offer that is full."""
    catalogue = f"{_CATALOGUE}{coordinator.organisation_id}"
    while True:
        day = world.days.today + _MONTH * ONE_DAY
        inbox, offers = await world.days.until(day, (coordinator, INBOX), (coordinator, catalogue), order=-1)
        for offer in offers:
            taken = [
                line for line in inbox if line["offer_id"] == offer["offer_id"] and line["status"] in _TAKEN
            ]
            if len(taken) >= offer["places"]:
                places = offer["places"] + 1
                step = f"places:{offer['offer_id']}:{day}"
                path = f"/directory/offers/{offer['offer_id']}/capacity"
                key = f"{world.cast.run}:{step}"
                answer = await world.wire.post(
                    coordinator, path, {"places": places}, key=key, version=offer["version"]
                )
                if answer.status not in _GOOD:
                    raise Unexpected(f"{answer.status} {answer.slug} at the places of an offer")
                world.ledger.counted()
                world.cast.places[UUID(offer["offer_id"])] = places


async def _audit(world: World) -> None:
    """Search the trail once a month for refused reads."""
    while True:
        await world.days.until(world.days.today + _MONTH * ONE_DAY, order=-1)
        path = "/audit/search?type=referral.access_refused.v1&limit=500"
        await world.wire.read(world.cast.auditors[0], path)
