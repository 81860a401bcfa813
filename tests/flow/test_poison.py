"""Whatever one sender puts on a topic, the events of the others are taken, and it waits with its reason."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from contracts.referral import ReferralSeen
from services.kernel import operating
from services.kernel.decision import Actor
from services.kernel.ids import new_id
from services.kernel.messages import Message
from services.kernel.runtime import Runtime
from services.kernel.service import Saved, Tx
from services.kernel.weighing import Asked
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


def instead(name: str, value: bytes) -> Callable[[Message], Message]:
    """Return what puts another value in a header."""

    def change(good: Message) -> Message:
        return Message(
            good.type, good.key, good.value, [(n, value if n == name else v) for n, v in good.headers]
        )

    return change


def without(name: str) -> Callable[[Message], Message]:
    """Return what leaves a header out."""
    return lambda good: Message(
        good.type, good.key, good.value, [header for header in good.headers if header[0] != name]
    )


QUARANTINED: dict[str, Callable[[Message], Message]] = {
    "a municipality of letters": instead("ce_tenant", b"abcd"),
    "a municipality too long": instead("ce_tenant", b"04400"),
    "a municipality of nothing": instead("ce_tenant", b""),
    "a municipality with a zero byte": instead("ce_tenant", b"04\x000"),
    "a municipality that separates columns": instead("ce_tenant", b"04\x1e0"),
    "a sequence beyond all numbers": instead("ce_sequence", b"9" * 20),
    "a sequence without end": instead("ce_sequence", b"9" * 5000),
    "a sequence of zero": instead("ce_sequence", b"0000000000"),
    "a sequence below zero": instead("ce_sequence", b"-1"),
    "a sequence of words": instead("ce_sequence", b"first"),
    "no sequence": without("ce_sequence"),
    "a stream that is no id": instead("ce_subject", b"Karen"),
    "a stream that is not the key": instead("ce_subject", str(case_id(2)).encode()),
    "an id that is none": instead("ce_id", b"x" * 36),
    "an actor that is none": instead("ce_actor", b"Karen"),
    "a correlation that is none": instead("ce_correlationid", b"x" * 36),
    "a causation that is none": instead("ce_causationid", b"-" * 36),
    "another standard": instead("ce_specversion", b"2.0"),
    "a time without a place": instead("ce_time", b"2026-03-02T09:00:00"),
    "a time that is none": instead("ce_time", b"yesterday"),
    "no type": without("ce_type"),
    "no headers": lambda good: Message(good.type, good.key, good.value, []),
    "a header twice": lambda good: Message(good.type, good.key, good.value, [*good.headers, good.headers[0]]),
    "no key": lambda good: Message(good.type, None, good.value, good.headers),  # type: ignore[arg-type]
    "no body": lambda good: Message(good.type, good.key, None, good.headers),  # type: ignore[arg-type]
    "a whole that is no object": lambda good: Message(
        good.type, good.key, b"[]", [("content-type", b"application/cloudevents+json")]
    ),
    "a whole without its parts": lambda good: Message(
        good.type, good.key, b'{"data":{}}', [("content-type", b"application/cloudevents+json")]
    ),
}


async def heard(runtime: Runtime, count: int) -> bool:
    """Return whether the tally has counted so many events."""
    return sum(map(len, (await tallies(runtime)).values())) >= count


async def reasons(runtime: Runtime) -> list[str]:
    """Return why events wait."""
    return [row["reason"] for row in await operating.list_parked(runtime)]


async def test_what_cannot_be_an_event_is_quarantined(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Each of these lies apart with its reason; none stops a topic, and none blocks a stream by a guess."""
    poison = [change(a_message(BROKEN, 1, seen(1))) for change in QUARANTINED.values()]
    good = [a_message(case_id(10 + n), 1, seen(1)) for n in range(5)]
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [*good, *poison, a_message(BROKEN, 1, seen(1))])
        await until(lambda: heard(runtime, 6))
        found, why = await tallies(runtime), await reasons(runtime)

    assert len(found) == 6
    assert len(why) == len(poison)
    assert set(why) == {"header", "body"}


@pytest.mark.parametrize("name", QUARANTINED)
async def test_it_is_quarantined_also_when_it_comes_alone(
    name: str, postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A batch of one bad event is taken like any other."""
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await publish(bootstrap, [QUARANTINED[name](a_message(BROKEN, 1, seen(1)))])

        async def waits() -> bool:
            return len(await reasons(runtime)) == 1

        await until(waits)
        await publish(bootstrap, [a_message(BROKEN, 1, seen(1))])
        await until(lambda: heard(runtime, 1))


def project_of(fault: Exception) -> Callable[[Tx, Sequence[Saved]], Any]:
    """Return what writes a service's own tables, and breaks on one stream."""

    async def project(_tx: Tx, saved: Sequence[Saved]) -> None:
        if any(one.stream_id == BROKEN and one.heard for one in saved):
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
    service = replace(TALLY, project=project_of(fault))
    load = [a_message(case_id(n), k, seen(k)) for k in (1, 2) for n in range(10)]
    async with running(postgres_dsn, bootstrap, broker_kind, service) as runtime:
        await publish(bootstrap, load)
        await until(lambda: heard(runtime, 18))

        async def two_wait() -> bool:
            return len(await reasons(runtime)) == 2

        await until(two_wait)
        found, why = await tallies(runtime), await reasons(runtime)

    assert set(found) == {case_id(n) for n in range(10)} - {BROKEN}
    assert why == ["bug", "behind"]


async def test_a_seal_that_was_broken_holds_up_its_own_stream(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Where one stream's private text was changed in the table, the other streams are heard."""
    service = replace(TALLY, opens=frozenset({ReferralSeen}))
    async with running(postgres_dsn, bootstrap, broker_kind, service) as runtime:
        cause = str(new_id())
        command = Asked(
            BROKEN, TENANT, Count(ACTOR, "private"), Actor(ACTOR, "caseworker", TENANT), START, cause, cause
        )
        async with runtime.pool.acquire() as tx:
            await runtime.step.apply(tx, [command])
            await tx.execute("update sealed set name = 'moved'")
        await publish(bootstrap, [a_message(case_id(n), 1, seen(1)) for n in range(10)])
        await until(lambda: heard(runtime, 10))
        found, why = await tallies(runtime), await reasons(runtime)

    assert found[BROKEN] == [str(ACTOR)]
    assert why == ["bug"]


async def test_a_flood_of_what_cannot_be_read_stops_the_intake(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A sender who has gone wrong altogether does not fill the parking lot."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    async with running(postgres_dsn, bootstrap, broker_kind, parked_limit=20) as runtime:
        await producer.start()
        for _ in range(300):
            await producer.send("samspil.referral.v1", b"rubbish")
        await producer.stop()

        async def red() -> bool:
            return "stopped: too-many-parked" in (await runtime.why_not_ready()).values()

        await until(red)
        assert len(await reasons(runtime)) <= 20
