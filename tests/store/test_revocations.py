"""Revocation: whom a municipality lets in no more, in the directory and in every other service."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.directory import ACCESS_EVENTS, AccessRestored, AccessRevoked
from contracts.event import AccessChanged, municipality_stream
from services.directory.app import SERVICE as DIRECTORY
from services.kernel.consumer.decoding import DecodedBatch, EventDecoder
from services.kernel.consumer.processing import BatchStore
from services.kernel.decider.revocations import KEEP_REVOCATIONS
from services.kernel.ids import new_id
from services.kernel.limits import Limits
from services.kernel.runtime.revocations import Revocations, digest_of
from services.registry import ALL
from tests.examples_directory import MODELS, TENANT
from tests.http_site import ISSUER, Answer, Site, a_token, open_site
from tests.http_site import SERVICE as TALLY
from tests.tally import START, a_message, a_record
from tests.waiting import until

PERSON = UUID("0199a000-0000-7000-8000-0000000000ee")
OTHER = "0461"
QUICK = Limits(revocations_seconds=0.02)


@pytest.fixture
async def site(postgres_dsn: str) -> AsyncIterator[Site]:
    """Serve the directory, whose verifier reads the table often."""
    async with open_site(postgres_dsn, DIRECTORY, models=MODELS, limits=QUICK) as opened:
        yield opened


async def send(site: Site, what: str, body: dict[str, object], **claims: str) -> Answer:
    """Revoke or restore, as an administrator unless it says otherwise."""
    token = a_token(ISSUER, **{"role": "administrator", "tenant": TENANT, **claims})
    headers = {"Idempotency-Key": str(new_id())}
    return await site.request("POST", f"/directory/access/{what}", token=token, json=body, headers=headers)


async def status_of(site: Site, token: str) -> int:
    """Return how a reader of the catalogue is answered."""
    return (await site.request("GET", "/directory/organisations", token=token)).status


def the_person(**claims: str) -> str:
    """Return a token of the person who is revoked."""
    return a_token(ISSUER, **{"sub": str(PERSON), "tenant": TENANT, **claims})


async def until_answered(site: Site, token: str, status: int) -> None:
    """Wait until a token is answered in a way."""

    async def answered() -> bool:
        return await status_of(site, token) == status

    await until(answered)


async def test_finding_6_a_person_is_let_in_no_more(site: Site) -> None:
    """With none of their tokens, also those that were taken before, until they are restored."""
    token = the_person()
    assert await status_of(site, token) == 200

    revoked = await send(site, "revoke", {"person_id": str(PERSON)})
    await until_answered(site, token, 401)
    refused = await site.request("GET", "/directory/organisations", token=the_person(jti="another"))

    assert revoked.status == 200
    assert (refused.status, refused.slug, refused.body["detail"]) == (401, "token-invalid", "it was revoked")
    listed = await site.request(
        "GET", "/directory/access", token=a_token(role="administrator", tenant=TENANT)
    )
    assert [row["subject"] for row in listed.body] == [str(PERSON)]

    await send(site, "restore", {"person_id": str(PERSON)})
    await until_answered(site, token, 200)


async def test_a_single_token_is_revoked_by_its_id(site: Site) -> None:
    """The person's other tokens are taken; the id itself is stored nowhere."""
    stolen, other = the_person(jti="stolen-7"), the_person(jti="other-8")

    await send(site, "revoke", {"token_id": "stolen-7"})
    await until_answered(site, stolen, 401)

    assert await status_of(site, other) == 200
    assert await status_of(site, the_person()) == 200
    rows = await site.runtime.pool.fetch("select subject from revocations")
    assert [row["subject"] for row in rows] == [digest_of("stolen-7")]
    assert "stolen-7" not in str(await site.events())


async def test_a_municipality_revokes_nobody_elsewhere(site: Site) -> None:
    """The same person is another one in another municipality."""
    await send(site, "revoke", {"person_id": str(PERSON)})
    await until_answered(site, the_person(), 401)

    assert await status_of(site, the_person(tenant=OTHER)) == 200


@pytest.mark.parametrize("role", ["caseworker", "coordinator", "guardian", "leader", "auditor"])
async def test_nobody_else_revokes(site: Site, role: str) -> None:
    """Administrators and operators do, and not their own access."""
    for what in ("revoke", "restore"):
        assert (await send(site, what, {"person_id": str(PERSON)}, role=role)).status in {403, 404}
    own = await send(site, "revoke", {"person_id": str(PERSON)}, sub=str(PERSON))

    assert own.status in {403, 404}


@pytest.mark.parametrize(
    "body", [{}, {"person_id": str(PERSON), "token_id": "x"}, {"token_id": ""}, {"token_id": "x" * 256}]
)
async def test_a_person_or_a_token_is_named(site: Site, body: dict[str, object]) -> None:
    """One of the two."""
    assert (await send(site, "revoke", body)).status == 422


async def test_it_holds_after_a_restart(postgres_dsn: str) -> None:
    """The table is read before the first request is served."""
    async with open_site(postgres_dsn, DIRECTORY, models=MODELS, limits=QUICK) as before:
        await send(before, "revoke", {"person_id": str(PERSON)})
    async with open_site(
        postgres_dsn, DIRECTORY, models=MODELS, limits=Limits(revocations_seconds=3600.0)
    ) as after:
        assert await status_of(after, the_person()) == 401


async def test_nobody_is_let_in_before_the_table_was_read(site: Site) -> None:
    """A verifier that does not know who is revoked lets nobody in."""
    unread = Revocations([site.runtime])

    assert not unread.known
    await unread.refresh()
    assert unread.known


async def test_the_latest_counts_in_whatever_order_they_arrive(site: Site) -> None:
    """Within one batch and across batches."""
    times = [START + timedelta(seconds=n) for n in range(4)]
    said = list(zip([False, True, False, True], times, strict=True))
    async with site.runtime.pool.acquire() as tx:
        for batch in ([said[3], said[0]], [said[2]], [said[1], said[1]]):
            await tx.execute(KEEP_REVOCATIONS, *_columns(batch))
        (row,) = await tx.fetch("select revoked, changed_at from revocations")

    assert (row["revoked"], row["changed_at"]) == said[3]


def _columns(batch: list[tuple[bool, datetime]]) -> list[list[Any]]:
    return [
        [TENANT] * len(batch),
        [str(PERSON)] * len(batch),
        [revoked for revoked, _ in batch],
        [at for _, at in batch],
    ]


HEEDING = replace(TALLY, access_events=ACCESS_EVENTS)


async def consume(site: Site, *events: tuple[int, AccessChanged]) -> DecodedBatch:
    """Let a service consume access events of the directory, each with its number."""
    records = [
        a_record(a_message(municipality_stream(TENANT), number, event), topic="samspil.directory.v1")
        for number, event in events
    ]
    batch = EventDecoder(HEEDING).read(records)
    async with site.runtime.pool.acquire() as tx:
        await BatchStore(site.runtime.processor, site.runtime.settings).store(tx, batch)
    return batch


@pytest.mark.parametrize("number", [1, 7], ids=["in order", "behind a gap"])
async def test_finding_6_another_service_applies_what_it_consumes(postgres_dsn: str, number: int) -> None:
    """Also where an earlier event of the municipality is missing: a revocation waits for nothing."""
    async with open_site(postgres_dsn, HEEDING, limits=QUICK) as site:
        token, other = the_person(), the_person(tenant=OTHER)
        assert (await site.request("GET", "/consent/numbers", token=token)).status == 200
        await consume(site, (number, AccessRevoked(person_id=PERSON)))

        async def refused() -> bool:
            return (await site.request("GET", "/consent/numbers", token=token)).status == 401

        await until(refused)
        assert (await site.request("GET", "/consent/numbers", token=other)).status == 200


async def test_a_revoked_membership_leaves_the_persons_other_roles(postgres_dsn: str) -> None:
    """A token that names the membership is refused, one of the same person in another role is not."""
    async with open_site(postgres_dsn, HEEDING, limits=QUICK) as site:
        membership_id = new_id()
        ended, other = (the_person(mid=str(one)) for one in (membership_id, new_id()))
        await consume(site, (1, AccessRevoked(membership_id=membership_id)))

        async def refused() -> bool:
            return (await site.request("GET", "/consent/numbers", token=ended)).status == 401

        await until(refused)
        assert (await site.request("GET", "/consent/numbers", token=other)).status == 200


async def test_of_the_same_moment_the_revocation_counts(postgres_dsn: str) -> None:
    """Nobody is let in by the order of two rows."""
    async with open_site(postgres_dsn, HEEDING, limits=QUICK) as site:
        for first, second in ((AccessRevoked, AccessRestored), (AccessRestored, AccessRevoked)):
            await consume(site, (1, first(person_id=PERSON)), (2, second(person_id=PERSON)))

        assert await site.runtime.pool.fetchval("select revoked from revocations")


@pytest.mark.parametrize(
    "event",
    [
        AccessRevoked(),
        AccessRevoked(person_id=PERSON, token_sha256="0" * 64),
        AccessRevoked(person_id=PERSON, membership_id=PERSON),
    ],
    ids=["nobody", "both", "person and membership"],
)
async def test_an_access_event_that_says_nothing_is_quarantined(
    postgres_dsn: str, event: AccessRevoked
) -> None:
    """It is parked for an operator, and nobody is revoked by it."""
    async with open_site(postgres_dsn, HEEDING) as site:
        batch = await consume(site, (1, event))

        assert [reason for _, reason in batch.unreadable] == ["body"]
        assert await site.runtime.pool.fetchval("select count(*) from revocations") == 0


def test_every_service_consumes_revocations() -> None:
    """Each reads the topic of the directory, and applies both events; the directory writes them itself."""
    assert {one.name for one in ALL if one.access_events == ACCESS_EVENTS} == {
        one.name for one in ALL if one.name != "directory"
    }
    for one in ALL:
        assert one.name == "directory" or "directory" in EventDecoder(one).sources
