"""How long `samspil up` takes on the data of a folder: until it answers, is ready, and has filled its broker.

`python -m bench.start` makes data of 100,000 events and starts the server on it three times; `--data FOLDER`
starts it on a folder that is there. The figures are seconds since the command was given; how many events the
folder holds is printed beside them.
"""

import argparse
import asyncio
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.stock import fill
from contracts.event import SERVICES
from services.kernel.embedded import postgres
from services.kernel.embedded_process import free_port
from tests.servers import scratch_folder

_LOOK_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 300.0
_DEMO_CASES: Final = 12
_PENDING: Final = re.compile(r"^samspil_pending\{[^}]*\} (\S+)$", re.MULTILINE)
_LAG: Final = re.compile(r"^samspil_lag\{[^}]*\} (\S+)$", re.MULTILINE)
_SENT: Final = re.compile(r"^samspil_events_sent_total\{[^}]*\} (\S+)$", re.MULTILINE)


@contextmanager
def up(data: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a server on a folder while the block runs; yield its address and process."""
    port = free_port()
    command = [sys.executable, "-m", "services", "up", "--data", str(data), "--port", str(port)]
    process = subprocess.Popen([*command, "--clock", "virtual"])  # noqa: S603  ourselves
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ask(url: str) -> str:
    """Return what is answered, or nothing."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  our own address
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def seconds_until(holds: Callable[[], bool], began: float) -> float:
    """Return how many seconds after `began` something holds; raise `TimeoutError` where it never does."""
    while not holds():
        if time.monotonic() - began > _PATIENCE_SECONDS:
            raise TimeoutError
        time.sleep(_LOOK_SECONDS)
    return time.monotonic() - began


def measure(data: Path) -> None:
    """Start, wait, print, stop."""
    began = time.monotonic()
    with up(data) as (url, _):
        answered = seconds_until(lambda: ask(f"{url}/live") != "", began)
        ready = seconds_until(lambda: ask(f"{url}/ready") != "", began)
        filled = seconds_until(lambda: not any(_numbers(_PENDING, ask(f"{url}/metrics"))), began)
        taken = seconds_until(lambda: not any(_numbers(_LAG, ask(f"{url}/metrics"))), began)
        sent = sum(_numbers(_SENT, ask(f"{url}/metrics")))
    print(f"answers after {answered:.1f} s, ready after {ready:.1f} s")
    print(f"broker filled with {sent:.0f} events after {filled:.1f} s (looked at every five seconds)")
    print(f"all of them passed by by all consumers after {taken:.1f} s")


def stock(data: Path, events: int) -> None:
    """Put so many events into a folder: a short demo, and its tables many times over."""
    demo = [sys.executable, "-m", "services.demo", "--cases", str(_DEMO_CASES), "--data", str(data)]
    subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  ourselves
    began = time.monotonic()
    count = asyncio.run(_stock(data, events))
    print(f"{count} events made in {time.monotonic() - began:.0f} s")


async def _stock(data: Path, events: int) -> int:
    async with postgres(data / "postgres") as database:
        return await fill(database.dsn, SERVICES, events)


def _numbers(pattern: re.Pattern[str], text: str) -> list[float]:
    """Return a metric's values; one that never ends where it is not told yet."""
    return [float(number) for number in pattern.findall(text)] or [float("inf")]


def main(events: int, repeats: int) -> None:
    """Make data, and start on it so many times."""
    with scratch_folder() as folder:
        stock(folder / "data", events)
        for _ in range(repeats):
            measure(folder / "data")


if __name__ == "__main__":
    wanted = argparse.ArgumentParser(prog="python -m bench.start", description="Time the start of a server.")
    wanted.add_argument("--data", type=Path, help="folder of a stopped `samspil up`")
    wanted.add_argument("--events", type=int, default=100_000, help="how many events to make")
    wanted.add_argument("--repeats", type=int, default=3, help="how many starts")
    given = wanted.parse_args()
    measure(given.data) if given.data else main(given.events, given.repeats)
