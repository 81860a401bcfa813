"""How long `samspil up` takes on the data of a folder: until it answers, is ready, and has filled its broker.

`python -m bench.start` makes data of 100,000 events and starts the server on it three times; `--data FOLDER`
starts it on a folder that is there. The figures are seconds since the command was given; how many events the
folder holds is printed beside them.
"""

import asyncio
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.arguments import command
from bench.load import InvalidRunError
from bench.stock import fill
from contracts.event import SERVICES
from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.servers import postgres
from tests.servers import scratch_folder

_LOOK_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 300.0
_DEMO_CASES: Final = 12
PENDING: Final = re.compile(r"^samspil_pending\{[^}]*\} (\S+)$", re.MULTILINE)
LAG: Final = re.compile(r"^samspil_lag\{[^}]*\} (\S+)$", re.MULTILINE)
SENT: Final = re.compile(r"^samspil_events_sent_total\{[^}]*\} (\S+)$", re.MULTILINE)


@contextmanager
def up(data: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a server on a folder while the block runs; yield its address and process."""
    port = free_port()
    clock = "virtual" if (data / "clock").exists() else "system"  # a folder keeps the clock of its times
    ours = [sys.executable, "-m", "services.cli", "up", "--data", str(data), "--port", str(port)]
    ours += ["--clock", clock]
    process = subprocess.Popen(ours)  # noqa: S603  ourselves
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def response_of(url: str) -> str:
    """Return what is answered, or nothing."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  our own address
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


class Waiting:
    """Waits for a server, from its start on."""

    def __init__(self, process: "subprocess.Popen[bytes]", began: float) -> None:
        """Wait for no longer than the process lives."""
        self._process = process
        self._began = began

    def until(self, holds: Callable[[], bool]) -> float:
        """Return how many seconds after the start something holds.

        Raises `InvalidRunError` where the server ends first, and `TimeoutError` where it never does.
        """
        while not holds():
            if (code := self._process.poll()) is not None:
                raise InvalidRunError(f"the server ended with exit code {code}")
            if time.monotonic() - self._began > _PATIENCE_SECONDS:
                raise TimeoutError
            time.sleep(_LOOK_SECONDS)
        return time.monotonic() - self._began


def measure(data: Path, events: int = 0) -> None:
    """Start, wait, print, stop; raise `InvalidRunError` where fewer than so many events were sent."""
    began = time.monotonic()
    with up(data) as (url, process):
        server = Waiting(process, began)
        answered = server.until(lambda: response_of(f"{url}/live") != "")
        ready = server.until(lambda: response_of(f"{url}/ready") != "")
        filled = server.until(
            lambda: is_at_rest(numbers(PENDING, response_of(f"{url}/metrics")), len(SERVICES))
        )
        taken = server.until(lambda: is_at_rest(numbers(LAG, response_of(f"{url}/metrics"))))
        sent = sum(numbers(SENT, response_of(f"{url}/metrics")))
    if sent < events:
        raise InvalidRunError(f"{sent:.0f} of {events} events were sent")
    print(f"answers after {answered:.1f} s, ready after {ready:.1f} s")
    print(f"broker filled with {sent:.0f} events after {filled:.1f} s (looked at every five seconds)")
    print(f"all of them passed by by all consumers after {taken:.1f} s")


def stock(data: Path, events: int) -> int:
    """Put about so many events into a folder: a short demo, and its tables many times over; say how many."""
    demo = [sys.executable, "-m", "demo", "--cases", str(_DEMO_CASES), "--data", str(data)]
    subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  ourselves
    began = time.monotonic()
    count = asyncio.run(_stock(data, events))
    print(f"{count} events made in {time.monotonic() - began:.0f} s")
    return count


async def _stock(data: Path, events: int) -> int:
    async with postgres(data / "postgres") as database:
        return await fill(database.dsn, SERVICES, events)


def numbers(pattern: re.Pattern[str], text: str) -> list[float]:
    """Return a metric's values; none where it is not exported yet."""
    return [float(number) for number in pattern.findall(text)]


def is_at_rest(values: Sequence[float], at_least: int = 1) -> bool:
    """Return whether enough services export the value, and it is zero everywhere."""
    return len(values) >= at_least and not any(values)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure as the command line asks: on data that is there, once, or on data that is made."""
    wanted = command(
        "bench.start",
        "Time the start of a server.",
        events=(100_000, "how many events to make"),
        repeats=(3, "how many starts"),
    )
    wanted.add_argument("--data", type=Path, help="folder of a stopped `samspil up`")
    arguments = wanted.parse_args(argv)
    if arguments.data:
        if not (arguments.data / "postgres").is_dir():
            wanted.error(f"{arguments.data} holds no data of a server")
        measure(arguments.data)
        return
    with scratch_folder() as folder:
        count = stock(folder / "data", arguments.events)
        for _ in range(arguments.repeats):
            measure(folder / "data", count)


if __name__ == "__main__":
    main()
