"""What a hop costs while the databases grow: the path of `bench.ours` on logs of 10⁴, 10⁵ and 10⁶ events.

Each size is a database of its own on the one PostgreSQL, with a process and a broker of its own, and filled
before anything is measured: some cases go through the chain, and what they left is copied, over sixty days.
Then the sizes work the same closed batches off in turns. `--long` adds 10⁷.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from bench.chain import CHAIN
from bench.contenders import Apart, apart
from bench.figures import HEADING, median_line, run_line
from bench.load import Run
from bench.servers import servers
from bench.stock import fill, settle_tables
from services.kernel.embedded import broker
from tests.servers import scratch_folder

_SIZES: Final = {"at_1e4": 10_000, "at_1e5": 100_000, "at_1e6": 1_000_000}
_LONG: Final = {"at_1e7": 10_000_000}
_DAYS: Final = 60


async def _main(given: argparse.Namespace) -> None:
    sizes = _SIZES | (_LONG if given.long else {})
    async with AsyncExitStack() as running:
        on = await running.enter_async_context(servers(*sizes, kafka=False))
        folder = await asyncio.to_thread(running.enter_context, scratch_folder())
        contenders: dict[str, Apart] = {}
        for name, events in sizes.items():
            road = await running.enter_async_context(broker(Path(folder) / name))
            apart_on = replace(on, bootstrap=road.bootstrap)
            contenders[name] = await running.enter_async_context(
                apart(name, apart_on, pinned=False, contender="ours")
            )
            began = time.monotonic()
            count = await fill(on.dsn_of[name], CHAIN, events, days=_DAYS)
            await settle_tables(on.dsn_of[name])
            print(f"{name}: {count} events after {time.monotonic() - began:.0f} s", flush=True)
        print(f"{given.cases} cases of six hops, {given.repeats} repeats\n{HEADING}")
        runs = await _in_turns(contenders, given.cases, given.repeats)
    _say(runs)


async def _in_turns(contenders: dict[str, Apart], cases: int, repeats: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(repeats):
        for name in sorted(contenders, reverse=number % 2 == 1):
            runs[name].append(await contenders[name].run(cases))
            print(run_line(f"{name} {number + 1}", runs[name][-1]), flush=True)
    return runs


def _say(runs: dict[str, list[Run]]) -> None:
    smallest, *_ = runs
    for name, done in runs.items():
        print(median_line(f"{name}, median", done))
    for name, done in runs.items():
        pairs = list(zip(done, runs[smallest], strict=True))
        cost = _ratio([_cpu(run) / _cpu(least) for run, least in pairs])
        postgres = _ratio([run.postgres_us / least.postgres_us for run, least in pairs])
        pace = _ratio([run.hops_per_second / least.hops_per_second for run, least in pairs])
        print(f"{name} to {smallest}: CPU a hop {cost}, PostgreSQL's part {postgres}, hops/s {pace}")


def _cpu(run: Run) -> float:
    return run.python_us + run.postgres_us


def _ratio(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    wanted = argparse.ArgumentParser(
        prog="python -m bench.growth", description="Measure what a hop costs on long logs."
    )
    wanted.add_argument("--long", action="store_true", help="a database of ten million events too")
    wanted.add_argument("--cases", type=int, default=2_000, help="cases of a closed batch, six hops each")
    wanted.add_argument("--repeats", type=int, default=5, help="how many closed batches of each size")
    asyncio.run(_main(wanted.parse_args()))
