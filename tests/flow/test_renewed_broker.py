"""The embedded broker is emptied before its topics are too long to be read, and nothing is lost by it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from services.kernel.consumer import consumer as intake
from services.kernel.consumer.consumer import EventConsumer
from services.kernel.decider.decision import Decision
from services.kernel.decider.service import Service
from services.kernel.embedded import quiescence as settling
from services.kernel.embedded import up
from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.up import run_embedded
from services.kernel.runtime.runtime import Runtime
from tests.relaying import (
    LISTENER,
    Load,
    Reader,
    all_counted,
    all_sent,
    apply,
    count,
    counted,
    hear,
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
async def tally_and_listener(listener: Service = LISTENER) -> AsyncIterator[tuple[Runtime, Runtime, str]]:
    """Run both as `samspil up` does, and say where their broker is."""
    with scratch_folder() as folder:
        async with run_embedded((TALLY, listener), folder, port=free_port(), virtual=False) as (
            them,
            settings,
            _,
        ):
            yield them["consent"], them["agreement"], settings.bootstrap


async def all_there(bootstrap: str, each: int) -> Reader:
    """Return who has read the topic as it is now, once it holds the last event of each stream."""
    async with reading(bootstrap, partitions=1) as reader:
        await reader.read_until(
            lambda: {stream_id for stream_id, place, _ in reader.lines if place == each} == EVERY
        )
    return reader


async def test_a_broker_is_emptied_once_it_holds_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a load that goes on all is heard once and in order; the latest of it lies there again."""
    monkeypatch.setattr(up, "_WATCH_SECONDS", 0.05)
    monkeypatch.setattr(up, "_MAX_BATCHES", 20)
    monkeypatch.setattr(up, "_LATEST", 50)
    async with tally_and_listener() as (sender, listener, bootstrap):
        async with under_way(Load(sender, 5)) as load:
            for _ in range(3):
                await until(lambda: is_full(sender))
                await until(lambda: rests(sender))
            each = await load.end()
        await until(lambda: counted(listener, 5 * each))
        await until(lambda: all_sent(sender))
        await until(lambda: rests(sender))
        found = await tallies(listener)
        reader = await all_there(bootstrap, each)
        parked = await listener.pool.fetchval("select count(*) from parked_events")

    assert found == all_counted(5, each)
    assert parked == 0
    assert 45 <= len(reader.ids()) < 5 * each


async def is_full(runtime: Runtime) -> bool:
    """Return whether the broker holds more than it should."""
    return runtime.relay.batches_sent > 20


async def rests(runtime: Runtime) -> bool:
    """Return whether the broker holds little and somebody leads."""
    return runtime.relay.is_leader and runtime.relay.batches_sent <= 20


@asynccontextmanager
async def held_up(runtime: Runtime) -> AsyncIterator[None]:
    """Let a stranger hold what a service writes while the block runs: it takes nothing."""
    async with runtime.pool.acquire() as stranger, stranger.transaction():
        await stranger.execute("lock table streams in exclusive mode")
        yield


async def test_where_somebody_takes_nothing_a_broker_is_filled_with_all_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a consumer has not taken is there again when it can."""
    monkeypatch.setattr(settling, "_HEAR_SECONDS", 0.2)
    monkeypatch.setattr(up, "_LATEST", 50)
    async with tally_and_listener() as (sender, listener, bootstrap):
        await until(lambda: listens(listener))
        async with held_up(listener):
            await load(sender, 5, 60)
            await until(lambda: all_sent(sender))
            monkeypatch.setattr(up, "_MAX_BATCHES", 20)
            await until(lambda: rests(sender))
            monkeypatch.setattr(up, "_MAX_BATCHES", 10_000)
        await until(lambda: counted(listener, 300))
        found = await tallies(listener)
        reader = await all_there(bootstrap, 60)

    assert found == all_counted(5, 60)
    assert len(reader.ids()) == 300


async def test_who_has_stopped_stays_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that has set too much aside is not begun again by another broker."""
    monkeypatch.setattr(settling, "_HEAR_SECONDS", 0.2)
    async with tally_and_listener() as (sender, listener, _):
        await until(lambda: listens(listener))
        assert listener.consumer is not None
        listener.consumer.stopped_by = "too-many-parked"
        await load(sender, 5, 60)
        await until(lambda: all_sent(sender))
        before = listener.consumer
        monkeypatch.setattr(up, "_MAX_BATCHES", 20)
        await until(lambda: rests(sender))
        await until(lambda: listens_anew(listener, before))
        red = await listener.unready_reasons()
        found = await tallies(listener)

    assert red["intake"] == "stopped: too-many-parked"
    assert found == {}


async def test_who_is_slow_is_waited_for_while_it_gets_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a broker would be filled with all there is before the slow one is through, again and again."""
    monkeypatch.setattr(settling, "_HEAR_SECONDS", 1.0)
    monkeypatch.setattr(intake, "_MOST", 64)

    def slowly(tally: Tally | None, trigger: Any, given: Any) -> Decision:
        time.sleep(0.005)
        return hear(tally, trigger, given)

    async with tally_and_listener(replace(LISTENER, decide=slowly)) as (sender, listener, _):
        await apply(sender, *(count(n, k) for k in range(200) for n in range(5)))
        await until(lambda: all_sent(sender))
        taken = await settling.drain_consumers({"consent": sender, "agreement": listener})
        found = await total(listener)

    assert (taken, found) == (True, 1_000)


async def test_nothing_is_settled_while_a_broker_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent and not heard is still to be heard: no clock may move on before."""
    monkeypatch.setattr(settling, "_HEAR_SECONDS", 0.2)
    async with tally_and_listener() as (sender, listener, _):

        async def settled() -> tuple[bool, dict[UUID, list[str]]]:
            rest = await settling.wait_until_idle({"consent": sender, "agreement": listener})
            return rest, await tallies(listener)

        await until(lambda: listens(listener))
        async with held_up(listener):
            await load(sender, 5, 60)
            await until(lambda: all_sent(sender))
            waiting = asyncio.create_task(settled())
            monkeypatch.setattr(up, "_MAX_BATCHES", 20)
            await until(lambda: rests(sender))
        found = await waiting

    assert found == (True, all_counted(5, 60))


async def listens_anew(runtime: Runtime, before: EventConsumer) -> bool:
    """Return whether another consumer listens than before."""
    return runtime.consumer is not before and await listens(runtime)


async def listens(runtime: Runtime) -> bool:
    """Return whether a consumer listens."""
    return runtime.consumer is not None and runtime.consumer.joined
