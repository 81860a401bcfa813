"""A caseworker brings a case from the first concern to a signed agreement."""

import re
from typing import Any, Final
from uuid import UUID

import pytest

from demo.wire import Person
from demo.world import World
from tests.browser.conftest import AsPerson
from tests.browser.manner import MOUSE, WITHOUT_SCRIPT, Manner
from tests.browser.somebody import Somebody

_CASE: Final = re.compile(r"/cases/([0-9a-f-]{36})")


@pytest.mark.req("K2", "K4", "K6", "N4", "N7", "H1")
@pytest.mark.parametrize("manner", [MOUSE, WITHOUT_SCRIPT], ids=lambda one: one.name, indirect=True)
async def test_a_case_goes_from_the_first_concern_to_a_signed_agreement(
    as_person: AsPerson, world: World, manner: Manner
) -> None:
    """At each step the overview says what happens next, and its link leads there."""
    ida = await as_person(world.made["ida"])
    case_id = await _opens_a_case(ida, "Freja" if manner.script else "Åse")
    await _hears_and_assesses(ida)
    await _names_the_parent(ida)
    await _chooses_an_offer(ida)
    await _asks_for_consent(ida)
    parent = await _minutes_the_yes(ida, world, case_id)
    await _confirms(await as_person(world.made["ole"]), case_id)
    referral_id = await _sends(ida, world, case_id)
    await world.step(world["kim"], case_id, "referral", f"/referrals/{referral_id}/accept")
    await _agrees(ida, world, case_id)
    await _others_sign(world, case_id, parent)
    await ida.open(f"/cases/{case_id}")

    await ida.sees("Samarbejdet er i gang")
    await ida.sees("Foreningen fortæller, hvordan det går.")
    await ida.sees("Red Barnet")


async def _opens_a_case(ida: Somebody, first_name: str) -> UUID:
    await ida.open("/cases")
    await ida.follow("Opret et nyt forløb")
    await ida.press("Fortsæt")
    await ida.sees_error("Skriv barnets fornavn")
    await ida.write("Fornavn", first_name)
    await ida.write("Efternavn", "Opfundet")
    await ida.write("Født", "4.3.2016")
    await ida.press("Fortsæt")
    await ida.sees_heading("Tjek, før du opretter forløbet")
    await ida.press("Opret forløbet")
    await ida.sees_panel("Forløbet er oprettet")
    found = _CASE.search(ida.page.url)
    assert found is not None
    return UUID(found[1])


async def _hears_and_assesses(ida: Somebody) -> None:
    await ida.follow("Skriv deres syn ned")
    await ida.choose("Ja, og det blev sagt", question="Er barnet hørt?")
    await ida.write("Hvordan ser barnet det?", "Jeg vil gerne have en at læse med.")
    await ida.choose("Spurgt, men vil helst ikke sige noget", question="Er familien hørt?")
    await ida.press("Gem")
    await ida.sees("Jeg vil gerne have en at læse med.")
    await ida.follow("Vurder målgruppen")
    await ida.tick("Venner og nære relationer")
    await ida.press("Gem vurderingen")
    await ida.sees_error("Ønsker familien selv kontakt med frivillige? Vælg et svar")
    for question in (
        "Er barnet eller familien i en svær",
        "Ønsker familien selv",
        "Vurderer du, at tilbuddet",
    ):
        await ida.choose("Ja", question=question)
    await ida.choose("Nej", question="Er der en alvorlig bekymring")
    await ida.choose("Mentor eller voksenven")
    await ida.choose("Mentor eller rollemodel")
    await ida.write("Hvordan vurderer du, at frivillige kan hjælpe barnet eller familien?", "En at læse med.")
    await ida.press("Gem vurderingen")
    await ida.sees("Familien ønsker selv kontakt med frivillige")
    await ida.settles()
    await ida.follow("Gå videre til forløbet")


async def _names_the_parent(ida: Somebody) -> None:
    await ida.follow("Noter, hvem de er")
    await ida.write("Fulde navn på indehaver 1", "Maja Opfundet")
    await ida.press("Tilføj én mere")
    await ida.sees("Indehaver 3")
    await ida.choose("Ja", question="Bor barnet hos indehaver 1?")
    await ida.press("Gem")
    await ida.sees("Maja Opfundet")
    await ida.follow("Overblik")


async def _chooses_an_offer(ida: Somebody) -> None:
    await ida.follow("Vælg et tilbud")
    await ida.follow("Vælg Læsemakker")
    await ida.write("Hvad har barnet eller familien brug for?", "En voksen at læse med.")
    await ida.write("Hvad er målet?", "At læsning bliver noget rart.")
    await ida.tick("Netværk og relationer for børn, unge og familier")
    await ida.press("Gem og fortsæt")
    await ida.sees_error("Uden den kan du ikke henvise")
    await ida.tick("Kontakt med sagsbehandler")
    await ida.press("Gem og fortsæt")
    await ida.sees_panel("Tilbuddet er valgt. Der er ikke delt noget endnu.")


async def _asks_for_consent(ida: Somebody) -> None:
    await ida.follow("Bed om samtykke")
    await ida.sees("Maja Opfundet")
    await ida.tick("Mål for samarbejdet")
    await ida.press("Bed om samtykke")
    await ida.sees_panel("Familien er spurgt.")


async def _minutes_the_yes(ida: Somebody, world: World, case_id: UUID) -> Person:
    """Put the parent's yes on record, which they gave on paper; return the parent."""
    path = f"/consent/cases/{case_id}"
    found = await world.until(world["ida"], path, lambda case: bool(case["consents"]))
    await ida.open(f"/cases/{case_id}")
    await ida.follow("Se, hvem der har svaret")
    await ida.follow("Noter et svar")
    await ida.choose("Ja", question="Hvad svarede de?")
    await ida.choose("På papir, med underskrift")
    await ida.press("Noter svaret")
    await ida.sees_error("Skriv, hvor dokumentationen for svaret findes")
    await ida.write("Hvor findes dokumentationen?", "Dokument 17")
    await ida.press("Noter svaret")
    await ida.sees_panel("En kollega skal bekræfte det")
    await ida.settles()
    return Person(UUID(found["consents"][0]["person_id"]), "guardian")


async def _confirms(ole: Somebody, case_id: UUID) -> None:
    await ole.open(f"/cases/{case_id}/to-confirm")
    await ole.press("Ja, jeg har slået det op, og det er rigtigt")
    await ole.follow("Se dokumentationen, og beslut")
    await ole.sees("Dokument 17")
    await ole.choose("Ja, jeg har set dokumentationen")
    await ole.choose("Med brev")
    await ole.press("Gem beslutningen")
    await ole.sees_panel("Du har bekræftet svaret")


async def _sends(ida: Somebody, world: World, case_id: UUID) -> str:
    """Send the referral once all have said yes; return its id."""
    path = f"/referral/cases/{case_id}"
    found = await world.until(world["ida"], path, lambda case: case["referrals"][0]["status"] == "ready")
    await ida.open(f"/cases/{case_id}")
    await ida.follow("Send henvisningen")
    await ida.press("Send henvisningen")
    await ida.sees_panel("Henvisningen er sendt")
    return str(found["referrals"][0]["referral_id"])


async def _agrees(ida: Somebody, world: World, case_id: UUID) -> None:
    """Note the meeting, write the agreement, and sign it for the municipality."""
    path = f"/agreement/cases/{case_id}"
    await world.until(world["ida"], path, lambda case: bool(case["agreements"]))
    await ida.open(f"/cases/{case_id}")
    await ida.follow("Noter mødet")
    await ida.press("Gem mødet")
    await ida.follow("Skriv aftalen")
    await ida.write("Hvad er mål 1?", "Freja læser en bog om ugen.")
    await ida.select("Hvilket formål tjener mål 1?", "Netværk og relationer for børn, unge og familier")
    await ida.write("Hvad gør I for at nå mål 1?", "De læser sammen om onsdagen")
    await ida.choose("Foreningen", question="Hvem har ansvaret for mål 1?")
    for party in ("kommunen", "foreningen", "familien"):
        await ida.write(f"Hvorfor vil {party} det?", "Det gør en forskel.")
    await ida.choose("Gratis")
    await ida.choose("Ingen, det er gratis")
    await ida.press("Gør aftalen klar til underskrift")
    await ida.sees_panel("Aftalen er klar til underskrift")
    await ida.settles()
    await ida.press("Skriv under for kommunen")
    await ida.sees_panel("Du har skrevet under for kommunen")
    assert (await ida.saved("Gem aftalen som dokument (PDF)", "agreement.pdf")).startswith(b"%PDF-")


async def _others_sign(world: World, case_id: UUID, parent: Person) -> None:
    for who, party in ((world["kim"], "organisation"), (parent, "family")):
        seen: dict[str, Any] = await world.wire.read(who, f"/agreement/cases/{case_id}")
        body = {"agreement_id": seen["agreements"][0]["agreement_id"], "version": 1, "party": party}
        await world.do(who, f"/agreement/cases/{case_id}/sign", body, int(seen["version"]))
    await world.until(
        world["ida"], f"/referral/cases/{case_id}", lambda case: case["referrals"][0]["status"] == "under_way"
    )
