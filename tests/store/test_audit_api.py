"""The trail over HTTP: what has arrived and could not be entered is shown, and never called complete."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from contracts.consent import ConsentLooked, CustodyRecorded
from contracts.event import Event, service_of, topic_of
from services.audit.app import SERVICE
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.consumer.processing import BatchStore
from services.kernel.decider.service import EventMetadata
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import Message, message_of
from tests.examples_audit import (
    AUDITOR,
    CASE,
    CASEWORKER,
    COMMAND,
    READINGS_OF_CASEWORKER,
    TENANT,
    case_opened,
    minute,
    was_read,
)
from tests.http_site import Answer, Site, a_token, open_site
from tests.tally import a_record

ELSEWHERE = "0657"
MOTHER, FATHER, FORMER = (UUID(f"0198d000-0000-7000-8000-00000000010{n}") for n in range(3))


@pytest.fixture
async def trail(postgres_dsn: str) -> AsyncIterator[Site]:
    """Serve the audit service."""
    async with open_site(postgres_dsn, SERVICE) as opened:
        yield opened


def a_message(
    stream_id: UUID,
    seq: int,
    body: Event,
    tenant: str = TENANT,
    kind: str = "",
    by: tuple[UUID, str] = (CASEWORKER, "caseworker"),
) -> Message:
    """Return an event of a service as it travels."""
    metadata = EventMetadata(minute(seq), str(by[0]), by[1], str(COMMAND), str(COMMAND))
    data = body.model_dump_json().encode()
    return message_of(str(new_id()), str(stream_id), seq, tenant, kind or body.type, metadata, data)


async def arrive(trail: Site, *messages: Message) -> None:
    """Let messages come off their topic, as the consumer stores them."""
    runtime = trail.runtime
    store, decoder = BatchStore(runtime.processor, runtime.settings), EventDecoder(SERVICE)
    for offset, message in enumerate(
        messages, await runtime.pool.fetchval("select count(*) from parked_events")
    ):
        record = a_record(message, topic=topic_of(service_of(message.type)))
        record.offset = offset
        async with runtime.pool.acquire() as tx:
            await store.store(tx, decoder.read([record]))


async def look(trail: Site, path: str, tenant: str = TENANT) -> Answer:
    """Ask as an auditor."""
    return await trail.request(
        "GET", f"/audit/{path}", token=a_token(sub=str(AUDITOR), role="auditor", tenant=tenant)
    )


async def figures(trail: Site, tenant: str = TENANT) -> Any:
    """Return the figures that an auditor sees."""
    return (await look(trail, "figures", tenant)).body


async def test_whole_streams_are_complete(trail: Site) -> None:
    """Every stream from its first number, and nothing parked: complete, since the first entry."""
    await arrive(trail, a_message(CASE, 1, case_opened()), a_message(READINGS_OF_CASEWORKER, 1, was_read()))

    found = await figures(trail)

    assert (found["complete"], found["parked"], found["since"]) == (True, [], "2026-03-02T09:01:00Z")
    assert [(one["source"], one["entries"], one["latest"]) for one in found["sources"]] == [
        ("referral", 2, "2026-03-02T09:01:00Z")
    ]


async def test_finding_2_a_reading_that_waits_is_shown(trail: Site) -> None:
    """A reading whose predecessor is missing is in the trail of the case and in searches, with the reason."""
    await arrive(trail, a_message(CASE, 1, case_opened()), a_message(READINGS_OF_CASEWORKER, 2, was_read()))

    found = await figures(trail)
    of_case = (await look(trail, f"cases/{CASE}")).body
    by_actor = (await look(trail, f"search?actor={CASEWORKER}&type=referral.looked.v1")).body
    by_another = (await look(trail, f"search?actor={AUDITOR}")).body

    assert found["complete"] is False
    assert found["parked"] == [{"source": "referral", "reason": "gap", "events": 1}]
    assert [one["type"] for one in of_case["entries"]] == ["referral.case_opened.v1"]
    [waits] = of_case["waiting"]
    assert waits == by_actor["waiting"][0]
    assert (waits["reason"], waits["type"], waits["seq"]) == ("gap", "referral.looked.v1", 2)
    assert (waits["case_id"], waits["actor"], waits["role"]) == (str(CASE), str(CASEWORKER), "caseworker")
    assert by_another["waiting"] == []


async def test_a_case_of_which_all_waits_has_a_trail(trail: Site) -> None:
    """What has arrived of a case is shown, though nothing of it could be entered."""
    await arrive(trail, a_message(CASE, 3, case_opened()))

    found = await look(trail, f"cases/{CASE}")

    assert (found.status, found.body["entries"]) == (200, [])
    assert [one["reason"] for one in found.body["waiting"]] == ["gap"]


async def test_what_waits_is_shown_to_its_own_municipality_only(trail: Site) -> None:
    """Another's trail is complete, and shows nothing of it."""
    await arrive(trail, a_message(CASE, 2, case_opened()), a_message(CASEWORKER, 1, case_opened(), ELSEWHERE))

    found, of_case = await figures(trail, ELSEWHERE), await look(trail, f"cases/{CASE}", ELSEWHERE)

    assert (found["complete"], found["parked"]) == (True, [])
    assert (of_case.status, of_case.slug) == (404, "not-found")


async def test_what_is_of_no_known_municipality_may_be_anybodys(trail: Site) -> None:
    """A message that does not say whose it is makes no municipality's trail complete."""
    nobodys = a_message(CASE, 1, case_opened(), "none")
    await arrive(trail, nobodys, a_message(CASEWORKER, 1, case_opened(), ELSEWHERE))

    found = await figures(trail, ELSEWHERE)

    assert found["complete"] is False
    assert found["parked"] == [{"source": None, "reason": "tenant_unknown", "events": 1}]


async def test_an_event_of_an_unknown_kind_shows_what_can_be_read(trail: Site) -> None:
    """A newer version is kept with its person and time; its type is its sender's text, and not shown."""
    await arrive(trail, a_message(CASE, 1, case_opened(), kind="referral.case_opened.v9"))

    [waits] = (await look(trail, f"cases/{CASE}")).body["waiting"]

    assert (waits["reason"], waits["type"], waits["actor"]) == ("version", None, str(CASEWORKER))
    assert waits["at"] == "2026-03-02T09:01:00Z"


async def test_a_trail_that_is_not_there_is_not_found_and_recorded(trail: Site) -> None:
    """Asked for a case that nothing is known of, the auditor's attempt has an entry."""
    found = await look(trail, f"cases/{CASE}")

    assert (found.status, found.slug) == (404, "not-found")
    assert await trail.types() == ["audit.access_refused.v1"]


async def test_only_an_auditor_reads_and_every_other_attempt_is_recorded(trail: Site) -> None:
    """Trail and search are for auditors; the answer depends on the role alone."""
    for path in (f"cases/{CASE}", "search"):
        answer = await trail.request("GET", f"/audit/{path}", token=a_token(role="operator"))
        assert (answer.status, answer.slug) == (403, "not-allowed")

    assert await trail.types() == ["audit.access_refused.v1"] * 2


async def test_the_same_id_in_two_municipalities_is_two_streams(trail: Site) -> None:
    """Neither keeps the other's events out of the trail."""
    await arrive(trail, a_message(CASE, 1, case_opened()), a_message(CASE, 1, case_opened(), ELSEWHERE))

    found = [await figures(trail, tenant) for tenant in (TENANT, ELSEWHERE)]

    assert [(one["complete"], one["sources"][0]["entries"]) for one in found] == [(True, 1)] * 2


def custody_of(*holders: UUID) -> CustodyRecorded:
    """Return the record of who holds parental responsibility."""
    return CustodyRecorded(holder_ids=holders, quorum="all", rule="custody_dk")


def was_read_by_guardian() -> ConsentLooked:
    """Return a guardian's reading of their consents."""
    return ConsentLooked(case_id=CASE, what=("consent",), purpose="own_case")


async def looks(trail: Site, person: UUID, tenant: str = TENANT, role: str = "guardian") -> Answer:
    """Ask as one of the family who has looked at the case."""
    return await trail.request(
        "GET", f"/audit/cases/{CASE}/looks", token=a_token(sub=str(person), role=role, tenant=tenant)
    )


async def test_a_parent_sees_the_looks_of_employees_and_their_own_only(trail: Site) -> None:
    """Days, roles and purposes, without ids; when the other parent signed in is theirs alone."""
    await arrive(
        trail,
        a_message(CASE, 1, custody_of(MOTHER, FATHER)),
        a_message(READINGS_OF_CASEWORKER, 1, was_read()),
        a_message(READINGS_OF_CASEWORKER, 2, was_read()),
        a_message(MOTHER, 1, was_read_by_guardian(), by=(MOTHER, "guardian")),
    )

    mother, father = await looks(trail, MOTHER), await looks(trail, FATHER)

    employees = {"day": "2026-03-02", "role": "caseworker", "purpose": "casework", "times": 2}
    own = {"day": "2026-03-02", "role": "guardian", "purpose": "own_case", "times": 1}
    assert mother.body == [employees, own]
    assert father.body == [employees]
    assert await trail.types() == ["audit.looked.v1"] * 2


async def test_the_looks_are_for_the_family_as_last_recorded(trail: Site) -> None:
    """Who no longer holds parental responsibility finds nothing, nor does the same id elsewhere."""
    await arrive(
        trail,
        a_message(CASE, 1, custody_of(MOTHER, FORMER)),
        a_message(CASE, 2, custody_of(MOTHER)),
        a_message(READINGS_OF_CASEWORKER, 1, was_read()),
    )

    refused = [
        await looks(trail, FORMER),
        await looks(trail, FATHER, role="young_person"),
        await looks(trail, MOTHER, ELSEWHERE),
    ]

    assert [(one.status, one.slug) for one in refused] == [(404, "not-found")] * 3
    assert (await looks(trail, MOTHER)).status == 200


async def test_an_operator_sees_types_and_traces_and_not_who(trail: Site) -> None:
    """The events of a case in their order, without looks and without persons; the reading is on record."""
    readings = a_message(READINGS_OF_CASEWORKER, 1, was_read())
    trace = b"0123456789abcdef" * 2
    opened = a_message(CASE, 1, case_opened())
    opened.headers.append(("ce_traceparent", b"00-" + trace + b"-0123456789abcdef-01"))
    await arrive(trail, opened, readings)
    path, token = f"/audit/operations/cases/{CASE}", a_token(role="operator")
    found = await trail.request("GET", path, token=token)
    refused = [
        (await trail.request("GET", path, token=a_token(role=role, tenant=tenant))).status
        for role, tenant in (("auditor", TENANT), ("operator", ELSEWHERE))
    ]

    assert [(one["type"], one["trace_id"]) for one in found.body] == [
        ("referral.case_opened.v1", trace.decode())
    ]
    assert not {"actor", "role"} & found.body[0].keys()
    assert refused == [403, 404]
    assert await trail.types() == ["audit.looked.v1", *["audit.access_refused.v1"] * 2]
