"""A caseworker lets a parent in: a code, shown once."""

import pytest

from demo.situations import Child, born, opened
from demo.world import World
from tests.browser.conftest import AsPerson


@pytest.mark.req("H1")
async def test_a_caseworker_invites_a_parent(as_person: AsPerson, world: World) -> None:
    """Whoever holds parental responsibility gets a code for the first sign-in."""
    whom = Child("Vigga", "Opfundet", 9, ())
    case = await opened(world, whom)
    holder = {"name": "Vilfred Opfundet", "residence": True, "language": "da"}
    body = {"holders": [holder], "born": born(world, whom)}
    await world.step(world["ida"], case.case_id, "consent", "/custody", body)
    ida = await as_person(world.made["ida"])

    await ida.open(f"/cases/{case.case_id}/consent")
    await ida.follow("Inviter Vilfred Opfundet")
    await ida.sees("Vilfred Opfundet")
    await ida.press("Lav invitationen")

    await ida.sees("Invitationen er lavet")
