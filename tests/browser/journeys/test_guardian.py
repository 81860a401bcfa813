"""A parent decides what is shared: yes, a receipt, and no more in two clicks."""

import json

import pytest

from demo.situations import Child, asked
from demo.world import World
from tests.browser.conftest import AsPerson
from tests.browser.manner import MOUSE, NARROW, WITHOUT_SCRIPT, Manner
from tests.browser.somebody import Somebody


@pytest.mark.req("K3", "H1")
@pytest.mark.parametrize("manner", [MOUSE, NARROW, WITHOUT_SCRIPT], ids=lambda one: one.name, indirect=True)
async def test_a_parent_says_yes_and_takes_it_back_in_two_clicks(
    as_person: AsPerson, world: World, manner: Manner
) -> None:
    """Nobody is asked why, and the page says at once what has stopped."""
    subject = f"guardian-{manner.name}"
    name = f"Gry {manner.name.title()} Opfundet"
    await asked(world, Child("Nora", "Opfundet", 9, ((subject, name, "Noras mor"),)), "Læsemakker")
    gry = await as_person(world.made[subject])

    await gry.follow("Samtykker")
    await gry.follow("Læs og svar")
    await gry.press("Send dit svar")
    await gry.sees_error("Vælg ja eller nej")
    await _says_yes(gry)
    await gry.follow("Se kvitteringen")
    await gry.sees("Kvitteringens nummer")
    assert (await gry.saved("Gem som dokument (PDF)", "receipt.pdf")).startswith(b"%PDF-")
    assert json.loads(await gry.saved("Gem som fil (JSON)", "receipt.json"))["state"] == "given"
    await gry.follow("Tilbage til dine samtykker")
    await gry.follow("Stop delingen")
    await gry.press("Stop delingen nu")

    await gry.sees_panel("Delingen er stoppet")
    await gry.does_not_see("Stop delingen", beside="Du stoppede delingen")


async def _says_yes(gry: Somebody) -> None:
    """Say yes; a consent needs a stronger sign-in, after which the person is back at the question."""
    await gry.choose("Ja, det må deles")
    await gry.press("Send dit svar")
    await gry.sees_heading("Bekræft, at det er dig")
    await gry.confirm()
    await gry.choose("Ja, det må deles")
    await gry.press("Send dit svar")
    await gry.sees_panel("Du har sagt ja")


@pytest.mark.req("K3")
async def test_a_parent_says_no(as_person: AsPerson, world: World) -> None:
    """A no is as easy as a yes, and needs no stronger sign-in."""
    await asked(
        world, Child("Otis", "Opfundet", 8, (("far-nej", "Aage Opfundet", "Otis' far"),)), "Læsemakker"
    )
    aage = await as_person(world.made["far-nej"])

    await aage.follow("Samtykker")
    await aage.follow("Læs og svar")
    await aage.choose("Nej, det må ikke deles")
    await aage.press("Send dit svar")

    await aage.sees_panel("Du har sagt nej")
    await aage.sees("Du sagde nej")
