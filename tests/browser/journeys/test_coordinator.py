"""A coordinator answers a referral, on a phone too."""

import pytest

from demo.situations import Child, sent
from demo.world import World
from tests.browser.conftest import AsPerson
from tests.browser.manner import BY_KEYBOARD, NARROW, WITHOUT_SCRIPT, Manner


def _child(first_name: str) -> Child:
    parent = f"{first_name}s far"
    return Child(first_name, "Opfundet", 9, ((f"far-til-{first_name}", f"{parent} Opfundet", parent),))


@pytest.mark.req("K1", "N6")
@pytest.mark.parametrize(
    "manner", [NARROW, WITHOUT_SCRIPT, BY_KEYBOARD], ids=lambda one: one.name, indirect=True
)
async def test_a_coordinator_takes_a_referral(as_person: AsPerson, world: World, manner: Manner) -> None:
    """One press; before it, only what the family has agreed to is shown."""
    case = await sent(
        world, _child({"narrow": "Ebbe", "without_script": "Fie"}.get(manner.name, "Gro")), "Voksenven"
    )
    eva = await as_person(world.made["eva"])

    await eva.open(f"/referrals/{case.case_id}/{case.referral_id}")
    await eva.sees_heading(case.child.first_name)
    await eva.sees("Har brug for en at læse og lave lektier med.")
    await eva.does_not_see("Ring helst efter klokken 16", beside="Kan I tage imod?")
    await eva.press("Ja, vi tager imod")

    await eva.sees_panel("I har taget imod henvisningen")
    await eva.sees("I har sagt ja")


@pytest.mark.req("K1", "N10")
async def test_a_coordinator_declines_and_corrects_the_places(as_person: AsPerson, world: World) -> None:
    """A reason of the model and the true number of places in one step; then the referral is gone."""
    case = await sent(world, _child("Hugo"), "Voksenven")
    eva = await as_person(world.made["eva"])

    await eva.open(f"/referrals/{case.case_id}/{case.referral_id}")
    await eva.follow("Nej, det kan vi ikke")
    await eva.press("Afvis henvisningen")
    await eva.sees_error("Vælg den grund, der passer bedst")
    await eva.choose("Ingen ledige pladser")
    await eva.write("Hvor mange pladser har tilbuddet nu?", "4")
    await eva.press("Afvis henvisningen")

    await eva.sees_panel("I har sagt nej")
    await eva.follow("Vores tilbud")
    await eva.sees("Voksenven")
