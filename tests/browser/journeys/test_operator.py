"""Operators find what is parked, and discard it by two."""

from datetime import UTC, datetime

from contracts.consent import CustodyRecorded
from demo.world import TENANT, World
from services.kernel.ids import new_id
from tests.browser.conftest import AsPerson
from tests.tally import a_message, publish
from tests.up import Server


async def test_two_operators_discard_a_parked_event(
    as_person: AsPerson, world: World, installation: Server
) -> None:
    """An event whose earlier one has not come waits; one proposes to discard it, another one does."""
    case_id = new_id()
    recorded = datetime(2026, 3, 2, tzinfo=UTC)
    first, second = [
        a_message(
            case_id,
            number,
            CustodyRecorded(holder_ids=(new_id(),), quorum="all", rule="x", recorded_at=recorded),
            tenant=TENANT,
        )
        for number in (1, 2)
    ]
    broker = f"127.0.0.1:{(installation.folder / 'broker.port').read_text().strip()}"
    await publish(broker, [second], topic="samspil.consent.v1")
    path = "/directory/operations/parked"
    await world.until(world["otto"], path, lambda page: len(page["items"]) == 1)
    otto = await as_person(world.made["otto"])

    await otto.follow("Drift")
    await otto.sees("Kører")
    await otto.follow("Se de parkerede hændelser")
    await otto.page.get_by_role("link", name="(directory, ").click()
    await otto.sees("En tidligere hændelse i forløbet er ikke kommet")
    await otto.press("Foreslå at kassere den")
    await otto.sees_error("Vælg")
    await otto.choose("Den siger noget, der ikke er sket")
    await otto.press("Foreslå at kassere den")
    await otto.sees_panel("En anden driftsansvarlig skal sige det samme")
    await otto.does_not_see("Kassér den af denne grund", beside="Tag forslaget tilbage")

    oda = await as_person(world.made["oda"])
    await oda.open(otto.page.url.partition("?")[0].removeprefix(installation.url))
    await oda.press("Kassér den af denne grund")
    await oda.sees_panel("Hændelsen er kasseret")

    await publish(broker, [first], topic="samspil.consent.v1")
    await oda.page.reload()
    await world.until(world["otto"], "/referral/operations/parked", lambda page: page["items"] == [])
