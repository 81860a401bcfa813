"""Benchmark of the event path: our services against the hand-written floor, interleaved, on the same servers.

A hop is one event: consumed by the service that subscribes to it, deduplicated, decided, committed with its
state, its record and the event that follows, and that event sent. A case makes six hops and five events,
here as there. Of ours, all that production has is on: the real rules, the event log with actor and role,
private words under their keys, projections, timers, metrics, and traces that are sampled by their parent;
`bench.chain` says which six. The floor does the same six by hand and has none of it.

CPU is the truer figure: on a small machine the servers share the cores with Python, and rates say how full
the machine was. All figures are medians of repeats; the order within a repeat alternates.
"""

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Final

from bench.contenders import CONTENDERS, Apart, apart
from bench.figures import HEADING, latency_line, median_line, run_line
from bench.load import Latency, Run, pin
from bench.servers import servers

_RESULT: Final = Path(__file__).parent.parent / "build" / "bench.json"


async def _main(arguments: argparse.Namespace) -> None:
    if arguments.pin:
        pin(1)
    async with AsyncExitStack() as running:
        on = await running.enter_async_context(servers(*CONTENDERS, kafka=arguments.broker == "kafka"))
        contenders = {
            name: await running.enter_async_context(apart(name, on, pinned=arguments.pin))
            for name in CONTENDERS
        }
        print(
            f"{arguments.broker} broker, {arguments.cases} cases of six hops, "
            f"{arguments.repeats} repeats\n{HEADING}"
        )
        runs = await _closed(contenders, arguments.cases, arguments.repeats)
        latencies = {
            name: await contender.open_load(arguments.rate, arguments.seconds)
            for name, contender in contenders.items()
        }
    result = _result(arguments.broker, runs, latencies)
    for name in CONTENDERS:
        print(median_line(f"{name}, median", runs[name]))
    for name in CONTENDERS:
        print(latency_line(name, latencies[name]))
    print(f"ours: {result['ratio']:.2f} of the floor's hops, {result['cpu_ratio']:.1f} times its Python CPU")
    _RESULT.parent.mkdir(exist_ok=True)
    _RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


async def _closed(contenders: Mapping[str, Apart], cases: int, repeats: int) -> dict[str, list[Run]]:
    """Process closed batches, interleaved; no contender is always the first of a repeat."""
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(1, repeats + 1):
        for name in sorted(contenders, reverse=number % 2 == 0):
            runs[name].append(await contenders[name].run(cases))
            print(run_line(f"{name} {number}", runs[name][-1]), flush=True)
    return runs


def _result(
    broker: str, runs: Mapping[str, Sequence[Run]], latencies: Mapping[str, Latency]
) -> dict[str, str | float]:
    """Return the figures of ours, those of the floor beside them, and the ratios of the two."""
    figures: dict[str, str | float] = {"broker": broker}
    for name, before in (("ours", ""), ("floor", "floor_")):
        figures |= {
            f"{before}hops_per_second": median(run.hops_per_second for run in runs[name]),
            f"{before}python_us": median(run.python_us for run in runs[name]),
            f"{before}postgres_us": median(run.postgres_us for run in runs[name]),
            f"{before}rss_mb": median(run.rss_mb for run in runs[name]),
            f"{before}p50_ms": latencies[name].p50,
            f"{before}p95_ms": latencies[name].p95,
            f"{before}p99_ms": latencies[name].p99,
        }
    pairs = list(zip(runs["ours"], runs["floor"], strict=True))
    return figures | {
        "ratio": median(ours.hops_per_second / floor.hops_per_second for ours, floor in pairs),
        "cpu_ratio": median(ours.python_us / floor.python_us for ours, floor in pairs),
    }


if __name__ == "__main__":
    wanted = argparse.ArgumentParser(
        prog="python -m bench", description="Measure our path against the floor."
    )
    wanted.add_argument("--broker", choices=("embedded", "kafka"), default="embedded", help="which broker")
    wanted.add_argument("--cases", type=int, default=5_000, help="cases of a closed batch, six hops each")
    wanted.add_argument("--repeats", type=int, default=5, help="how many closed batches of each")
    wanted.add_argument("--rate", type=float, default=50.0, help="cases a second of the open load")
    wanted.add_argument("--seconds", type=float, default=10.0, help="how long the open load lasts")
    wanted.add_argument("--pin", action="store_true", help="contenders on one core, the servers on another")
    asyncio.run(_main(wanted.parse_args()))
