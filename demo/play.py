"""A year of Kerteminde, played by its people over HTTP; at its end the books are held against each other."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from rich.console import Console

from demo.casefile import CaseFile, World
from demo.days import Days, read_clock
from demo.ledger import Ledger
from demo.plan import DAYS, throw_plans
from demo.progress import Showing
from demo.report import Report, draw_up
from demo.setting import TENANT, set_the_stage
from demo.story import live
from demo.story_staff import stories
from demo.verify import verify
from demo.wire import Unexpected, wire_to


def _unwatched(_commands: int) -> None:
    pass


async def play(
    url: str,
    *,
    cases: int,
    seed: int,
    console: Console,
    days: int = DAYS,
    watch: Callable[[int], None] = _unwatched,
) -> Report:
    """Play, check, and return the report; raise `ServerAway` where the server does not come back.

    `watch` is called after each acknowledged command with their number.
    """

    def report_retry(said: str) -> None:
        console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)

    async with wire_to(url, TENANT, report_retry) as wire:
        began = time.monotonic()
        now, before = await read_clock(wire)
        run = uuid5(NAMESPACE_URL, f"urn:samspil:demo:{seed}:{now.isoformat()}")
        cast = await set_the_stage(wire, run, cases, before)
        world = World(
            seed, wire, Days(wire, cast.operator, before), cast, Ledger(watch), catalogue={}, placed={}
        )
        plans = throw_plans(seed, cases, before)
        files = [CaseFile(world, plan, world.ledger.opens(plan.number)) for plan in plans]
        await _play_days(world, files, days, console)
        played = time.monotonic()
        findings = await verify(world, files)
        return draw_up(world, findings, days, (played - began, time.monotonic() - played))


async def _play_days(world: World, files: Sequence[CaseFile], days: int, console: Console) -> None:
    """Play all stories day by day; what breaks one of them is raised when the day is over."""
    broken: list[Exception] = []
    with Showing(console, world, days) as showing:

        def day_ended() -> None:
            showing.day_ended()
            if broken:
                raise broken[0]

        tasks = [
            asyncio.create_task(_run_story(world, story, number, broken))
            for number, story in _stories(world, files)
        ]
        try:
            await world.days.play(days, day_ended)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _stories(world: World, files: Iterable[CaseFile]) -> Iterable[tuple[int, Coroutine[Any, Any, None]]]:
    for story in stories(world):
        yield -1, story
    for file in files:
        yield file.plan.number, live(file)


async def _run_story(
    world: World, story: Coroutine[Any, Any, None], number: int, broken: list[Exception]
) -> None:
    world.days.began()
    try:
        await story
    except Unexpected as fault:
        world.ledger.fault(number, f"{world.days.today} {fault}")
    except Exception as fault:  # noqa: BLE001  it is raised when the day is over
        broken.append(fault)
    finally:
        world.days.ended()
