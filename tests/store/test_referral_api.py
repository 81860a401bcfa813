"""The API of the referral service: ids of children, departments, offers and organisations are given by us."""

from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest

from contracts.directory import DepartmentRegistered
from contracts.event import Event, municipality_stream
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.ids import new_id, new_ids
from services.kernel.runtime.runtime import Runtime
from services.referral.app import SERVICE
from tests.examples_directory import MODELS
from tests.examples_referral import adopted, joined, published
from tests.http_site import Answer, Site, a_token, open_site
from tests.tally import a_message, a_record

DEPARTMENT, ORGANISATION, OFFER = new_ids(3)
THEIR_DEPARTMENT, THEIR_ORGANISATION, THEIR_OFFER = new_ids(3)
HERE: Final[dict[str, Any]] = {"role": "caseworker", "tenant": "0440", "department_id": str(DEPARTMENT)}
THERE: Final = HERE | {"tenant": "0657", "department_id": str(THEIR_DEPARTMENT)}

FRIDA: Final = {
    "first_name": "Frida",
    "family_name": "Vestergaard",
    "born": "2017-05-04",
    "residence": "0440",
}
NEVER_GIVEN: Final = {
    "random": uuid4(),
    "calculated": uuid5(NAMESPACE_URL, f"urn:samspil:looks:0440:{new_id()}"),
    "own municipality": municipality_stream("0440"),
    "other municipality": municipality_stream("0657"),
}


async def consume(runtime: Runtime, tenant: str, *ids: UUID) -> None:
    """Consume what the directory has published of a municipality: a department, an organisation, an offer."""
    department_id, organisation_id, offer_id = ids
    at, registered = municipality_stream(tenant), DepartmentRegistered(department_id=department_id, kind="x")
    events: list[tuple[UUID, int, Event]] = [
        (at, 1, adopted()),
        (at, 2, registered),
        (organisation_id, 1, joined().model_copy(update={"organisation_id": organisation_id})),
        (offer_id, 1, published().model_copy(update={"organisation_id": organisation_id})),
    ]
    records = [
        a_record(a_message(stream, seq, body, tenant=tenant), topic="samspil.directory.v1")
        for stream, seq, body in events
    ]
    async with runtime.pool.acquire() as tx:
        await runtime.processor.process(tx, EventDecoder(SERVICE).read(records).events)


async def send(site: Site, path: str, body: Any, version: int = 0, **claims: Any) -> Answer:
    """Send a command under a new idempotency key."""
    headers = {"Idempotency-Key": str(new_id()), "If-Match": f'"{version}"'}
    token = a_token(**(HERE | claims))
    return await site.request("POST", f"/referral/cases{path}", token=token, json=body, headers=headers)


async def two_municipalities(site: Site) -> None:
    """Let two municipalities have a department, an organisation and an offer each."""
    await consume(site.runtime, "0440", DEPARTMENT, ORGANISATION, OFFER)
    await consume(site.runtime, "0657", THEIR_DEPARTMENT, THEIR_ORGANISATION, THEIR_OFFER)


async def test_findings_1_and_3_a_child_has_an_id_that_its_municipality_was_given(postgres_dsn: str) -> None:
    """Finding 1, 3, 12: a second case names the child of the first; a child of elsewhere never was."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        await two_municipalities(site)
        first, theirs = await send(site, "", FRIDA), await send(site, "", FRIDA, **THERE)
        before = await site.events()
        refused = [
            await send(site, "", {**FRIDA, "child_id": child})
            for child in (theirs.body["made"], str(new_id()))
        ]
        after = await site.events()
        second = await send(site, "", {**FRIDA, "child_id": first.body["made"]})
        keys = await site.runtime.pool.fetch("select tenant, subject_id from data_keys")

    assert UUID(first.body["made"]).version == 7
    assert {(one.status, one.slug, one.said) for one in refused} == {(409, "child-unknown", refused[0].said)}
    assert {(one.status, one.slug, one.without_trace) for one in refused} == {
        (409, "child-unknown", refused[0].without_trace)
    }
    assert after == before
    assert (second.status, second.body["made"]) == (201, first.body["made"])
    assert second.body["id"] != first.body["id"]
    assert ("0440", UUID(theirs.body["made"])) not in {tuple(key) for key in keys}


@pytest.mark.parametrize("role", ["guardian", "coordinator", "administrator", "leader"])
async def test_who_opens_no_case_does_not_learn_which_children_are_known(
    postgres_dsn: str, role: str
) -> None:
    """The role is looked at first: a known child and an unknown one are answered alike."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        await two_municipalities(site)
        known = (await send(site, "", FRIDA)).body["made"]
        answers = [
            await send(site, "", {**FRIDA, "child_id": child}, role=role) for child in (known, str(new_id()))
        ]

    assert {one.status for one in answers} == {403}
    assert answers[0].said == answers[1].said
    assert answers[0].without_trace == answers[1].without_trace


@pytest.mark.parametrize("kind", NEVER_GIVEN)
async def test_findings_1_to_3_an_id_that_is_never_given_reaches_nothing(
    postgres_dsn: str, kind: str
) -> None:
    """Finding 1, 2, 3: in a body it is refused by its form, in a path there is nothing under it."""
    named = str(NEVER_GIVEN[kind])
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        await two_municipalities(site)
        before = await site.events()
        opened = await send(site, "", {**FRIDA, "child_id": named})
        drafted = await send(site, f"/{new_id()}/referrals", draft(offer_id=named))
        closed = await send(site, f"/{named}/close", {"reason": "family_moved"})
        after = [one for one in await site.events() if not one[2].endswith(".access_refused.v1")]

    assert {(one.status, one.slug) for one in (opened, drafted)} == {(422, "body-not-understood")}
    assert (closed.status, closed.slug) == (404, "not-found")
    assert after == before


def draft(**changes: Any) -> dict[str, Any]:
    """Return the body by which a referral is drafted."""
    return {
        "organisation_id": str(ORGANISATION),
        "offer_id": str(OFFER),
        "purposes": ["networks"],
        "public_help": [{"kind": "school_support", "department_id": str(DEPARTMENT)}],
        "need": "she is shy",
        "aim": "a friend",
        **changes,
    }


async def an_eligible_case(site: Site) -> str:
    """Open a case, hear child and family, assess it, and return its path."""
    opened = await send(site, "", FRIDA)
    path = f"/{opened.body['id']}"
    heard = {"answer": "heard", "view": "she likes football"}
    views = await send(site, f"{path}/views", {"child": heard, "family": heard}, 1)
    answers = {"situation": True, "wish": True, "judged_helpful": True, "serious_concern": False}
    assessed = await send(
        site,
        f"{path}/eligibility",
        {"theme": "mentor", "measure": "mentor", "conditions": ["friends"], "factors": ["fragile_network"],
         "answers": answers, "judgement": "fits"},
        2,
    )  # fmt: skip
    assert [one.status for one in (opened, views, assessed)] == [201, 200, 200]
    return path


async def test_finding_1_a_draft_names_what_its_municipality_has(postgres_dsn: str) -> None:
    """Finding 1: department, offer and organisation of elsewhere are answered as ones that never were."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        await two_municipalities(site)
        path = f"{await an_eligible_case(site)}/referrals"
        before = await site.events()
        refused: dict[str, set[tuple[int, str, str]]] = {}
        for name, theirs in (
            ("department", THEIR_DEPARTMENT),
            ("offer_id", THEIR_OFFER),
            ("organisation_id", THEIR_ORGANISATION),
        ):
            for one in (theirs, new_id()):
                changes: dict[str, Any] = {name: str(one)}
                if name == "department":
                    changes = {"public_help": [{"kind": "school_support", "department_id": str(one)}]}
                answer = await send(site, path, draft(**changes), 3)
                refused.setdefault(name, set()).add((answer.status, answer.slug, answer.without_trace))
        after = await site.events()
        drafted = await send(site, path, draft(), 3)

    assert {name: {one[:2] for one in found} for name, found in refused.items()} == {
        "department": {(409, "department-unknown")},
        "offer_id": {(409, "offer-unknown")},
        "organisation_id": {(409, "offer-unknown")},
    }
    assert {len(found) for found in refused.values()} == {1}
    assert after == before
    assert drafted.status == 201


async def test_finding_10_the_funnel_shows_no_small_group(postgres_dsn: str) -> None:
    """Finding 10: four children with a case are shown as none are, six as about five."""
    leader = a_token(role="leader", tenant="0440", department_id=str(DEPARTMENT))
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        await two_municipalities(site)
        none = (await site.request("GET", "/referral/funnel", token=leader)).body
        child = (await send(site, "", FRIDA)).body["made"]
        for _ in range(4):  # five cases, one child
            await send(site, "", {**FRIDA, "child_id": child})
        for _ in range(3):
            await send(site, "", FRIDA)
        four = (await site.request("GET", "/referral/funnel", token=leader)).body
        for _ in range(2):
            await send(site, "", FRIDA)
        six = (await site.request("GET", "/referral/funnel", token=leader)).body

    assert four == none
    assert none["cases"] == []
    assert six["cases"] == [{"status": "opened", "reason": "", "count": 10}]


async def test_names_of_a_list_are_each_an_entry_in_the_trail(postgres_dsn: str) -> None:
    """A list shows whom its cases are about; what is another department's is left out and not noted."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        await two_municipalities(site)
        ours = [(await send(site, "", FRIDA | {"first_name": name})).body["id"] for name in ("Frida", "Åse")]
        elsewhere = (await send(site, "", FRIDA, department_id=str(new_id()))).body["id"]
        before = await site.events()
        wanted = [*ours, elsewhere, str(new_id())]
        token = a_token(**HERE)
        answer = await site.request("POST", "/referral/names", token=token, json={"case_ids": wanted})
        denied = await site.request(
            "POST", "/referral/names", token=a_token(**HERE | {"role": "leader"}), json={"case_ids": ours}
        )
        after = await site.events()

    assert answer.status == 200, answer.text
    assert {one["case_id"]: one["name"] for one in answer.body} == dict(
        zip(ours, ("Frida Vestergaard", "Åse Vestergaard"), strict=True)
    )
    assert denied.status == 403
    assert [event[2] for event in after[len(before) :]].count("referral.looked.v1") == len(ours)


async def test_a_case_is_found_by_the_name_of_its_child(postgres_dsn: str) -> None:
    """Only what is found is noted as seen; a search that finds nothing is noted as a search."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        await two_municipalities(site)
        for name in ("Frida", "Åse", "Łucja"):
            await send(site, "", FRIDA | {"first_name": name})
        await send(site, "", FRIDA | {"first_name": "Åse"}, department_id=str(new_id()))
        before = await site.events()
        found = {
            wanted: await site.request(
                "POST", "/referral/search", token=a_token(**HERE), json={"name": wanted}
            )
            for wanted in ("aase vester", "Lucja", "vest", "frid ås")
        }
        after = await site.events()

    names = {wanted: [one["name"] for one in answer.body] for wanted, answer in found.items()}
    assert names["aase vester"] == ["Åse Vestergaard"]
    assert names["Lucja"] == ["Łucja Vestergaard"]
    assert len(names["vest"]) == 3
    assert names["frid ås"] == []
    assert [event[2] for event in after[len(before) :]].count("referral.looked.v1") == 1 + 1 + 3 + 1
