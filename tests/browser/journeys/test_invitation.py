"""A caseworker lets a parent in: a code, shown once."""

from uuid import UUID

import pytest

from demo.situations import Child, born, confirmed, opened
from demo.world import World
from tests.browser.conftest import AsPerson


@pytest.mark.req("H1")
async def test_a_caseworker_invites_a_parent(as_person: AsPerson, world: World) -> None:
    """Whoever holds parental responsibility gets a code, once a colleague has confirmed that they do."""
    whom = Child("Vigga", "Opfundet", 9, ())
    case = await opened(world, whom)
    names = ("Vilfred Opfundet", "Vera Opfundet")
    holders = [{"name": name, "residence": True, "language": "da"} for name in names]
    body = {"holders": holders, "born": born(world, whom)}
    await world.step(world["ida"], case.case_id, "consent", "/custody", body)
    ida = await as_person(world.made["ida"])

    await ida.open(f"/cases/{case.case_id}/consent")
    await ida.sees("En kollega skal bekræfte det")
    await confirmed(world, case)
    path = f"/consent/cases/{case.case_id}"
    seen = await world.until(world["ida"], path, lambda view: view["custody"]["confirmed_at"])
    vera = UUID(seen["custody"]["holders"][1]["person_id"])
    await world.admit_family(world["ida"], vera, "guardian", ("vera", names[1], "Viggas mor"))

    await ida.open(f"/cases/{case.case_id}/consent")
    await ida.follow(f"Inviter {names[0]}")
    await ida.sees(names[0])
    await ida.press("Lav invitationen")

    await ida.sees("Invitationen er lavet")
