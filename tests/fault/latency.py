"""Time from a command of the others to its mail, with and without the hostile municipality, in one run."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import quantiles
from typing import Any, Final
from uuid import UUID

import asyncpg

from tests.fault.hostile import Hostile, closed_gates
from tests.fault.load import Load
from tests.fault.stage import Stage
from tests.fault.timing import pause
from tests.tally import TENANT
from tests.waiting import under_way, until

_SLICES: Final = 4
_SLICE_SECONDS: Final = 8.0
_SAMPLE_SECONDS: Final = 0.5


async def measured(stage: Stage, load: Load, hostile: Hostile) -> dict[str, Any]:
    """Run slices with and without the hostile municipality in turn; return quantiles and their ratios."""
    refs: dict[bool, list[UUID]] = defaultdict(list)
    closed = 0
    async with under_way(load):
        await until_all_work(stage, load)
        for with_it in (False, True) * (_SLICES // 2):
            before = set(load.promised)
            if with_it:
                async with under_way(hostile):
                    closed += await _watch_gates(stage, load.cases)
            else:
                closed += await _watch_gates(stage, load.cases)
            refs[with_it] += load.promised.keys() - before
        await load.end()

    async def all_mailed() -> bool:
        wanted = [ref for some in refs.values() for ref in some]
        return len(await _seconds(stage, wanted)) == len(wanted)

    await until(all_mailed, what="the mails of the others")
    without, beside = [await _seconds(stage, refs[with_it]) for with_it in (False, True)]
    return {**_figures(without, beside), "gates_closed": closed}


async def until_all_work(stage: Stage, load: Load) -> None:
    """Wait until a command has gone through the whole chain, and the consents are fresh."""

    async def through() -> bool:
        return bool(await _seconds(stage, list(load.promised))) and not await closed_gates(stage, load.cases)

    await until(through, seconds=120, what="the chain")


async def _watch_gates(stage: Stage, cases: Sequence[UUID]) -> int:
    """Look at the others' gates for the time of a slice; return how often one was closed."""
    closed = 0
    for _ in range(int(_SLICE_SECONDS / _SAMPLE_SECONDS)):
        await pause(_SAMPLE_SECONDS)
        closed += await closed_gates(stage, cases)
    return closed


async def _seconds(stage: Stage, refs: Sequence[UUID]) -> list[float]:
    """Return the seconds from each command's event to its mail, of those that were mailed."""
    session = await asyncpg.connect(stage.dsn)
    try:
        rows = await session.fetch(_SECONDS, TENANT, list(refs))
    finally:
        await session.close()
    return [row["seconds"] for row in rows]


def _figures(without: Sequence[float], beside: Sequence[float]) -> dict[str, Any]:
    found: dict[str, Any] = {"commands_without": len(without), "commands_beside": len(beside)}
    for name, n in (("p50", 49), ("p99", 98)):
        one, other = (quantiles(some, n=100)[n] for some in (without, beside))
        found |= {
            f"{name}_without_ms": round(one * 1000, 1),
            f"{name}_beside_ms": round(other * 1000, 1),
            f"{name}_ratio": round(other / one, 2),
        }
    return found


_SECONDS: Final = """
select extract(epoch from f.done_at - (l.meta ->> 0)::timestamptz)::float8 as seconds
from unnest($2::uuid[]) as w (ref)
join referral.event_log l on l.tenant = $1 and l.data ->> 'referral_id' = w.ref::text
join notify.effects f on f.tenant = $1 and f.key = w.ref
where f.done_at is not null
"""
