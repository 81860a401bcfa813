"""Parked events: an operator lists them, replays them in order, or discards them on the record."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.event import SERVICES, WhyDropped, municipality_stream
from contracts.referral import ReferralReady
from services.audit.app import SERVICE as AUDIT
from services.kernel.errors import NotFound
from services.kernel.kafka.cloudevents import Message
from services.kernel.kafka.topics import make_topics
from services.kernel.operations import parked_events as operating
from services.kernel.operations.discard import NotFirstInStream, TenantRequired
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.parked import park
from services.kernel.streams.store import WriteSet, save
from tests.tables import tables_of
from tests.tally import TENANT, a_message, a_record, case_id, publish, running, seen, settings_for, tallies
from tests.waiting import until

OPERATOR = UUID("0199a000-0000-7000-8000-0000000000bb")
SENT_AGAIN, UNTRUE = WhyDropped.SENT_AGAIN, WhyDropped.UNTRUE


def a_bug(stream: UUID, seq: int) -> Message:
    """Return an event that breaks the tally's rule."""
    return a_message(stream, seq, ReferralReady(referral_id=case_id(0), send_by="2026-03-02"))


def unreadable(stream: UUID, seq: int, header: str = "ce_id") -> Message:
    """Return an event of which one header cannot be read; its key can."""
    good = a_message(stream, seq, seen(seq))
    headers = [(name, b"x" if name == header else value) for name, value in good.headers]
    return Message(good.type, good.key, good.value, headers)


async def parked(runtime: Runtime, count: int) -> list[dict[str, Any]]:
    """Return what is parked, once so many are."""

    async def so_many() -> bool:
        return len(await operating.list_parked(runtime)) == count

    await until(so_many)
    return await operating.list_parked(runtime)


async def drops(runtime: Runtime) -> list[dict[str, Any]]:
    """Return the records of discarded events in the log."""
    rows = await runtime.pool.fetch(
        "select stream_id, tenant, meta ->> 1 as actor, meta ->> 2 as role, data from event_log "
        "where type = 'consent.event_dropped.v1' order by id"
    )
    decode = runtime.service.discarded_event
    assert decode is not None
    return [{**dict(row), "data": decode.model_validate_json(row["data"])} for row in rows]


@asynccontextmanager
async def parked_by_a_bug(dsn: str, bootstrap: str, kind: str) -> AsyncIterator[Runtime]:
    """Run a tally in which one stream halts at its first event, and two wait behind it."""
    async with running(dsn, bootstrap, kind) as runtime:
        await publish(bootstrap, [a_bug(case_id(0), 1), *(a_message(case_id(0), k, seen(k)) for k in (2, 3))])
        await parked(runtime, 3)
        yield runtime


async def test_a_discard_is_recorded_in_its_stream(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """The event is gone, what waited is applied, and one event more stands in the log of the stream."""
    async with parked_by_a_bug(postgres_dsn, bootstrap, broker_kind) as runtime:
        first = (await operating.list_parked(runtime, reason="bug"))[0]
        shown = await operating.show_parked(runtime, first["id"])
        done = await operating.discard_parked(runtime, first["id"], why=SENT_AGAIN, by=OPERATOR)
        left, recorded, found = (
            await operating.list_parked(runtime),
            await drops(runtime),
            await tallies(runtime),
        )

    assert shown["tenant"] == TENANT
    assert "value" not in shown
    assert (shown["taken_last"], shown["waiting_with_it"]) == (None, 2)
    assert done == {
        "dropped": first["id"],
        "why": "sent_again",
        "recorded_in": case_id(0),
        "left_in_stream": 0,
    }
    assert left == []
    assert found == {case_id(0): [str(seen(k).referral_id) for k in (2, 3)]}
    assert [(one["stream_id"], one["tenant"], one["actor"], one["role"]) for one in recorded] == [
        (case_id(0), TENANT, str(OPERATOR), "operator")
    ]
    said = recorded[0]["data"].model_dump()
    assert (said["source"], said["sequence"], said["what"]) == ("referral", 1, "ready")
    assert (said["parked_as"], said["why"]) == ("bug", "sent_again")


async def test_the_audit_trail_holds_a_discard(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """An auditor reads in the case's own trail that an operator gave an event up, and why."""
    await make_topics(list(SERVICES), settings_for(postgres_dsn, bootstrap, broker_kind))
    async with (
        running(postgres_dsn, bootstrap, broker_kind, AUDIT) as audit,
        parked_by_a_bug(postgres_dsn, bootstrap, broker_kind) as runtime,
    ):
        first = (await operating.list_parked(runtime, reason="bug"))[0]
        await operating.discard_parked(runtime, first["id"], why=UNTRUE, by=OPERATOR)

        async def recorded() -> bool:
            return bool(await audit.pool.fetchval("select count(*) from entries where type like '%dropped%'"))

        await until(recorded)
        entry = dict(await audit.pool.fetchrow("select * from entries where type like '%dropped%'") or {})

    assert (entry["type"], entry["case_id"]) == ("consent.event_dropped.v1", case_id(0))
    assert (entry["actor"], entry["role"]) == (OPERATOR, "operator")
    assert (entry["what"], entry["purpose"]) == (["bug"], "untrue")


async def test_only_the_first_of_a_stream_can_be_discarded(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Giving up what stands behind another would hide a hole; it is refused, and nothing has changed."""
    async with parked_by_a_bug(postgres_dsn, bootstrap, broker_kind) as runtime:
        behind = (await operating.list_parked(runtime, reason="behind"))[0]
        before = await tables_of(postgres_dsn, "consent")
        with pytest.raises(NotFirstInStream, match="2 of referral, and 0 was taken last"):
            await operating.discard_parked(runtime, behind["id"], why=UNTRUE, by=OPERATOR)
        with pytest.raises(NotFound):
            await operating.discard_parked(runtime, 999, why=UNTRUE, by=OPERATOR)
        after = await tables_of(postgres_dsn, "consent")

    assert after == before


async def halt(runtime: Runtime, stream: UUID) -> tuple[bool, str]:
    """Return whether a stream halts, and what it counts as taken."""
    row = await runtime.pool.fetchrow(
        "select halted, marks::text as marks from streams where tenant = $1 and stream_id = $2",
        TENANT,
        stream,
    )
    assert row is not None
    return row["halted"], row["marks"]


async def test_a_discarded_event_counts_as_not_consumed(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A sequence of an unknown stream; its true events come later, and all are applied."""
    forged = a_message(case_id(0), 5, seen(99), event_id=UUID(int=99))
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [forged])
        alone = (await parked(runtime, 1))[0]
        before = await halt(runtime, case_id(0))
        done = await operating.discard_parked(runtime, alone["id"], why=WhyDropped.NOT_OURS, by=OPERATOR)
        after, left = await halt(runtime, case_id(0)), await operating.list_parked(runtime)
        await publish(bootstrap, [a_message(case_id(0), k, seen(k)) for k in range(1, 7)])
        await until(lambda: _counted(runtime, 6))
        recorded, found = await drops(runtime), await tallies(runtime)

    assert alone["reason"] == "gap"
    assert (before, after) == ((True, "{}"), (False, "{}"))
    assert (left, done["left_in_stream"]) == ([], 0)
    assert [(one["stream_id"], one["data"].sequence, one["data"].parked_as) for one in recorded] == [
        (case_id(0), 5, "gap")
    ]
    assert found == {case_id(0): [str(seen(k).referral_id) for k in range(1, 7)]}


async def test_the_halt_ends_when_nothing_of_the_stream_waits_any_more(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Of two that wait for what is not here the later is refused; another municipality's has no part."""
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(
            bootstrap,
            [
                a_message(case_id(0), 1, seen(1)),
                *(a_message(case_id(0), k, seen(k)) for k in (4, 6)),
                a_message(case_id(0), 3, seen(3), tenant="0461"),
            ],
        )
        rows = {row["seq"]: row["id"] for row in await parked(runtime, 3)}
        with pytest.raises(NotFirstInStream, match=f"6 of referral, and 1 was taken last; see {rows[4]}"):
            await operating.discard_parked(runtime, rows[6], why=UNTRUE, by=OPERATOR)
        halts = []
        for seq in (4, 6, 3):
            await operating.discard_parked(runtime, rows[seq], why=UNTRUE, by=OPERATOR)
            halts.append((await halt(runtime, case_id(0)))[0])
        await publish(bootstrap, [a_message(case_id(0), k, seen(k)) for k in range(2, 7)])
        await until(lambda: _counted(runtime, 6))
        found = await tallies(runtime)

    assert halts == [True, False, False]
    assert found == {case_id(0): [str(seen(k).referral_id) for k in range(1, 7)]}


async def test_a_discard_of_an_early_event_leaves_a_gap_that_can_be_repaired(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Late events are applied, later ones wait again, and the discarded one is applied once republished."""
    early = a_message(case_id(0), 3, seen(3))
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [early])
        row = (await parked(runtime, 1))[0]
        await operating.discard_parked(runtime, row["id"], why=UNTRUE, by=OPERATOR)
        await publish(bootstrap, [a_message(case_id(0), k, seen(k)) for k in (1, 2, 4)])
        behind = await parked(runtime, 1)
        halted = await halt(runtime, case_id(0))
        await publish(bootstrap, [early])
        await until(lambda: _counted(runtime, 4))
        left, found = await parked(runtime, 0), await tallies(runtime)

    assert [(one["seq"], one["reason"]) for one in behind] == [(4, "gap")]
    assert halted[0] is True
    assert left == []
    assert found == {case_id(0): [str(seen(k).referral_id) for k in (1, 2, 3, 4)]}


async def test_a_discard_without_a_stream_is_recorded_with_the_municipality(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Under its key where that is a stream of the municipality, else among the operator's own deeds."""
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [a_message(case_id(0), 1, seen(1))])
        await until(lambda: _counted(runtime, 1))
        await publish(bootstrap, [unreadable(case_id(0), 2)])
        parked_row = (await parked(runtime, 1))[0]
        await publish(bootstrap, [unreadable(case_id(9), 1)])
        absent = (await parked(runtime, 2))[1]
        await publish(bootstrap, [unreadable(case_id(0), 2, "ce_tenant")])
        unknown = (await parked(runtime, 3))[2]
        await operating.discard_parked(runtime, absent["id"], why=SENT_AGAIN, by=OPERATOR)
        await operating.discard_parked(runtime, parked_row["id"], why=SENT_AGAIN, by=OPERATOR)
        with pytest.raises(TenantRequired):
            await operating.discard_parked(runtime, unknown["id"], why=UNTRUE, by=OPERATOR)
        await operating.discard_parked(runtime, unknown["id"], why=UNTRUE, by=OPERATOR, tenant="0461")
        await publish(bootstrap, [a_message(case_id(0), 2, seen(2))])
        await until(lambda: _counted(runtime, 2))
        recorded, found = await drops(runtime), await tallies(runtime)
        own = dict(await runtime.pool.fetch("select tenant, stream_id from access_streams"))

    assert found == {case_id(0): [str(seen(k).referral_id) for k in (1, 2)]}
    assert [(one["stream_id"], one["tenant"]) for one in recorded] == [
        (own[TENANT], TENANT),
        (case_id(0), TENANT),
        (own["0461"], "0461"),
    ]
    assert [(one["data"].sequence, one["data"].what, one["data"].parked_as) for one in recorded] == [
        (None, None, "header")
    ] * 3


async def test_a_discard_is_recorded_for_the_senders_municipality(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Finding 1: under a foreign id a municipality parks a stream of its own, and the other's goes on."""
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(
            bootstrap, [a_message(case_id(0), 1, seen(1)), a_message(case_id(0), 2, seen(2), tenant="0461")]
        )
        foreign = (await parked(runtime, 1))[0]
        await publish(bootstrap, [a_message(case_id(0), 2, seen(2))])
        await until(lambda: _counted(runtime, 2))
        await operating.discard_parked(runtime, foreign["id"], why=WhyDropped.NOT_OURS, by=OPERATOR)
        recorded = await drops(runtime)

    assert [(one["stream_id"], one["tenant"], one["data"].parked_as) for one in recorded] == [
        (case_id(0), "0461", "gap")
    ]


async def test_an_event_for_another_municipalitys_own_stream_counts_to_its_sender(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Finding 1: more of them than the limit stop no consumer and halt no stream; all are quarantined."""
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        count = runtime.settings.parked_limit + 10
        foreign = municipality_stream(TENANT)
        await publish(bootstrap, [a_message(foreign, k, seen(k), tenant="0461") for k in range(1, count + 1)])
        rows = await parked(runtime, count)
        await publish(bootstrap, [a_message(foreign, 1, seen(1))])
        await until(lambda: _counted(runtime, 1))
        reasons = runtime.consumer.unready_reasons() if runtime.consumer else {}

    assert {(row["tenant"], row["stream_id"], row["reason"]) for row in rows} == {("0461", None, "tenant")}
    assert "consumer" not in reasons


async def test_what_is_parked_is_found_by_stream_reason_and_age(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Each filter narrows the list; an unknown type is not repeated, for its sender wrote it."""
    strange = a_message(case_id(1), 2, seen(2), event_type="referral.karen_hansen.v1")
    async with parked_by_a_bug(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [strange])
        rows = await parked(runtime, 4)
        of_stream = await operating.list_parked(runtime, stream_id=case_id(1))
        of_reason = await operating.list_parked(runtime, reason="behind")
        fresh = await operating.list_parked(runtime, older_than=timedelta(hours=1))
        few = await operating.list_parked(runtime, most=2)
        shown = await operating.show_parked(runtime, of_stream[0]["id"])

    assert {row["service"] for row in rows} == {"consent"}
    assert [(row["stream_id"], row["reason"], row["type"]) for row in of_stream] == [
        (case_id(1), "gap", "unknown")
    ]
    assert [row["seq"] for row in of_reason] == [2, 3]
    assert fresh == []
    assert [row["id"] for row in few] == [row["id"] for row in rows[:2]]
    assert "karen" not in str(shown)


async def test_one_event_is_taken_up_after_those_before_it(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Asked for the last of three, the first is tried first; while it fails none goes past it."""
    async with parked_by_a_bug(postgres_dsn, bootstrap, broker_kind) as runtime:
        last = (await operating.list_parked(runtime))[-1]
        done = await operating.replay_parked(runtime, parked_id=last["id"])
        tried = await operating.list_parked(runtime)
        with pytest.raises(NotFound):
            await operating.replay_parked(runtime, parked_id=999)

    assert done == {"streams": 1, "applied": 0, "left": 1}
    assert [(row["reason"], row["attempts"]) for row in tried] == [("bug", 2), ("behind", 1), ("behind", 1)]


async def test_a_repaired_decoder_redelivers_what_it_could_not_read(postgres_dsn: str) -> None:
    """Messages that an older program could not read are applied in order, each to its own stream."""
    messages = [a_message(case_id(n), k, seen(k)) for k in (1, 2) for n in (0, 1)]
    unreadable = [
        park(replace(a_record(message), offset=offset), "oversized")
        for offset, message in enumerate(messages)
    ]
    async with running(postgres_dsn, "", "none") as runtime:
        async with runtime.pool.acquire() as tx:
            await save(tx, WriteSet(), parked=unreadable)
        done = await operating.replay_parked(runtime)
        found, left = await tallies(runtime), await operating.list_parked(runtime)

    assert done == {"streams": 0, "applied": 4, "left": 0}
    assert found == {case_id(n): [str(seen(k).referral_id) for k in (1, 2)] for n in (0, 1)}
    assert left == []


async def _counted(runtime: Runtime, count: int) -> bool:
    return sum(map(len, (await tallies(runtime)).values())) >= count
