"""The API of notify: inboxes while consents are not fresh, and how each municipality reaches a person."""

import json
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest

from contracts.event import Event, municipality_stream, service_of
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.effects.context import EffectReader
from services.kernel.ids import new_id
from services.kernel.runtime.runtime import Runtime
from services.notify.app import SERVICE
from services.notify.domain.states import Case
from services.notify.projections import contact_of, project
from tests.examples_notify import (
    CASE,
    CASEWORKER,
    COORDINATOR,
    DEPARTMENT,
    FATHER,
    MOTHER,
    ORGANISATION,
    STRANGER,
    TENANT,
    a_case,
    accepted,
    case_opened,
    custody_recorded,
    department_registered,
    lost,
    organisation_joined,
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


async def consume(runtime: Runtime, stream_id: UUID, *happened: Event, tenant: str = TENANT) -> None:
    """Consume what happened in a stream, each event from the topic of its service."""
    records = [
        a_record(a_message(stream_id, n, body, tenant=tenant), topic=f"samspil.{service_of(body.type)}.v1")
        for n, body in enumerate(happened, 1)
    ]
    async with runtime.pool.acquire() as tx:
        await runtime.processor.process(tx, EventDecoder(SERVICE).read(records).events)


async def consume_request(runtime: Runtime, case_id: UUID, tenant: str = TENANT) -> None:
    """Consume that a case was opened, and the request for the mother's consent in it."""
    await consume(runtime, case_id, case_opened(), tenant=tenant)
    await consume(runtime, case_id, custody_recorded(MOTHER), requested(), tenant=tenant)


async def reach(site: Site, path: str, body: dict[str, str] | None, **claims: Any) -> Answer:
    """Record how a recipient is reached, or read it."""
    token = a_token(**claims)
    if body is None:
        return await site.request("GET", f"/notify/{path}", token=token)
    return await site.request(
        "POST", f"/notify/{path}", token=token, json=body, headers={"Idempotency-Key": str(new_id())}
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


MINE: Final = "contacts/mine"
CASEWORKER_HERE: Final = {"role": "caseworker", "sub": str(CASEWORKER), "department_id": str(DEPARTMENT)}


async def test_each_municipality_keeps_how_it_reaches_somebody_who_works_with_several(
    postgres_dsn: str,
) -> None:
    """The same coordinator of the same organisation records it at both; neither sees the other's."""
    here = {**AS_COORDINATOR, "sub": str(COORDINATOR), "tenant": TENANT}
    there = {**here, "tenant": ELSEWHERE}
    async with open_site(postgres_dsn, SERVICE) as site:
        recorded = [
            await reach(site, MINE, {"language": language, "email": email}, **claims)
            for claims, language, email in (
                (here, "da", "here@example.org"),
                (there, "nb", "there@example.org"),
                (there, "nb", "new@example.org"),
            )
        ]
        seen = [await reach(site, MINE, None, **claims) for claims in (here, there)]
        nobodys = await reach(site, MINE, None, **{**here, "tenant": "0657"})
        events = [one for one in await site.events() if one[2] == "notify.contact_recorded.v1"]

    own = [one.body["id"] for one in seen]
    assert [one.status for one in recorded] == [201] * 3
    assert [{**one.body, "id": ""} for one in seen] == [
        {"id": "", "language": "da", "email": "here@example.org", "version": 1},
        {"id": "", "language": "nb", "email": "new@example.org", "version": 2},
    ]
    assert {UUID(one).version for one in own} == {7}
    assert len({*own, str(ORGANISATION)}) == 3
    assert (nobodys.status, nobodys.body["email"], nobodys.body["version"]) == (200, None, 0)
    assert [(str(one[0]), one[3]["recipient_id"]) for one in events] == [
        (stream, str(ORGANISATION)) for stream in (own[0], own[1], own[1])
    ]


async def test_finding_5_a_caseworker_reaches_the_families_of_the_departments_cases_only(
    postgres_dsn: str,
) -> None:
    """Whether a person is of another case, another department or not there, the answer is the same."""
    body = {"language": "da", "email": "typed@example.org"}
    async with open_site(postgres_dsn, SERVICE) as site:
        await consume_request(site.runtime, CASE)
        other_case = new_id()
        await consume(site.runtime, other_case, case_opened())
        await consume(site.runtime, other_case, custody_recorded(FATHER))
        await reach(site, MINE, {"language": "da", "email": "mine@example.org"}, **GUARDIAN)
        await reach(site, MINE, {"language": "da"}, role="guardian", sub=str(FATHER))
        own = f"cases/{CASE}/contacts/{MOTHER}"
        seen = await reach(site, own, None, **CASEWORKER_HERE)
        changed = await reach(site, own, body, **CASEWORKER_HERE)
        inbox = await kinds(site, **GUARDIAN)
        runtime = site.runtime
        reading = EffectReader(runtime.processor, runtime.pool, runtime.settings, TENANT)
        _, former = await reading.read(CASE)
        elsewhere = {**CASEWORKER_HERE, "department_id": str(STRANGER)}
        administrator = {"role": "administrator", "sub": str(STRANGER)}
        foreign = (
            (f"cases/{CASE}/contacts/{FATHER}", CASEWORKER_HERE),
            (f"cases/{CASE}/contacts/{new_id()}", CASEWORKER_HERE),
            (f"cases/{new_id()}/contacts/{MOTHER}", CASEWORKER_HERE),
            (own, elsewhere),
            (own, administrator),
            (f"contacts/{MOTHER}", administrator),
            (f"contacts/{new_id()}", administrator),
            (f"contacts/{MOTHER}", CASEWORKER_HERE),
            (own, {**CASEWORKER_HERE, "tenant": ELSEWHERE}),
        )
        refused = [
            await reach(site, path, sent, **claims) for path, claims in foreign for sent in (None, body)
        ]

    assert (seen.status, seen.body["email"], changed.status) == (200, "mine@example.org", 201)
    assert "contact_changed" in inbox[1]
    assert "mine@example.org" in former.values()
    assert {one.status for one in refused} <= {403, 404}
    assert all("example.org" not in one.text for one in refused)


async def test_an_administrator_reaches_the_departments_and_organisations_of_the_municipality(
    postgres_dsn: str,
) -> None:
    """They are those that the directory names for it."""
    how = {"language": "da", "email": "team@example.org"}
    async with open_site(postgres_dsn, SERVICE) as site:
        await consume(site.runtime, municipality_stream(TENANT), department_registered())
        await consume(site.runtime, ORGANISATION, organisation_joined())
        answers = {
            tenant: [
                (await reach(site, f"contacts/{one}", how, role="administrator", tenant=tenant)).status
                for one in (DEPARTMENT, ORGANISATION)
            ]
            for tenant in (TENANT, ELSEWHERE)
        }
        seen = await reach(site, f"contacts/{DEPARTMENT}", None, role="administrator")

    assert answers[TENANT] == [201, 201]
    assert {*answers[ELSEWHERE]} <= {403, 404}
    assert seen.body["email"] == "team@example.org"


async def test_a_mail_goes_to_the_address_that_the_cases_municipality_has(postgres_dsn: str) -> None:
    """A mother with a case in each of two municipalities is reached by each as she has recorded there."""
    cases = {TENANT: CASE, ELSEWHERE: new_id()}
    found = {}
    async with open_site(postgres_dsn, SERVICE) as site:
        for tenant, case_id in cases.items():
            how = {"language": "da", "email": f"of.{tenant}@example.org"}
            await reach(site, MINE, how, **GUARDIAN, tenant=tenant)
            await consume_request(site.runtime, case_id, tenant)
        rows = await site.runtime.pool.fetch("select tenant, about::text as about from effects")
        for row in rows:
            runtime, about = site.runtime, json.loads(row["about"])
            reading = EffectReader(runtime.processor, runtime.pool, runtime.settings, row["tenant"])
            contact_id = await reading.query(contact_of, recipient_id=UUID(about["recipient_id"]))
            assert contact_id is not None
            _, private = await reading.read(contact_id)
            found[row["tenant"]] = private["email"]

    assert found == {tenant: f"of.{tenant}@example.org" for tenant in cases}


async def test_an_operator_sees_mails_by_case_and_not_to_whom(postgres_dsn: str) -> None:
    """What waits and what was refused for good, of the operator's municipality; nobody's address."""
    async with open_site(postgres_dsn, SERVICE) as site:
        await site.runtime.pool.execute(
            "insert into effects (tenant, key, stream_id, kind, about, attempts) select tenant,"
            " gen_random_uuid(), $1, 'mail', '{}', 3 from unnest($2::text[]) as t (tenant)",
            CASE,
            [TENANT, ELSEWHERE],
        )
        await site.runtime.pool.execute(
            "insert into notices"
            " (tenant, notice_id, case_id, recipient_id, role, kind, at, codes, mail, shown)"
            " select $1, gen_random_uuid(), $2, $3, 'family', 'consent_requested', now(), '{}', mail, true"
            " from unnest(array['failed', 'delivered']) as m (mail)",
            TENANT,
            CASE,
            MOTHER,
        )
        found = (await site.request("GET", "/notify/operations/mails", token=a_token(role="operator"))).body
        refused = await site.request("GET", "/notify/operations/mails", token=a_token(role="administrator"))

    assert [(one["case_id"], one["attempts"]) for one in found["waiting"]] == [(str(CASE), 3)]
    assert [one["kind"] for one in found["refused"]] == ["consent_requested"]
    assert str(MOTHER) not in str(found)
    assert refused.status == 403
