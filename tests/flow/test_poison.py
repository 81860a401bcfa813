"""Whatever one sender puts on a topic, the events of the others are taken, and it waits with its reason."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from contracts.referral import ReferralSeen
from services.kernel.decider.decision import Actor
from services.kernel.decider.service import ProjectionWriter, StreamChange
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import Message
from services.kernel.operations import missing_events as losing
from services.kernel.operations import parked_events as operating
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.examples_poison import QUARANTINED
from tests.tally import (
    ACTOR,
    START,
    TALLY,
    TENANT,
    Count,
    a_message,
    case_id,
    publish,
    running,
    seen,
    tallies,
)
from tests.waiting import until

BROKEN = case_id(1)


async def consumed(runtime: Runtime, count: int) -> bool:
    """Return whether the tally has counted so many events."""
    return sum(map(len, (await tallies(runtime)).values())) >= count


async def reasons(runtime: Runtime) -> list[str]:
    """Return why events wait."""
    return [row["reason"] for row in await operating.list_parked(runtime)]


async def waiting(runtime: Runtime, count: int) -> bool:
    """Return whether so many events wait."""
    return len(await reasons(runtime)) == count


async def test_what_cannot_be_an_event_is_quarantined(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Each of these lies apart with its reason; none stops a topic, and none blocks a stream by a guess."""
    poison = [change(a_message(BROKEN, 1, seen(1))) for change in QUARANTINED.values()]
    good = [a_message(case_id(10 + n), 1, seen(1)) for n in range(5)]
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [*good, *poison, a_message(BROKEN, 1, seen(1))])
        await until(lambda: consumed(runtime, 6))
        await until(lambda: waiting(runtime, len(poison)))  # what has no key may lie in another partition
        found, why = await tallies(runtime), await reasons(runtime)

    assert len(found) == 6
    assert set(why) == {"header", "body"}


@pytest.mark.parametrize("trace", ["no", "x" * 52 + "-01", f"00-{'0' * 32}-{'0' * 16}-01"])
async def test_a_broken_trace_costs_nothing(
    trace: str, postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """An event is taken whatever its sender says of traces, which are for the operator only."""
    good = a_message(BROKEN, 1, seen(1))
    traced = Message(good.type, good.key, good.value, [*good.headers, ("ce_traceparent", trace.encode())])
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [traced, a_message(BROKEN, 2, seen(2))])
        await until(lambda: consumed(runtime, 2))

        assert await reasons(runtime) == []


async def test_what_cannot_be_an_event_is_not_counted_as_lost(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A search for events that the topic holds and the log does not reports the neighbouring event."""
    poison = [change(a_message(BROKEN, 1, seen(1))) for change in QUARANTINED.values()]
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [*poison, a_message(BROKEN, 2, seen(2))], topic="samspil.consent.v1")

        found = await losing.find_missing_events(runtime)

    assert {(one["stream_id"], one["seq"]) for one in found} >= {(BROKEN, 2)}
    assert all(one["seq"] in (1, 2) for one in found)
    assert {type(one["time"]) for one in found} == {datetime, type(None)}  # never what a stranger wrote


def project_of(fault: Exception) -> Callable[[ProjectionWriter, Sequence[StreamChange]], Any]:
    """Return what writes a service's own tables, and breaks on one stream."""

    async def project(_tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
        if any(one.stream_id == BROKEN and one.events for one in saved):
            raise fault

    return project


@pytest.mark.parametrize(
    "fault",
    [ValueError("x"), KeyError("x"), asyncpg.CheckViolationError("x")],
    ids=lambda each: type(each).__name__,
)
async def test_an_event_that_breaks_the_own_tables_is_parked_alone(
    fault: Exception, postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """One event that a service's tables cannot take waits as a bug; the others of its batch are taken."""
    service = replace(TALLY, projection=project_of(fault))
    load = [a_message(case_id(n), k, seen(k)) for k in (1, 2) for n in range(10)]
    async with running(postgres_dsn, bootstrap, broker_kind, service) as runtime:
        await publish(bootstrap, load)
        await until(lambda: consumed(runtime, 18))
        await until(lambda: waiting(runtime, 2))
        found, why = await tallies(runtime), await reasons(runtime)

    assert set(found) == {case_id(n) for n in range(10)} - {BROKEN}
    assert why == ["bug", "behind"]


async def test_a_waiting_event_that_breaks_its_tables_blocks_no_other_stream(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """When the missing event comes, what waited runs into a bug: it is parked, and the topic flows."""
    service = replace(TALLY, projection=_breaks_on_the_third)
    async with running(postgres_dsn, bootstrap, broker_kind, service) as runtime:
        await publish(bootstrap, [a_message(BROKEN, k, seen(k)) for k in (1, 3)])

        await until(lambda: waiting(runtime, 1))
        await publish(bootstrap, [a_message(BROKEN, 2, seen(2)), a_message(BROKEN, 4, seen(4))])
        await until(lambda: consumed(runtime, 2))
        await publish(bootstrap, [a_message(case_id(n), 1, seen(1)) for n in range(10, 15)])
        await until(lambda: consumed(runtime, 7))
        await until(lambda: waiting(runtime, 2))
        found, why = await tallies(runtime), await reasons(runtime)

    assert found[BROKEN] == [str(seen(k).referral_id) for k in (1, 2)]
    assert why == ["bug", "behind"]


async def _breaks_on_the_third(_tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    if any(sent.seq == 3 for one in saved if one.stream_id == BROKEN for sent in one.events):
        raise ValueError("x")


async def test_a_seal_that_was_broken_holds_up_its_own_stream(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Where one stream's private text was changed in the table, the other streams are consumed."""
    service = replace(TALLY, reads_private_for=frozenset({ReferralSeen}))
    async with running(postgres_dsn, bootstrap, broker_kind, service) as runtime:
        cause = str(new_id())
        command = Envelope(
            BROKEN, TENANT, Count(ACTOR, "private"), Actor(ACTOR, "caseworker", TENANT), START, cause, cause
        )
        async with runtime.pool.acquire() as tx:
            await runtime.processor.process(tx, [command])
            await tx.execute("update sealed set name = 'moved'")
        await publish(bootstrap, [a_message(case_id(n), 1, seen(1)) for n in range(10)])
        await until(lambda: consumed(runtime, 10))
        await until(lambda: waiting(runtime, 1))
        found, why = await tallies(runtime), await reasons(runtime)

    assert found[BROKEN] == [str(ACTOR)]
    assert why == ["bug"]


async def test_many_unreadable_records_stop_the_consumer(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A sender of nothing but poison does not fill the parking lot."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    async with running(postgres_dsn, bootstrap, broker_kind, parked_limit=20) as runtime:
        await producer.start()
        for _ in range(300):
            await producer.send("samspil.referral.v1", b"rubbish")
        await producer.stop()

        async def red() -> bool:
            return "stopped: too-many-parked" in (await runtime.unready_reasons()).values()

        await until(red)
        assert len(await reasons(runtime)) <= 20
