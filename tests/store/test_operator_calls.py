"""Operator's calls: what is parked of their municipality, on record, taken up again or dropped by two."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from contracts.referral import ReferralReady
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.consumer.processing import BatchStore
from services.kernel.decider.decision import Context, Decision
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import Message
from services.kernel.operations.operator_api import operable
from tests.http_site import SERVICE, Answer, Site, a_token, open_site
from tests.tally import TALLY, TENANT, Tally, a_message, a_record, case_id, decide, seen

ELSEWHERE = "0461"
FIRST, SECOND = (UUID(f"0199a000-0000-7000-8000-0000000000c{n}") for n in (1, 2))
PARKED = "/consent/operations/parked"


class Rule:
    """The tally's rule, which breaks on an event until it is mended."""

    mended = False

    def __call__(self, tally: Tally | None, trigger: Any, context: Context) -> Decision:
        """Decide, as a release without the bug would once it is mended."""
        healed = self.mended and isinstance(trigger, ReferralReady)
        return decide(tally, seen(1) if healed else trigger, context)


@pytest.fixture
def rule() -> Rule:
    """Lend a rule that can be mended."""
    return Rule()


@pytest.fixture
async def site(postgres_dsn: str, rule: Rule) -> AsyncIterator[Site]:
    """Serve the tally with an operator's calls; in two municipalities an event is parked, two wait behind."""
    async with open_site(postgres_dsn, replace(operable(SERVICE), decide=rule)) as opened:
        for tenant in (TENANT, ELSEWHERE):
            await consume(
                opened, [bug(tenant), *(a_message(case_id(0), k, seen(k), tenant=tenant) for k in (2, 3))]
            )
        yield opened


def bug(tenant: str) -> Message:
    """Return an event that breaks the tally's rule."""
    return a_message(
        case_id(0), 1, ReferralReady(referral_id=case_id(0), send_by="2026-03-02"), tenant=tenant
    )


async def consume(site: Site, messages: Sequence[Message]) -> None:
    """Consume messages as one batch of a topic."""
    records = [a_record(message) for message in messages]
    for offset, record in enumerate(records):
        record.offset = offset
    async with site.runtime.pool.acquire() as tx:
        await BatchStore(site.runtime.processor, site.runtime.settings).store(
            tx, EventDecoder(TALLY).read(records)
        )


async def read(site: Site, path: str = PARKED, *, of: UUID = FIRST, tenant: str = TENANT) -> Answer:
    """Read as an operator."""
    return await site.request("GET", path, token=a_token(role="operator", sub=str(of), tenant=tenant))


async def send(
    site: Site, path: str, body: Any = None, *, of: UUID = FIRST, tenant: str = TENANT, key: str = ""
) -> Answer:
    """Send a command as an operator."""
    token = a_token(role="operator", sub=str(of), tenant=tenant)
    headers = {"Idempotency-Key": key or str(new_id())}
    return await site.request("POST", path, token=token, json=body, headers=headers)


async def records(site: Site) -> list[tuple[str, str, str]]:
    """Return what operators have done on record: who, what, in which municipality."""
    rows = await site.runtime.pool.fetch(
        "select meta ->> 1 as actor, data ->> 'what' as what, tenant"
        " from event_log where type = 'consent.looked.v1' order by id"
    )
    return [(row["actor"], row["what"], row["tenant"]) for row in rows]


async def the_first(site: Site) -> str:
    """Return the path of the event at which the municipality's stream has halted."""
    return f"{PARKED}/{(await read(site)).body['items'][0]['id']}"


async def test_an_operator_sees_what_is_parked_of_their_municipality(site: Site) -> None:
    """Ids, codes and numbers, page by page; nothing of the body, and nothing of another municipality."""
    whole, page = (await read(site)).body, (await read(site, f"{PARKED}?limit=2")).body
    rest = (await read(site, f"{PARKED}?limit=2&cursor={page['next']}")).body
    found, only = whole["items"], (await read(site, f"{PARKED}?reason=bug")).body["items"]

    assert [(one["reason"], one["seq"], one["waiting_with_it"]) for one in found] == [
        ("bug", 1, 2), ("behind", 2, 2), ("behind", 3, 2)
    ]  # fmt: skip
    assert {one["stream_id"] for one in found} == {str(case_id(0))}
    assert (found[0]["type"], found[0]["source"], found[0]["service"]) == (
        "referral.ready.v1",
        "referral",
        "consent",
    )
    assert not {"value", "headers", "key", "detail", "tenant"} & found[0].keys()
    assert (page["items"], rest["items"], rest["next"]) == (found[:2], found[2:], None)
    assert only == found[:1]
    where = f"?source=referral&partition={found[1]['kafka_partition']}&offset={found[1]['kafka_offset']}"
    assert (await read(site, PARKED + where)).body["items"] == [found[1]]
    assert {tenant for _, _, tenant in await records(site)} == {TENANT}
    assert {what for _, what, _ in await records(site)} == {'["parked_list"]'}


async def test_nobody_else_and_nothing_of_others(site: Site) -> None:
    """A caseworker is refused; an event of another municipality is not there, whatever is asked of it."""
    own = await the_first(site)
    paths = [f"{own}/{step}" for step in ("take-up", "propose-drop", "withdraw-drop", "confirm-drop")]
    why = {"why": "untrue"}
    elsewhere = [(await read(site, own, tenant=ELSEWHERE)).status]
    for path in paths:
        body = why if "propose" in path or "confirm" in path else None
        elsewhere.append((await send(site, path, body, tenant=ELSEWHERE)).status)
    refused = [
        (await site.request("GET", path, token=a_token())).status
        for path in (PARKED, own, "/consent/operations/health")
    ]

    assert elsewhere == [404] * 5
    assert refused == [403] * 3
    assert await site.runtime.pool.fetchval("select count(*) from parked_events") == 6


async def test_what_is_mended_is_taken_up_again_once(site: Site, rule: Rule) -> None:
    """The stream goes on in order; the same key is answered the same, and the other municipality waits."""
    path = await the_first(site)
    halted = await send(site, f"{path}/take-up")
    rule.mended = True
    done, again = [await send(site, f"{path}/take-up", key="one") for _ in range(2)]
    other = await send(site, f"{path}/propose-drop", {"why": "untrue"}, key="one")

    assert halted.body == {"applied": 0, "left": 1}
    assert done.body == again.body == {"applied": 3, "left": 0}
    assert other.slug == "key-reused"
    assert (await send(site, f"{path}/take-up")).status == 404
    assert await site.runtime.pool.fetch("select distinct tenant from parked_events") == [(ELSEWHERE,)]
    all_of_it = await send(site, PARKED.replace("/parked", "/take-up"), {}, tenant=ELSEWHERE)
    assert all_of_it.body == {"applied": 3, "left": 0}


async def test_a_drop_takes_two_operators(site: Site) -> None:
    """One proposes with a reason, another confirms the same; the trail names both."""
    path = await the_first(site)
    why, other = {"why": "sent_again"}, {"why": "untrue"}
    early = await send(site, f"{path}/confirm-drop", why, of=SECOND)
    proposed = [await send(site, f"{path}/propose-drop", why) for _ in range(2)]
    refused = [
        await send(site, f"{path}/confirm-drop", why),
        await send(site, f"{path}/confirm-drop", other, of=SECOND),
        await send(site, f"{path}/propose-drop", other, of=SECOND),
        await send(site, f"{path}/propose-drop", {"why": "because"}, of=SECOND),
    ]
    seen_by = [(await read(site, path, of=one)).body["proposal"] for one in (FIRST, SECOND)]
    confirmed = await send(site, f"{path}/confirm-drop", why, of=SECOND)
    rows = await site.runtime.pool.fetch(
        "select meta ->> 1 as actor, data ->> 'proposed_by' as proposed_by from event_log"
        " where type = 'consent.event_dropped.v1'"
    )

    assert early.slug == "drop-not-proposed"
    assert [one.status for one in proposed] == [200, 200]
    assert [one.status for one in refused] == [409, 409, 409, 422]
    assert [one.slug for one in refused[:3]] == [
        "second-operator-needed",
        "drop-not-proposed",
        "drop-proposed",
    ]
    assert [one["mine"] for one in seen_by] == [True, False]
    assert seen_by[1]["proposed_by"] == str(FIRST)
    assert (confirmed.status, confirmed.body["left_in_stream"]) == (200, 0)
    assert len(rows) == 1
    assert rows[0]["actor"] == str(SECOND)
    assert rows[0]["proposed_by"] == str(FIRST)
    assert [(who, what) for who, what, _ in await records(site) if "drop" in what] == [
        (str(FIRST), '["parked_drop_proposed"]')
    ]


async def test_a_proposal_can_be_withdrawn_and_a_later_event_cannot_be_dropped(site: Site) -> None:
    """What is withdrawn cannot be confirmed, and only the first event of a stream can be dropped."""
    path = await the_first(site)
    why = {"why": "untrue"}
    await send(site, f"{path}/propose-drop", why)
    withdrawn = [await send(site, f"{path}/withdraw-drop", of=SECOND) for _ in range(2)]
    later = f"{PARKED}/{(await read(site)).body['items'][1]['id']}"
    await send(site, f"{later}/propose-drop", why)

    assert [one.body["proposal"] for one in withdrawn] == [None, None]
    assert (await send(site, f"{path}/confirm-drop", why, of=SECOND)).slug == "drop-not-proposed"
    assert (await send(site, f"{later}/confirm-drop", why, of=SECOND)).slug == "not-first-in-stream"
    assert [what for _, what, _ in await records(site)].count('["parked_drop_withdrawn"]') == 1


async def test_health_says_what_waits(site: Site) -> None:
    """Numbers and codes, of what is parked the municipality's own."""
    await site.runtime.pool.execute(
        "insert into parked_events (tenant, topic, kafka_partition, kafka_offset, headers, reason)"
        " values ('', 'samspil.referral.v1', 0, 99, '[]', 'header')"
    )
    found = (await read(site, "/consent/operations/health")).body

    assert found["service"] == "consent"
    assert (found["parked"], found["parked_unassigned"]) == ({"behind": 2, "bug": 1}, 1)
    assert found["ready"] is not bool(found["unready"])
