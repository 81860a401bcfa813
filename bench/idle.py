"""What everything together costs with nothing to do: a share of one core, and memory.

`python -m bench.idle` starts `samspil up` on an empty folder, lets it come to rest, and adds the server, the
processes of PostgreSQL and the broker up over a minute. Memory is counted once where processes share it.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from bench.arguments import command
from bench.processor import seconds_of
from bench.start import Waiting, response_of, up
from tests.servers import scratch_folder

_MB: Final = 1_000_000


def measure(data: Path, rest: int, seconds: int) -> None:
    """Start, rest, measure, print, stop."""
    with up(data) as (url, process):
        Waiting(process, time.monotonic()).until(lambda: response_of(f"{url}/ready") != "")
        time.sleep(rest)
        server = psutil.Process(process.pid)
        before = used_by_part(server)
        time.sleep(seconds)
        after = used_by_part(server)
        family = [server, *server.children(recursive=True)]
        memory = sum(one.memory_full_info().pss for one in family) / _MB
    shares = {part: (used - before[part]) / seconds for part, used in after.items()}
    text = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
    print(f"{sum(shares.values()):.2%} of a core ({text}), {memory:.0f} MB in {len(family)} processes")


def used_by_part(server: psutil.Process) -> dict[str, float]:
    """Return the CPU seconds so far of each part; who has ended meanwhile counts to who started it."""
    used: defaultdict[str, float] = defaultdict(float)
    for one in (server, *server.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            used[part_of(one, server)] += seconds_of(one)
    return used


def part_of(process: psutil.Process, server: psutil.Process) -> str:
    """Return to which part of the whole a process belongs."""
    return "server" if process == server else "broker" if process.name() == "tansu" else "PostgreSQL"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure by the options of the command line."""
    wanted = command(
        "bench.idle",
        "Measure what rest costs.",
        rest=(10, "seconds in which it comes to rest"),
        seconds=(60, "for how many seconds it is measured"),
    )
    arguments = wanted.parse_args(argv)
    with scratch_folder() as folder:
        measure(folder, arguments.rest, arguments.seconds)


if __name__ == "__main__":
    main()
