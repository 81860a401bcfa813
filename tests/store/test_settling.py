"""A virtual clock stops wherever something falls due, and goes on once it is done."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from services.kernel.clock import VirtualClock
from services.kernel.decider.decision import Actor, Context, Decision, TimerFired
from services.kernel.embedded.quiescence import advance_clock, wait_until_idle
from services.kernel.ids import new_id
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.tally import ACTOR, START, TALLY, TENANT, Count, Tally, case_id, decide, running

HOUR = timedelta(hours=1)


async def count(runtime: Runtime, n: int, wake_after: timedelta | None = None) -> None:
    """Count once in the n-th stream, and let it be woken later."""
    cause = str(new_id())
    body = Count(new_id(), wake_at=START + wake_after if wake_after else None)
    async with runtime.pool.acquire() as tx:
        envelope = Envelope(case_id(n), TENANT, body, Actor(ACTOR, "caseworker", TENANT), START, cause, cause)
        await runtime.processor.process(tx, [envelope])


async def woken(runtime: Runtime) -> int:
    """Return how often any stream was woken."""
    found: int = await runtime.pool.fetchval(
        "select coalesce(sum((state::json ->> 'woken')::integer), 0) from streams"
    )
    return found


async def sent(runtime: Runtime) -> None:
    """Let all that was committed have been sent, as a relay would."""
    await runtime.pool.execute("delete from pending")


async def test_time_passes_what_is_not_due(postgres_dsn: str, tmp_path: Path) -> None:
    """Up to the hour of the request, and no timer beyond it."""
    clock = VirtualClock(tmp_path / "clock", START)
    async with running(postgres_dsn, "", "none", clock=clock) as runtime:
        await count(runtime, 1, 3 * HOUR)
        await sent(runtime)
        settled = await advance_clock(clock, {"consent": runtime}, START + 2 * HOUR)
        total = await woken(runtime)

    assert (settled, total, clock.now()) == (True, 0, START + 2 * HOUR)


async def test_time_stops_wherever_something_falls_due(postgres_dsn: str, tmp_path: Path) -> None:
    """What falls due on the way and at its end is done, each at its own time."""
    clock = VirtualClock(tmp_path / "clock", START)
    times: list[datetime] = []

    def recording(tally: Tally | None, trigger: Any, context: Context) -> Decision:
        if isinstance(trigger, TimerFired):
            times.append(context.now)
        return decide(tally, trigger, context)

    service = replace(TALLY, decide=recording)
    async with running(postgres_dsn, "", "none", service, clock=clock) as runtime:
        for n in (1, 2, 3, 4):
            await count(runtime, n, n * HOUR)
        await sent(runtime)
        settled = await advance_clock(clock, {"consent": runtime}, START + 3 * HOUR)
        total = await woken(runtime)

    assert (settled, total, clock.now()) == (True, 3, START + 3 * HOUR)
    assert times == [START + n * HOUR for n in (1, 2, 3)]


async def test_nothing_is_settled_before_it_was_sent(postgres_dsn: str, tmp_path: Path) -> None:
    """Time waits for what was committed to leave."""
    clock = VirtualClock(tmp_path / "clock", START)
    async with running(postgres_dsn, "", "none", clock=clock) as runtime:
        await count(runtime, 1)
        settling = asyncio.create_task(wait_until_idle({"consent": runtime}))
        for _ in range(20):
            await runtime.pool.fetchval("select count(*) from pending")
        before = settling.done()
        await sent(runtime)
        after = await settling

    assert (before, after) == (False, True)
