"""What everything together costs with nothing to do: a share of one core, and memory.

`python -m bench.idle` starts `samspil up` on an empty folder, lets it come to rest, and adds the server, the
processes of PostgreSQL and the broker up over a minute. Memory is counted once where processes share it.
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

import psutil

from bench.start import ask, seconds_until, up
from tests.servers import scratch_folder

_REST_SECONDS: Final = 10.0
_MB: Final = 1_000_000


def seconds_of(process: psutil.Process) -> float:
    """Return the CPU seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(data: Path, seconds: float) -> None:
    """Start, rest, measure, print, stop."""
    with up(data) as (url, process):
        seconds_until(lambda: ask(f"{url}/ready") != "", time.monotonic())
        time.sleep(_REST_SECONDS)
        server = psutil.Process(process.pid)
        family = [server, *server.children(recursive=True)]
        before = {one: seconds_of(one) for one in family}
        time.sleep(seconds)
        family = [one for one in family if one.is_running()]
        parts: defaultdict[str, float] = defaultdict(float)
        for one in family:
            parts[part_of(one, server)] += (seconds_of(one) - before[one]) / seconds
        memory = sum(one.memory_full_info().pss for one in family) / _MB
    told = ", ".join(f"{name} {share:.2%}" for name, share in parts.items())
    print(f"{sum(parts.values()):.2%} of a core ({told}), {memory:.0f} MB in {len(family)} processes")


def part_of(process: psutil.Process, server: psutil.Process) -> str:
    """Return to which part of the whole a process belongs."""
    return "server" if process == server else "broker" if process.name() == "tansu" else "PostgreSQL"


if __name__ == "__main__":
    wanted = argparse.ArgumentParser(prog="python -m bench.idle", description="Measure what rest costs.")
    wanted.add_argument("--seconds", type=float, default=60.0, help="how long it is watched")
    given = wanted.parse_args()
    with scratch_folder() as folder:
        measure(folder, given.seconds)
