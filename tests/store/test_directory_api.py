"""The API of the directory: an organisation joins, offers, corrects its capacity and leaves."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest

from contracts.event import municipality_stream
from services.directory.app import SERVICE
from services.kernel.ids import new_id
from tests.examples_directory import MODEL, MODELS, TENANT
from tests.http_site import Answer, Site, a_token, open_site

ADMINISTRATOR: dict[str, Any] = {"role": "administrator", "tenant": TENANT}


async def send(
    site: Site, path: str, body: dict[str, Any], *, version: int | None = None, **claims: Any
) -> Answer:
    """Send a command under a new idempotency key."""
    headers = {"Idempotency-Key": str(new_id())}
    if version is not None:
        headers["If-Match"] = f'"{version}"'
    return await site.request(
        "POST", f"/directory/{path}", token=a_token(**claims), json=body, headers=headers
    )


async def read(site: Site, path: str) -> Any:
    """Read as the administrator."""
    answer = await site.request("GET", f"/directory/{path}", token=a_token(**ADMINISTRATOR))
    assert answer.status == 200
    return answer.body


def joining(**more: object) -> dict[str, Any]:
    """Return the body by which an organisation joins."""
    until = datetime.now(UTC).date() + timedelta(days=300)
    terms = f"{MODEL.id}_{MODEL.version}"
    return {
        "name": "Børns Voksenvenner",
        "terms": terms,
        "declaration_until": until.isoformat(),
        **{name: str(value) for name, value in more.items()},
    }


async def join(site: Site, **claims: Any) -> UUID:
    """Adopt the model, let an organisation in, and return its id."""
    who = ADMINISTRATOR | claims
    adopted = await send(
        site, "models/adopt", {"model": MODEL.id, "version": MODEL.version}, version=0, **who
    )
    joined = await send(site, "organisations", joining(), version=0, **who)
    assert (adopted.status, joined.status) == (200, 201)
    return UUID(joined.body["id"])


OFFER = {
    "title": "En voksenven",
    "theme": "mentor",
    "format": "one_to_one",
    "age_from": 6,
    "age_to": 15,
    "areas": [TENANT],
    "price": "free",
    "places": 4,
}


async def test_an_organisation_offers_corrects_its_capacity_and_leaves(postgres_dsn: str) -> None:
    """Each step is in the catalogue at once; after the organisation has left its offers are gone from it."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        organisation_id = await join(site)
        coordinator: dict[str, Any] = {
            "role": "coordinator",
            "organisation_id": str(organisation_id),
            "tenant": TENANT,
        }
        path = f"organisations/{organisation_id}"
        published = await send(site, f"{path}/offers", OFFER, version=0, **coordinator)
        offer = published.body["id"]
        changed = await send(site, f"offers/{offer}/capacity", {"places": 2}, version=1, **coordinator)
        (shown,) = await read(site, "offers")
        left = await send(site, f"{path}/leave", {"reason": "too_few_volunteers"}, **coordinator)
        again = await send(site, f"{path}/leave", {"reason": "too_few_volunteers"}, **coordinator)
        after, offers = await read(site, path), await read(site, "offers")
        types = await site.types()

    assert [one.status for one in (published, changed, left, again)] == [201, 200, 200, 200]
    assert (shown["offer_id"], shown["places"], shown["organisation"]) == (offer, 2, "Børns Voksenvenner")
    assert (after["status"], after["terms"], len(after["periods"]), offers) == ("left", None, 1, [])
    assert types == [
        "directory.model_adopted.v1",
        "directory.organisation_joined.v1",
        "directory.offer_published.v1",
        "directory.capacity_changed.v1",
        "directory.organisation_left.v1",
    ]


async def test_what_is_not_there_cannot_be_left_or_changed(postgres_dsn: str) -> None:
    """An unknown id is answered 404; an id of another kind of stream too."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        organisation_id = await join(site)
        unknown = await send(
            site, f"organisations/{new_id()}/leave", {"reason": "dissolved"}, **ADMINISTRATOR
        )
        seen = await site.request(
            "GET", f"/directory/organisations/{new_id()}", token=a_token(**ADMINISTRATOR)
        )
        claims: dict[str, Any] = {
            "role": "coordinator",
            "organisation_id": str(organisation_id),
            "tenant": TENANT,
        }
        other = await send(site, f"offers/{organisation_id}/capacity", {"places": 1}, version=1, **claims)

    assert (unknown.status, seen.status, other.status) == (404, 404, 404)


NEVER_GIVEN = {
    "random": uuid4(),
    "calculated": uuid5(NAMESPACE_URL, f"urn:samspil:looks:{TENANT}:{new_id()}"),
    "own municipality": municipality_stream(TENANT),
    "other municipality": municipality_stream("0657"),
}
NEIGHBOUR: dict[str, Any] = {"role": "administrator", "tenant": "0657"}


async def test_finding_1_only_an_organisation_of_the_municipality_joins_again(postgres_dsn: str) -> None:
    """Finding 1, 2: the id of another municipality's organisation is answered as one that never was."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        own, foreign = await join(site), await join(site, tenant="0657")
        before = await site.events()
        refused = [
            await send(site, "organisations", joining(organisation_id=one), **ADMINISTRATOR)
            for one in (foreign, new_id())
        ]
        after = await site.events()
        again = await send(site, "organisations", joining(organisation_id=own), version=1, **ADMINISTRATOR)
        theirs = await send(site, "organisations", joining(organisation_id=foreign), version=1, **NEIGHBOUR)

    assert {(one.status, one.slug) for one in refused} == {(409, "organisation-unknown")}
    assert refused[0].said == refused[1].said
    assert refused[0].without_trace == refused[1].without_trace
    assert [one for one in after if one[2] != "directory.access_refused.v1"] == before
    assert (again.status, again.body["id"]) == (201, str(own))
    assert (theirs.status, theirs.body["id"]) == (201, str(foreign))


async def test_finding_1_only_a_department_of_the_municipality_is_named_again(postgres_dsn: str) -> None:
    """Finding 1: a department's id is made by us; the neighbour's is answered as one that never was."""
    body = {"kind": "child_welfare", "name": "Familieafdelingen"}
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        await join(site)
        await join(site, tenant="0657")
        made = await send(site, "departments", body, **ADMINISTRATOR)
        theirs = await send(site, "departments", body, **NEIGHBOUR)
        before = await site.events()
        refused = [
            await send(site, "departments", {**body, "department_id": one}, **ADMINISTRATOR)
            for one in (theirs.body["made"], str(new_id()))
        ]
        after = await site.events()
        renamed = {**body, "department_id": made.body["made"], "name": "Børn og Unge"}
        again = await send(site, "departments", renamed, **ADMINISTRATOR)
        (shown,) = await read(site, "departments")

    assert {(one.status, one.slug, one.said) for one in refused} == {
        (409, "department-unknown", refused[0].said)
    assert {(one.status, one.slug, one.without_trace) for one in refused} == {
        (409, "department-unknown", refused[0].without_trace)
    }
    assert after == before
    assert (again.status, shown["name"]) == (201, "Børn og Unge")


@pytest.mark.parametrize("kind", NEVER_GIVEN)
async def test_findings_1_and_2_an_id_that_is_never_given_reaches_nothing(
    postgres_dsn: str, kind: str
) -> None:
    """Finding 1, 2: in a body it is refused by its form, in a path there is nothing under it, on record."""
    named = NEVER_GIVEN[kind]
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        await join(site)
        before = await site.events()
        bodies = [
            await send(site, "organisations", joining(organisation_id=named), **ADMINISTRATOR),
            await send(
                site,
                "departments",
                {"department_id": str(named), "kind": "child_welfare", "name": "x"},
                **ADMINISTRATOR,
            ),
        ]
        left = await send(site, f"organisations/{named}/leave", {"reason": "dissolved"}, **ADMINISTRATOR)
        seen = await site.request("GET", f"/directory/organisations/{named}", token=a_token(**ADMINISTRATOR))
        after = await site.events()

    assert {(one.status, one.slug) for one in bodies} == {(422, "body-not-understood")}
    assert {(one.status, one.slug) for one in (left, seen)} == {(404, "not-found")}
    denied = [one for one in after if one[2] == "directory.access_refused.v1"]
    assert [one[3]["wanted"] for one in denied] == ["leave_organisation", "look"]
    assert [one for one in after if one not in denied] == before


async def test_finding_14_an_organisation_leaves_for_a_listed_reason(postgres_dsn: str) -> None:
    """Finding 14: a word of one's own, which would reach Kafka, is refused."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        path = f"organisations/{await join(site)}/leave"
        refused = await send(site, path, {"reason": "anna_hansen_is_ill"}, **ADMINISTRATOR)
        types = await site.types()

    assert (refused.status, refused.slug) == (422, "body-not-understood")
    assert "anna" not in refused.text
    assert "directory.organisation_left.v1" not in types
