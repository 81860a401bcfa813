"""The API of notify: inboxes while consents are not fresh, and how each municipality reaches a person."""

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.kernel.consumer.decoding import EventDecoder
from services.kernel.effects.context import EffectReader
from services.kernel.ids import new_id
from services.kernel.runtime.runtime import Runtime
from services.notify.app import SERVICE
from services.notify.domain.states import Case, contact_of
from services.notify.projections import project
from tests.examples_notify import (
    CASE,
    COORDINATOR,
    MOTHER,
    ORGANISATION,
    TENANT,
    a_case,
    accepted,
    custody_recorded,
    lost,
    requested,
    sent,
    withdrawn,
)
from tests.http_site import Answer, Site, a_token, advance_watermark, open_site
from tests.store.test_notify_projections import saved
from tests.tally import a_message, a_record

A_STREAM = """
insert into streams (stream_id, tenant, version, seq, marks, kind, state)
values ($1, $2, 1, 0, '{}', 'case', $3::text::json)
"""


async def keep(runtime: Runtime, case: Case) -> None:
    """Store a case with its notices."""
    async with runtime.pool.acquire() as tx, tx.transaction():
        await tx.execute(A_STREAM, CASE, TENANT, msgspec.json.encode(case).decode())
        await project(tx, [saved(case)])


async def kinds(site: Site, **claims: Any) -> tuple[int, list[str]]:
    """Return how an inbox answers: the status, and the kinds of notices in it or the problem's name."""
    answer = await site.request("GET", "/notify/inbox", token=a_token(**claims))
    if answer.status != 200:
        return answer.status, [answer.slug]
    return answer.status, [notice["kind"] for notice in answer.body["notices"]]


AS_COORDINATOR = {"role": "coordinator", "organisation_id": str(ORGANISATION)}
GUARDIAN = {"role": "guardian", "sub": str(MOTHER)}
ELSEWHERE = "0461"


async def consume_request(runtime: Runtime, case_id: UUID, tenant: str) -> None:
    """Consume the request for the mother's consent in a case."""
    records = [
        a_record(a_message(case_id, n, body, tenant=tenant), topic="samspil.consent.v1")
        for n, body in enumerate((custody_recorded(MOTHER), requested()), 1)
    ]
    async with runtime.pool.acquire() as tx:
        await runtime.processor.process(tx, EventDecoder(SERVICE).read(records).events)


async def reach(site: Site, recipient_id: UUID, body: dict[str, str] | None, **claims: Any) -> Answer:
    """Record how a recipient is reached, or read it."""
    path, token = f"/notify/contacts/{recipient_id}", a_token(**claims)
    if body is None:
        return await site.request("GET", path, token=token)
    return await site.request(
        "POST", path, token=token, json=body, headers={"Idempotency-Key": str(new_id())}
    )


@pytest.mark.req("K3")
async def test_an_organisations_inbox_waits_for_fresh_consents(postgres_dsn: str) -> None:
    """No notice is shown that a withdrawal on its way may have closed; the family's inbox does not wait."""
    async with open_site(postgres_dsn, SERVICE, consent_max_age_seconds=60) as site:
        await keep(site.runtime, a_case(sent(), accepted()))
        never = await kinds(site, **AS_COORDINATOR)
        await advance_watermark(site.runtime, 90.0)
        old, family = await kinds(site, **AS_COORDINATOR), await kinds(site, **GUARDIAN)
        await advance_watermark(site.runtime, 1.0)
        fresh = await kinds(site, **AS_COORDINATOR)
        await site.runtime.pool.execute("update streams set halted = true")
        halted = await kinds(site, **AS_COORDINATOR)

    assert never == old == halted == (503, ["consent-unknown"])
    assert fresh == (200, ["referral_sent"])
    assert family[0] == 200
    assert "referral_accepted" in family[1]


@pytest.mark.req("K3")
async def test_the_notice_to_stop_is_shown_also_then(postgres_dsn: str) -> None:
    """An organisation that must stop reads so, fresh consents or not."""
    async with open_site(postgres_dsn, SERVICE, consent_max_age_seconds=60) as site:
        await keep(site.runtime, a_case(sent(), accepted(), lost(), withdrawn()))
        shown = await kinds(site, **AS_COORDINATOR)

    assert shown == (200, ["referral_withdrawn"])


async def test_each_municipality_keeps_how_it_reaches_somebody_who_works_with_several(
    postgres_dsn: str,
) -> None:
    """The same coordinator of the same organisation records it at both; neither sees the other's."""
    here = {**AS_COORDINATOR, "sub": str(COORDINATOR), "tenant": TENANT}
    there = {**here, "tenant": ELSEWHERE}
    async with open_site(postgres_dsn, SERVICE) as site:
        recorded = [
            await reach(site, ORGANISATION, {"language": language, "email": email}, **claims)
            for claims, language, email in (
                (here, "da", "here@example.org"),
                (there, "nb", "there@example.org"),
                (there, "nb", "new@example.org"),
            )
        ]
        seen = [await reach(site, ORGANISATION, None, **claims) for claims in (here, there)]
        nobodys = await reach(site, ORGANISATION, None, **{**here, "tenant": "0657"})
        a_stranger = await reach(site, ORGANISATION, None, role="coordinator", organisation_id=str(CASE))
        by_its_stream = await reach(site, contact_of(TENANT, ORGANISATION), None, tenant=ELSEWHERE)
        events = [one for one in await site.events() if one[2] == "notify.contact_recorded.v1"]

    own = [str(contact_of(tenant, ORGANISATION)) for tenant in (TENANT, ELSEWHERE)]
    assert [one.status for one in recorded] == [201] * 3
    assert [one.body for one in seen] == [
        {"id": own[0], "language": "da", "email": "here@example.org", "version": 1},
        {"id": own[1], "language": "nb", "email": "new@example.org", "version": 2},
    ]
    assert [one.status for one in (nobodys, a_stranger, by_its_stream)] == [404, 403, 404]
    assert [(str(one[0]), one[3]["recipient_id"]) for one in events] == [
        (stream, str(ORGANISATION)) for stream in (own[0], own[1], own[1])
    ]


async def test_a_mail_goes_to_the_address_that_the_cases_municipality_has(postgres_dsn: str) -> None:
    """A mother with a case in each of two municipalities is reached by each as she has recorded there."""
    cases = {TENANT: CASE, ELSEWHERE: new_id()}
    found = {}
    async with open_site(postgres_dsn, SERVICE) as site:
        for tenant, case_id in cases.items():
            how = {"language": "da", "email": f"of.{tenant}@example.org"}
            await reach(site, MOTHER, how, **GUARDIAN, tenant=tenant)
            await consume_request(site.runtime, case_id, tenant)
        rows = await site.runtime.pool.fetch("select tenant, about::text as about from effects")
        for row in rows:
            runtime = site.runtime
            reading = EffectReader(runtime.processor, runtime.pool, runtime.settings, row["tenant"])
            _, private = await reading.read(UUID(json.loads(row["about"])["contact_id"]))
            found[row["tenant"]] = private["email"]

    assert found == {tenant: f"of.{tenant}@example.org" for tenant in cases}


async def test_a_contact_under_the_id_of_a_case_leaves_the_case_its_notices(postgres_dsn: str) -> None:
    """A case mistaken for a person, before or after its first event, loses nothing."""
    async with open_site(postgres_dsn, SERVICE) as site:
        before = await reach(site, CASE, {"language": "da"})
        await consume_request(site.runtime, CASE, TENANT)
        after = await reach(site, CASE, {"language": "nb"})
        inbox = await kinds(site, **GUARDIAN)

    assert (before.status, after.status) == (201, 201)
    assert inbox == (200, ["consent_requested"])
