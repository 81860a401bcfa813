"""An administrator lets people in, and out; an auditor finds it in the trail."""

import pytest

from demo.situations import Case
from demo.world import World
from tests.browser.conftest import AsPerson


@pytest.mark.req("K1", "N10")
async def test_an_administrator_invites_and_ends(as_person: AsPerson, world: World) -> None:
    """A code is shown once; an open invitation is taken back; a role is ended."""
    anne = await as_person(world.made["anne"])

    await anne.follow("Personer")
    await anne.follow("Inviter nogen")
    await anne.press("Lav invitationen")
    await anne.sees_error("Skriv personens navn")
    await anne.write("Navn", "Ulla Opfundet")
    await anne.select("Rolle", "Leder")
    await anne.select("Afdeling eller forening", "Børn- og Ungerådgivningen")
    await anne.press("Lav invitationen")
    await anne.sees("Invitationen er lavet")
    await anne.follow("Tilbage til personerne")
    await anne.press("Træk invitationen tilbage")

    await anne.sees_panel("Invitationen er trukket tilbage")


@pytest.mark.req("K1")
async def test_an_administrator_lets_an_organisation_in_and_out(as_person: AsPerson, world: World) -> None:
    """Since when, until when, and why it left."""
    anne = await as_person(world.made["anne"])

    await anne.follow("Hvem deltager")
    await anne.follow("Luk en forening ind")
    await anne.write("Foreningens navn", "Foreningen Opfundet")
    await anne.write("Børneattesterklæringen gælder til og med", "31.2.2029")
    await anne.press("Luk foreningen ind")
    await anne.sees_error("Skriv en dag, der findes")
    await anne.write("Børneattesterklæringen gælder til og med", "1.2.2029")
    await anne.press("Luk foreningen ind")
    await anne.sees_panel("Foreningen deltager fra i dag.")
    await anne.follow("Foreningen Opfundet")
    await anne.choose("Den vil stoppe")
    await anne.press("Afslut deltagelsen i dag")

    await anne.sees_panel("Foreningen deltager ikke længere.")


async def test_an_auditor_reads_the_trail_of_a_case(
    as_person: AsPerson, world: World, situations: dict[str, Case]
) -> None:
    """The trail says whether it is whole, and a search is part of it."""
    rita = await as_person(world.made["rita"])

    await rita.follow("Log")
    await rita.press("Søg")
    await rita.sees_error("Skriv mindst én af dem")
    await rita.write("Forløbets id", str(situations["under_way"].case_id))
    await rita.press("Søg")

    await rita.sees_heading("Hvad der er sket i et forløb")
    await rita.sees("referral.case_opened.v1")
