"""The API of the directory: an organisation joins, offers, corrects its capacity and leaves."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

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


async def join(site: Site) -> UUID:
    """Adopt the model, let an organisation in, and return its id."""
    adopted = await send(
        site, "models/adopt", {"model": MODEL.id, "version": MODEL.version}, version=0, **ADMINISTRATOR
    )
    until = datetime.now(UTC).date() + timedelta(days=300)
    joined = await send(
        site,
        "organisations",
        {
            "name": "Børns Voksenvenner",
            "terms": f"{MODEL.id}_{MODEL.version}",
            "declaration_until": until.isoformat(),
        },
        version=0,
        **ADMINISTRATOR,
    )
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
        left = await send(site, f"{path}/leave", {"reason": "no_volunteers"}, **coordinator)
        again = await send(site, f"{path}/leave", {"reason": "no_volunteers"}, **coordinator)
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
    """An unknown id is answered 404; an id of another kind of stream is refused."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        organisation_id = await join(site)
        unknown = await send(site, f"organisations/{new_id()}/leave", {"reason": "moved"}, **ADMINISTRATOR)
        seen = await site.request(
            "GET", f"/directory/organisations/{new_id()}", token=a_token(**ADMINISTRATOR)
        )
        claims: dict[str, Any] = {
            "role": "coordinator",
            "organisation_id": str(organisation_id),
            "tenant": TENANT,
        }
        other = await send(site, f"offers/{organisation_id}/capacity", {"places": 1}, version=1, **claims)

    assert (unknown.status, seen.status, other.status) == (404, 404, 403)
