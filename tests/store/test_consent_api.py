"""The API of consent: which persons may be named, and how a second employee confirms a minuted yes."""

from typing import Any, Final
from uuid import UUID

import pytest

from services.consent.app import SERVICE
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.ids import new_id
from tests.examples_consent import (
    CASEWORKER,
    CHILD,
    COLLEAGUE,
    DEPARTMENT,
    FOUND_AT,
    LAPSE_ON,
    MODELS,
    REFERRAL,
    TENANT,
    a_case_opened,
    a_consent_awaited,
    sha256_of,
)
from tests.http_site import Answer, Site, a_token, open_site
from tests.tally import a_message, a_record

ELSEWHERE: Final = "0461"
EMPLOYEE: Final = {"department_id": str(DEPARTMENT), "acr": "high"}
FIRST: Final = {**EMPLOYEE, "role": "caseworker", "sub": str(CASEWORKER)}
SECOND: Final = {**EMPLOYEE, "role": "leader", "sub": str(COLLEAGUE)}


async def opened(site: Site, tenant: str = TENANT, child_id: UUID = CHILD) -> UUID:
    """Let a case be opened, with a referral that waits for consent."""
    case_id = new_id()
    happened = (a_case_opened().model_copy(update={"child_id": child_id}), a_consent_awaited())
    records = [
        a_record(a_message(case_id, n, body, tenant=tenant), topic="samspil.referral.v1")
        for n, body in enumerate(happened, 1)
    ]
    async with site.runtime.pool.acquire() as tx:
        await site.runtime.processor.process(tx, EventDecoder(SERVICE).read(records).events)
    return case_id


async def post(
    site: Site, path: str, body: Any, claims: dict[str, Any], version: int | None = None
) -> Answer:
    """Ask for a step, having seen a version."""
    headers = {"Idempotency-Key": str(new_id())}
    if version is not None:
        headers["If-Match"] = f'"{version}"'
    return await site.request("POST", path, token=a_token(**claims), json=body, headers=headers)


async def version_of(site: Site, case_id: UUID) -> int:
    """Return the version of a case."""
    found: int = await site.runtime.pool.fetchval("select version from streams where stream_id = $1", case_id)
    return found


async def name(site: Site, case_id: UUID, person_id: str | None, tenant: str = TENANT, **more: Any) -> Answer:
    """Record one holder of parental responsibility, under an id or without one."""
    holder = {"name": "Prøvemor Eksempelsen", "residence": True}
    body = {
        "holders": [holder | ({"person_id": person_id} if person_id else {})],
        "born": "2016-05-10",
        **more,
    }
    version = await version_of(site, case_id)
    return await post(site, f"/consent/cases/{case_id}/custody", body, {**FIRST, "tenant": tenant}, version)


async def case_of(site: Site, case_id: UUID, path: str = "", **claims: Any) -> Answer:
    """Read a case, or a part of it."""
    return await site.request("GET", f"/consent/cases/{case_id}{path}", token=a_token(**(claims or FIRST)))


async def test_a_person_is_named_by_an_id_that_this_municipality_was_given(postgres_dsn: str) -> None:
    """Somebody new gets an id; a foreign id, an absent one and an id of one's own making are refused."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        case_id, other, foreign = (
            await opened(site),
            await opened(site),
            await opened(site, ELSEWHERE, new_id()),
        )
        made = await name(site, case_id, None)
        theirs = await name(site, foreign, None, ELSEWHERE)
        ids = [
            (await case_of(site, at, tenant=tenant, **FIRST)).body["custody"]["holders"][0]["person_id"]
            for at, tenant in ((case_id, TENANT), (foreign, ELSEWHERE))
        ]
        again = await name(site, other, ids[0])
        child = await name(site, other, ids[0], young_person_id=str(CHILD), young_person_name="Prøvebarn")
        refused = [await name(site, other, one) for one in (ids[1], str(new_id()))]
        calculated = await name(site, other, "0198d000-0000-5000-8000-000000000001")

    assert [one.status for one in (made, theirs, again, child)] == [200] * 4
    assert UUID(ids[0]).version == 7
    assert [(one.status, one.slug, one.without_trace) for one in refused] == [
        (409, "person-unknown", refused[0].without_trace)
    ] * 2
    assert calculated.status == 422


@pytest.mark.req("K3")
async def test_finding_7_a_minuted_yes_counts_once_a_second_employee_confirms_it(postgres_dsn: str) -> None:
    """The caseworker cannot confirm it in any role; a colleague reads the evidence, and confirms both."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        case_id = await opened(site)
        await name(site, case_id, None)
        [asked] = (await case_of(site, case_id)).body["consents"]
        path = f"/consent/cases/{case_id}/consents/{asked['consent_id']}"
        yes = {"language": "da", "text_sha256": sha256_of(), "evidence": "paper_signed"}
        seen = await version_of(site, case_id)
        vague = await post(site, f"{path}/give", yes, FIRST, seen)
        minuted = await post(site, f"{path}/give", {**yes, "evidence_reference": FOUND_AT}, FIRST, seen)
        waits = await case_of(site, case_id, "/to-confirm", **SECOND)
        whole = await case_of(site, case_id, **SECOND)
        steps = [
            (f"/consent/cases/{case_id}/custody/confirm", None),
            (f"{path}/confirm", {"told_by": "phone"}),
        ]
        alone = [
            await post(site, at, body, {**FIRST, "role": role}, seen + 1)
            for at, body in steps
            for role in ("caseworker", "leader")
        ]
        unseen = await post(site, *steps[0], SECOND)
        confirmed = [await post(site, at, body, SECOND, seen + 1 + n) for n, (at, body) in enumerate(steps)]
        case = (await case_of(site, case_id)).body
        stored = await site.runtime.pool.fetchval(
            "select state::text from streams where stream_id = $1", case_id
        )

    assert (vague.slug, minuted.status) == ("evidence-missing", 200)
    assert waits.body["consents"][0]["evidence_reference"] == FOUND_AT
    assert waits.body["custody"]["holders"][0]["name"] == "Prøvemor Eksempelsen"
    assert whole.status in {403, 404}
    assert {one.slug for one in alone} == {"second-employee-missing"}
    assert unseen.slug == "version-missing"
    assert [one.status for one in confirmed] == [200, 200]
    assert case["permissions"][0]["status"] == "granted"
    assert case["consents"][0]["told_by"] == "phone"
    assert FOUND_AT not in stored
    assert (case["permissions"][0]["referral_id"], str(LAPSE_ON)) == (
        str(REFERRAL),
        case["permissions"][0]["lapse_on"],
    )


@pytest.mark.req("K3")
async def test_a_guardian_finds_what_has_ended_and_the_case_only_of_their_own(postgres_dsn: str) -> None:
    """A refusal leaves the open questions and stays among the ended; nobody else finds question or case."""
    async with open_site(postgres_dsn, SERVICE, models=MODELS) as site:
        case_id = await opened(site)
        await name(site, case_id, None)
        [question] = (await case_of(site, case_id)).body["consents"]
        mother = {"role": "guardian", "sub": question["person_id"], "acr": "high"}
        before = await mine(site, mother)
        refused = await post(
            site,
            f"/consent/cases/{case_id}/consents/{question['consent_id']}/refuse",
            {},
            mother,
            await version_of(site, case_id),
        )
        after, ended, cases = [await mine(site, mother, at) for at in ("", "?include=ended", "/cases")]
        wrong = await mine(site, mother, "?include=all")
        foreign = [
            await mine(site, claims, at)
            for claims in ({**mother, "sub": str(new_id())}, {**mother, "tenant": ELSEWHERE})
            for at in ("?include=ended", "/cases")
        ]

    assert [one["consent_id"] for one in before.body] == [question["consent_id"]]
    assert (refused.status, after.body) == (200, [])
    assert [one["consent_id"] for one in ended.body] == [question["consent_id"]]
    assert [(one["case_id"], one["closed"]) for one in cases.body] == [(str(case_id), False)]
    assert wrong.status == 422
    assert [(one.status, one.body) for one in foreign] == [(200, [])] * 4


async def mine(site: Site, claims: dict[str, Any], path: str = "") -> Answer:
    """Read what somebody of the family is asked for, or which cases are theirs."""
    return await site.request("GET", f"/consent/mine{path}", token=a_token(**claims))
