"""The embedded broker is recycled before its topics are too long to be read, and nothing is lost by it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from services.kernel.consumer.consumer import EventConsumer
from services.kernel.decider.decision import Decision
from services.kernel.decider.service import Service
from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.quiescence import drain_consumers, wait_until_idle
from services.kernel.embedded.recycling import EmbeddedBroker
from services.kernel.embedded.up import Installation, run_embedded
from services.kernel.limits import EMBEDDED
from services.kernel.runtime.runtime import Runtime
from tests.relay_load import (
    SUBSCRIBER,
    Load,
    Reader,
    all_counted,
    all_sent,
    apply,
    consume,
    count,
    counted,
    load,
    reading,
    total,
)
from tests.servers import scratch_folder
from tests.tally import TALLY, Tally, case_id, tallies
from tests.waiting import under_way, until

pytestmark = pytest.mark.embedded

EVERY = {case_id(n) for n in range(5)}


@asynccontextmanager
async def tally_and_subscriber(
    subscriber: Service = SUBSCRIBER, **limits: float
) -> AsyncIterator[Installation]:
    """Run both as `samspil up` does."""
    with scratch_folder() as folder:
        async with run_embedded(
            (TALLY, subscriber),
            folder,
            port=free_port(),
            virtual=False,
            limits=EMBEDDED.model_copy(update=limits),
        ) as installation:
            yield installation


def both(there: Installation) -> tuple[Runtime, Runtime]:
    """Return the tally and its subscriber."""
    return there.runtimes["consent"], there.runtimes["agreement"]


async def all_there(bootstrap: str, each: int) -> Reader:
    """Return a reader of the topic as it is now, once it holds the last event of each stream."""
    async with reading(bootstrap, partitions=1) as reader:
        await reader.read_until(
            lambda: {stream_id for stream_id, seq, _ in reader.lines if seq == each} == EVERY
        )
    return reader


async def test_a_broker_is_recycled_once_it_holds_much() -> None:
    """Under load everything is consumed once and in order; the latest of it is there again."""
    async with tally_and_subscriber(
        embedded_watch_seconds=0.05, embedded_batches=20, embedded_latest=50
    ) as there:
        sender, subscriber = both(there)
        async with under_way(Load(sender, 5)) as load:
            for _ in range(3):
                await until(lambda: is_full(there.broker))
                await until(lambda: is_recycled(there))
            each = await load.end()
        await until(lambda: counted(subscriber, 5 * each))
        await until(lambda: all_sent(sender))
        await until(lambda: is_recycled(there))
        found = await tallies(subscriber)
        reader = await all_there(there.settings.bootstrap, each)
        parked = await subscriber.pool.fetchval("select count(*) from parked_events")

    assert found == all_counted(5, each)
    assert parked == 0
    assert 45 <= len(reader.ids()) < 5 * each


async def is_full(broker: EmbeddedBroker) -> bool:
    """Return whether the broker holds more than it should."""
    return broker.is_full()


async def is_recycled(there: Installation) -> bool:
    """Return whether the broker holds little, and a relay leads."""
    return both(there)[0].relay.is_leader and not there.broker.is_full()


@asynccontextmanager
async def held_up(runtime: Runtime) -> AsyncIterator[None]:
    """Lock what a service writes while the block runs: it consumes nothing."""
    async with runtime.pool.acquire() as stranger, stranger.transaction():
        await stranger.execute("lock table streams in exclusive mode")
        yield


async def test_a_broker_that_is_not_drained_is_filled_with_everything() -> None:
    """What a consumer has not consumed is there again when it can."""
    async with tally_and_subscriber(embedded_drain_seconds=0.2, embedded_latest=50) as there:
        sender, subscriber = both(there)
        await until(lambda: listens(subscriber))
        async with held_up(subscriber):
            await load(sender, 5, 60)
            await until(lambda: all_sent(sender))
            await there.broker.recycle()
        await until(lambda: counted(subscriber, 300))
        found = await tallies(subscriber)
        reader = await all_there(there.settings.bootstrap, 60)

    assert found == all_counted(5, 60)
    assert len(reader.ids()) == 300


async def test_a_stopped_consumer_stays_stopped() -> None:
    """A consumer whose circuit breaker is open is not started again by another broker."""
    async with tally_and_subscriber(embedded_drain_seconds=0.2) as there:
        sender, subscriber = both(there)
        await until(lambda: listens(subscriber))
        assert subscriber.consumer is not None
        subscriber.consumer.stopped_by = "too-many-parked"
        await load(sender, 5, 60)
        await until(lambda: all_sent(sender))
        before = subscriber.consumer
        await there.broker.recycle()
        await until(lambda: listens_anew(subscriber, before))
        red = await subscriber.unready_reasons()
        found = await tallies(subscriber)

    assert red["consumer"] == "stopped: too-many-parked"
    assert found == {}


async def test_a_slow_consumer_is_waited_for_while_it_makes_progress() -> None:
    """Else a broker would be filled with everything before the slow one is through, again and again."""

    def slowly(tally: Tally | None, trigger: Any, context: Any) -> Decision:
        time.sleep(0.005)
        return consume(tally, trigger, context)

    async with tally_and_subscriber(replace(SUBSCRIBER, decide=slowly), consumer_batch=64) as there:
        sender, subscriber = both(there)
        await apply(sender, *(count(n, k) for k in range(200) for n in range(5)))
        await until(lambda: all_sent(sender))
        drained = await drain_consumers(there.runtimes, patience=3.0)
        found = await total(subscriber)

    assert (drained, found) == (True, 1_000)


async def test_the_services_are_not_idle_while_a_broker_is_recycled() -> None:
    """What was sent and not consumed is still to be consumed: no clock may move on before."""
    async with tally_and_subscriber(embedded_drain_seconds=0.2) as there:
        sender, subscriber = both(there)

        async def idle() -> tuple[bool, dict[UUID, list[str]]]:
            rest = await wait_until_idle(there.runtimes)
            return rest, await tallies(subscriber)

        await until(lambda: listens(subscriber))
        async with held_up(subscriber):
            await load(sender, 5, 60)
            await until(lambda: all_sent(sender))
            waiting = asyncio.create_task(idle())
            await there.broker.recycle()
            await until(lambda: is_recycled(there))
        found = await waiting

    assert found == (True, all_counted(5, 60))


async def listens_anew(runtime: Runtime, before: EventConsumer) -> bool:
    """Return whether another consumer runs than before."""
    return runtime.consumer is not before and await listens(runtime)


async def listens(runtime: Runtime) -> bool:
    """Return whether a consumer runs."""
    return runtime.consumer is not None and runtime.consumer.joined
