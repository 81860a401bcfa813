"""Situations: short stories that leave something waiting for somebody, played over HTTP like any client."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from demo.wire import Person
from demo.world import World

PARENTS: Final = (
    ("maj", "Maj Opdigt", "Sofies mor"),
    ("bo", "Bo Opdigt", "Sofies far, som bor et andet sted"),
)
_YEAR: Final = 365


class Child(Struct, frozen=True):
    """A made-up child, and who holds parental responsibility: subjects and names of their cards."""

    first_name: str
    family_name: str
    age: int
    holders: tuple[tuple[str, str, str], ...]
    young: tuple[str, str, str] | None = None


class Case(Struct):
    """A case under way: its ids, and who acts in it."""

    case_id: UUID
    child_id: UUID
    child: Child
    referral_id: UUID | None = None
    agreement_id: UUID | None = None


class Situation(Struct, frozen=True):
    """A named situation: what it is, for whom it waits, and how it is played."""

    name: str
    about: str
    waits_for: tuple[str, ...]
    play: Callable[[World], Awaitable[Case]]


SITUATIONS: dict[str, Situation] = {}


def situation(about: str, waits_for: tuple[str, ...]) -> Callable[[Callable[[World], Awaitable[Case]]], Any]:
    """Register a situation under the name of its function."""

    def register(play: Callable[[World], Awaitable[Case]]) -> Callable[[World], Awaitable[Case]]:
        SITUATIONS[play.__name__] = Situation(play.__name__, about, waits_for, play)
        return play

    return register


async def play_all(world: World) -> dict[str, Case]:
    """Set the municipality up and play every situation; return the cases by name."""
    await world.set_up()
    return {name: await one.play(world) for name, one in SITUATIONS.items()}


def child(number: int, *, age: int = 9) -> Child:
    """Return a child of a family of its own, told apart by a number."""
    first, family = _NAMES[number]
    return Child(first, family, age, ((f"parent{number}", f"Per {family}", f"{first}s far"),))


@situation("En ny bekymring, som ingen har arbejdet med endnu", ("ida",))
async def newly_opened(world: World) -> Case:
    """A case is open, and nothing more has happened."""
    return await opened(world, child(0))


@situation("To forældre bliver spurgt om samtykke", ("maj", "bo"))
async def consent_asked(world: World) -> Case:
    """Both parents are asked, and none has answered."""
    return await asked(world, Child("Sofie", "Opdigt", 9, PARENTS), "Læsemakker")


@situation("En henvisning venter på foreningens svar", ("kim",))
async def referral_sent(world: World) -> Case:
    """All have said yes, and the organisation has the referral."""
    return await sent(world, child(1), "Læsemakker")


@situation("Foreningen har sagt ja, og mødet skal holdes", ("ida",))
async def meeting_due(world: World) -> Case:
    """The organisation has accepted, and the first meeting is due."""
    return await accepted(world, child(2), "Fredagsklubben")


@situation("En aftale er klar til underskrift", ("parent3", "kim"))
async def ready_to_sign(world: World) -> Case:
    """The municipality has signed a version; family and organisation have not."""
    return await proposed(world, child(3), "Læsemakker")


@situation("Et samarbejde er i gang", ("kim", "parent4"))
async def under_way(world: World) -> Case:
    """An agreement is in force."""
    return await in_force(world, child(4), "Læsemakker")


@situation("En familie har stoppet delingen", ("kim",))
async def stopped(world: World) -> Case:
    """A parent has taken the consent back, and the organisation must confirm that it has deleted."""
    case = await accepted(world, child(5), "Fredagsklubben")
    parent = world[case.child.holders[0][0]]
    one = next(line for line in await _mine(world, parent) if line["status"] == "given")
    path = f"/consent/cases/{case.case_id}/consents/{one['consent_id']}/withdraw"
    await world.do(parent, path, {})
    return case


@situation("En ung bliver spurgt sammen med sin far", ("ung",))
async def young_person_asked(world: World) -> Case:
    """A young person of 16 is asked besides the parent."""
    family = Child(
        "Runa", "Påhit", 16, (("far", "Finn Påhit", "Runas far"),), ("ung", "Runa Påhit", "Ung, 16 år")
    )
    return await asked(world, family, "Læsemakker")


async def opened(world: World, whom: Child) -> Case:
    """Open a case for a child."""
    body = {
        "first_name": whom.first_name,
        "family_name": whom.family_name,
        "born": born(world, whom),
        "residence": "0440",
        "language": "dansk",
        "contact": "Ring helst efter klokken 16",
        "practical": "Tåler ikke nødder",
    }
    done = await world.do(world["ida"], "/referral/cases", body)
    return Case(UUID(done["id"]), UUID(done["made"]), whom)


async def assessed(world: World, whom: Child, theme: str, measure: str) -> Case:
    """Hear child and family, hold the criteria against the case, and put custody on record."""
    case, ida = await opened(world, whom), world["ida"]
    views = {
        "child": {
            "answer": "heard",
            "view": "Jeg vil gerne have en at læse med.",
            "proposals": "Om onsdagen",
        },
        "family": {"answer": "heard", "view": "Vi vil gerne have hjælp med lektierne.", "proposals": ""},
    }
    await world.step(ida, case.case_id, "referral", "/views", views)
    body = {
        "theme": theme,
        "measure": measure,
        "conditions": ["friends", "leisure"],
        "factors": ["fragile_network"],
        "answers": {"situation": True, "wish": True, "judged_helpful": True, "serious_concern": False},
        "judgement": "En fast voksen uden for familien vil gøre en forskel.",
    }
    await world.step(ida, case.case_id, "referral", "/eligibility", body)
    await custody(world, case)
    return case


async def custody(world: World, case: Case) -> None:
    """Put on record who holds parental responsibility, and let them sign in."""
    whom, ida = case.child, world["ida"]
    body: dict[str, Any] = {
        "holders": [
            {"name": name, "residence": n == 0, "language": "da"}
            for n, (_, name, _) in enumerate(whom.holders)
        ],
        "born": born(world, whom),
    }
    if whom.young:
        body |= {"young_person_id": case.child_id, "young_person_name": whom.first_name}
    await world.step(ida, case.case_id, "consent", "/custody", body)
    found = await world.until(ida, f"/consent/cases/{case.case_id}", lambda view: view["custody"] is not None)
    await confirmed(world, case)
    ids = {one["name"]: UUID(one["person_id"]) for one in found["custody"]["holders"]}
    for card in whom.holders:
        await world.admit_family(ida, ids[card[1]], "guardian", card)
    if whom.young:
        await world.admit_family(ida, case.child_id, "young_person", whom.young)


async def confirmed(world: World, case: Case) -> None:
    """Let a second employee look up who holds parental responsibility, so that they can be let in."""
    await world.step(world["ole"], case.case_id, "consent", "/custody/confirm")


async def asked(world: World, whom: Child, offer: str) -> Case:
    """Choose an offer, and ask for the consent of all who must give it."""
    theme, measure = _THEMES[offer]
    case, ida = await assessed(world, whom, theme, measure), world["ida"]
    body = {
        "organisation_id": world.organisations[_OF[offer]],
        "offer_id": world.offers[offer],
        "purposes": ["networks"],
        "public_help": [{"kind": "caseworker_contact", "department_id": world.departments["child_welfare"]}],
        "need": "Har brug for en at læse og lave lektier med.",
        "aim": "Får en ven og bliver gladere for skolen.",
    }
    done = await world.step(ida, case.case_id, "referral", "/referrals", body)
    case.referral_id = UUID(done["made"])
    rest = f"/referrals/{case.referral_id}/await-consent"
    await world.step(ida, case.case_id, "referral", rest, {"facts": ["goals", "own_view", "contact"]})
    return case


async def sent(world: World, whom: Child, offer: str) -> Case:
    """Let everybody say yes, and send the referral."""
    case, ida = await asked(world, whom, offer), world["ida"]
    for subject, _, _ in (*whom.holders, *((whom.young,) if whom.young else ())):
        await say_yes(world, world[subject], case)
    await world.until(ida, f"/referral/cases/{case.case_id}", _is(case, "ready"))
    await world.step(ida, case.case_id, "referral", f"/referrals/{case.referral_id}/send")
    return case


async def say_yes(world: World, who: Person, case: Case) -> None:
    """Answer the question with yes, as the person who is asked."""
    found = await world.until(who, "/consent/mine", lambda mine: _question(mine, case) is not None)
    one = _question(found, case)
    body = {"language": one["language"], "text_sha256": one["text_sha256"]}
    path = f"/consent/cases/{case.case_id}/consents/{one['consent_id']}/give"
    await world.do(who, path, body, int(one["version"]))


async def accepted(world: World, whom: Child, offer: str) -> Case:
    """Let the organisation open the referral and take it."""
    case, kim = await sent(world, whom, offer), world["kim"]
    await world.until(kim, f"/referral/cases/{case.case_id}", _is(case, "sent"))
    rest = f"/referrals/{case.referral_id}"
    await world.do(kim, f"/referral/cases/{case.case_id}{rest}/see")
    await world.step(kim, case.case_id, "referral", f"{rest}/accept")
    return case


async def proposed(world: World, whom: Child, offer: str) -> Case:
    """Hold the first meeting, and lay an agreement ready that the municipality has signed."""
    case, ida = await accepted(world, whom, offer), world["ida"]
    found = await world.until(ida, f"/agreement/cases/{case.case_id}", lambda view: bool(view["agreements"]))
    case.agreement_id = UUID(found["agreements"][0]["agreement_id"])
    meeting = {
        "agreement_id": case.agreement_id,
        "held_on": world.today,
        "attended": ["child", "family", "caseworker", "organisation"],
    }
    await world.step(ida, case.case_id, "agreement", "/meeting", meeting)
    goal = {
        "purpose": "networks",
        "responsible": "organisation",
        "text": "Læser sammen med en frivillig en gang om ugen.",
        "actions": [{"text": "Mødes på biblioteket om onsdagen", "responsible": "organisation"}],
    }
    proposal = {
        "agreement_id": case.agreement_id,
        "goals": [goal],
        "wants": {
            "municipality": "Vil støtte barnet i skolen.",
            "organisation": "Har en frivillig, der glæder sig.",
            "family": "Vil gerne have lidt ro til lektierne.",
        },
        "starts_on": world.today + timedelta(days=2),
        "ends_on": world.today + timedelta(days=182),
        "cost": "free",
        "payer": "nobody",
    }
    await world.step(ida, case.case_id, "agreement", "/proposal", proposal)
    await sign(world, ida, case, "municipality")
    return case


async def in_force(world: World, whom: Child, offer: str) -> Case:
    """Let everybody sign, so that the agreement is in force."""
    case = await proposed(world, whom, offer)
    await sign(world, world["kim"], case, "organisation")
    await sign(world, world[whom.holders[0][0]], case, "family")
    return case


async def sign(world: World, who: Person, case: Case, party: str) -> None:
    """Sign the first version for one party."""
    body = {"agreement_id": case.agreement_id, "version": 1, "party": party}
    await world.step(who, case.case_id, "agreement", "/sign", body)


def born(world: World, whom: Child) -> date:
    """Return a birthday that makes a child so old for a while yet."""
    return world.today - timedelta(days=_YEAR * whom.age + 120)


def _is(case: Case, status: str) -> Callable[[Any], bool]:
    def stands(view: Any) -> bool:
        return any(
            one["referral_id"] == str(case.referral_id) and one["status"] == status
            for one in view["referrals"]
        )

    return stands


def _question(mine: Any, case: Case) -> Any:
    rows = mine["items"] if isinstance(mine, dict) else mine
    return next(
        (one for one in rows if one["referral_id"] == str(case.referral_id) and one["status"] == "requested"),
        None,
    )


async def _mine(world: World, who: Person) -> list[Any]:
    found = await world.wire.read(who, "/consent/mine")
    return list(found["items"] if isinstance(found, dict) else found)


_OF: Final = {"Læsemakker": "Red Barnet", "Fredagsklubben": "Red Barnet", "Voksenven": "Børns Voksenvenner"}
_THEMES: Final = {
    "Læsemakker": ("mentor", "mentor"),
    "Fredagsklubben": ("leisure", "leisure_activity"),
    "Voksenven": ("mentor", "mentor"),
}
_NAMES: Final = (
    ("Alma", "Påfund-Eksempel"),
    ("Bille", "Fantasi"),
    ("Carla", "Digtning"),
    ("Ditlev", "Fortælling"),
    ("Łukasz", "Eventyr"),
    ("Åse", "Ørnefantasi"),
)
