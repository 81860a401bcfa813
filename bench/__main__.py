"""`make bench`: our event path against the hand-written floor, in turns, on the same servers.

A hop is one event that a service takes, decides, saves and answers with at most one event: six a case, for
both. Ours runs with metrics, tracing, sealing and the event log, which is the audit record; the floor has
none of these but an audit row. Each repeat runs the floor and then ours; figures are medians over repeats.
"""

import argparse
import asyncio
import json
import logging
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg
import uvloop

from bench.figures import HEADING, latency_line, median_line, run_line
from bench.floor import Floor
from bench.load import Contender, Latency, Run
from bench.ours import Ours
from bench.servers import servers

FILE: Final = Path("build/bench.json")


async def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Run both in turns and return the figures."""
    kafka = given.broker == "kafka"
    contenders: dict[str, Contender] = {"floor": Floor(), "ours": Ours()}
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    waits: dict[str, Latency] = {}
    async with servers(kafka=kafka) as (dsn, bootstrap):
        for name, contender in contenders.items():
            await contender.start(await _database(dsn, name), bootstrap, kafka)
        try:
            print(HEADING)
            for _ in range(given.repeats):
                for name, contender in contenders.items():
                    runs[name].append(await contender.run(given.cases))
                    print(run_line(name, runs[name][-1]), flush=True)
            for name, contender in contenders.items():
                waits[name] = await contender.open_load(given.rate, given.seconds)
        finally:
            for contender in contenders.values():
                await contender.stop()
    for name, all_runs in runs.items():
        print(median_line(f"{name} (median)", all_runs))
    for name, latency in waits.items():
        print(latency_line(name, latency))
    return _figures(runs, waits, given)


def _figures(
    runs: dict[str, list[Run]], waits: dict[str, Latency], given: argparse.Namespace
) -> dict[str, Any]:
    pairs = list(zip(runs["floor"], runs["ours"], strict=True))
    rate = {name: median(run.hops_per_second for run in all_runs) for name, all_runs in runs.items()}
    cpu = {name: median(run.python_us for run in all_runs) for name, all_runs in runs.items()}
    return {
        "broker": given.broker,
        "cases": given.cases,
        "repeats": given.repeats,
        "ratio": round(median(ours.hops_per_second / floor.hops_per_second for floor, ours in pairs), 3),
        "cpu_ratio": round(median(ours.python_us / floor.python_us for floor, ours in pairs), 3),
        "hops_per_second": round(rate["ours"]),
        "floor_hops_per_second": round(rate["floor"]),
        "python_us_per_hop": round(cpu["ours"], 1),
        "floor_python_us_per_hop": round(cpu["floor"], 1),
        "p50_ms": round(waits["ours"].p50, 2),
        "p95_ms": round(waits["ours"].p95, 2),
        "p99_ms": round(waits["ours"].p99, 2),
        "floor_p50_ms": round(waits["floor"].p50, 2),
        "floor_p99_ms": round(waits["floor"].p99, 2),
        "rss_mb": round(max(run.rss_mb for run in runs["ours"])),
    }


async def _database(dsn: str, name: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f'create database "{name}"')
    finally:
        await connection.close()
    return dsn.replace("/postgres?", f"/{name}?")


def _arguments() -> argparse.Namespace:
    wanted = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").partition("\n")[0])
    wanted.add_argument("--broker", choices=("embedded", "kafka"), default="embedded")
    wanted.add_argument("--cases", type=int, default=5_000, help="cases of a closed batch, six hops each")
    wanted.add_argument("--repeats", type=int, default=5, help="how many times each runs")
    wanted.add_argument("--rate", type=float, default=50.0, help="cases a second of the open load")
    wanted.add_argument("--seconds", type=float, default=10.0, help="how long the open load lasts")
    return wanted.parse_args()


def main() -> None:
    """Measure, print, and keep the figures as JSON."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # joining a cold broker is noisy; errors raise
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(measure(_arguments()))
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"\nratio to the floor {figures['ratio']}, of Python CPU a hop {figures['cpu_ratio']}; see {FILE}")


if __name__ == "__main__":
    main()
