"""A year of Kerteminde, played by its people over HTTP; at its end the books are held against each other."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import date
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from rich.console import Console

from services.demo.casefile import CaseFile, World
from services.demo.days import Days, first_day
from services.demo.ledger import Ledger
from services.demo.plan import DAYS, CasePlan, throw_plans
from services.demo.progress import Showing
from services.demo.report import Report, draw_up
from services.demo.setting import TENANT, cast_of, set_the_stage
from services.demo.story import live
from services.demo.story_staff import stories
from services.demo.verify import verify
from services.demo.wire import Unexpected, Wire, wire_to

Watch = Callable[[date, int], Awaitable[None]]
"""Called after each day with its date and the number of commands that have been acknowledged."""


async def _watch_nothing(_day: date, _commands: int) -> None:
    pass


async def play(
    url: str, *, cases: int, seed: int, console: Console, days: int = DAYS, watch: Watch = _watch_nothing
) -> Report:
    """Play, check, and return the report; raise `ServerAway` where the server does not come back."""
    async with wire_to(url, TENANT) as wire:
        today = await first_day(wire)
        run = uuid5(NAMESPACE_URL, f"urn:samspil:demo:{url}:{seed}:{today}")
        cast = cast_of(run, cases)
        began = time.monotonic()
        await set_the_stage(wire, cast, cases, today)
        plans = throw_plans(seed, cases, today)
        world = World(
            seed, wire, Days(wire, cast.operator, today), cast, Ledger(), catalogue={}, placed={}
        )
        await _play_year(world, plans, days, console, watch)
        played = time.monotonic() - began
        findings = await verify(world, plans)
        return await draw_up(world, findings, played)
