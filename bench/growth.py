"""What a hop costs while the databases grow: the path of `bench.ours` on logs of 10⁴, 10⁵ and 10⁶ events.

Each size is a database of its own on the one PostgreSQL, with a process and a broker of its own, and filled
before anything is measured: some cases go through the chain, and what they left is copied, over sixty days.
Then the sizes process the same closed batches, interleaved. `--long` adds 10⁷, `--sizes` names others.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.arguments import at_least_one, command
from bench.chain import CHAIN
from bench.contenders import Apart, apart
from bench.figures import HEADING, median_line, run_line, spread
from bench.load import Run
from bench.servers import servers
from bench.stock import fill, settle_tables
from services.kernel.embedded.servers import broker
from tests.servers import scratch_folder

_SIZES: Final = (10_000, 100_000, 1_000_000)
_LONG: Final = 10_000_000
_DAYS: Final = 60


async def _main(arguments: argparse.Namespace) -> None:
    sizes = {f"at_{size}": size for size in sorted({*arguments.sizes, *([_LONG] if arguments.long else [])})}
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
        print(f"{arguments.cases} cases of six hops, {arguments.repeats} repeats\n{HEADING}")
        runs = await _interleaved(contenders, arguments.cases, arguments.repeats)
    for line in lines(runs):
        print(line)


async def _interleaved(contenders: Mapping[str, Apart], cases: int, repeats: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(repeats):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            runs[name].append(await contenders[name].run(cases))
            print(run_line(f"{name} {number + 1}", runs[name][-1]), flush=True)
    return runs


def lines(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    """Return the medians of each size, and how each compares with the first, run by run."""
    smallest, *_ = runs
    text = [median_line(f"{name}, median", done) for name, done in runs.items()]
    for name, done in runs.items():
        pairs = list(zip(done, runs[smallest], strict=True))
        cost = spread(_cpu(run) / _cpu(least) for run, least in pairs)
        postgres = spread(run.postgres_us / least.postgres_us for run, least in pairs)
        pace = spread(run.hops_per_second / least.hops_per_second for run, least in pairs)
        text.append(f"{name} to {smallest}: CPU a hop {cost}, PostgreSQL's part {postgres}, hops/s {pace}")
    return text


def _cpu(run: Run) -> float:
    return run.python_us + run.postgres_us


def main(argv: Sequence[str] | None = None) -> None:
    """Measure by the options of the command line."""
    wanted = command(
        "bench.growth",
        "Measure what a hop costs on long logs.",
        cases=(2_000, "cases of a closed batch, six hops each"),
        repeats=(5, "how many closed batches of each size"),
    )
    wanted.add_argument("--long", action="store_true", help="a database of ten million events too")
    wanted.add_argument(
        "--sizes", type=at_least_one, nargs="+", default=_SIZES, help="events of each database"
    )
    asyncio.run(_main(wanted.parse_args(argv)))


if __name__ == "__main__":
    main()
