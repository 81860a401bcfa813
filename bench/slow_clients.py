"""What unpleasant clients cost the others: the latency of a read alone, and beside each kind of them.

`python -m bench.slow_clients` starts `samspil up` on an empty folder and reads one document evenly spaced,
alone and beside clients of another process and of other addresses: half requests that send a byte now and
then, bodies that do the same, and headers of eight megabytes. The rounds alternate; ratios are to alone.
"""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from multiprocessing.synchronize import Event
from statistics import median
from typing import Final

import aiohttp
import psutil

from bench.arguments import command
from bench.load import InvalidRunError, quantile
from bench.processor import seconds_of
from bench.start import Waiting, response_of, up
from services.kernel.ids import new_id
from tests.servers import scratch_folder

_READS_PER_SECOND: Final = 50
_SETTLE_SECONDS: Final = 1.0
_SERVED: Final = 0.98
_BYTE_SECONDS: Final = 0.5
_OVERSIZED_SECONDS: Final = 0.25
_OVERSIZED: Final = b"GET /live HTTP/1.1\r\nHost: %s\r\nAccept-Language: " + b"da;q=0.5," * 930_000
_HALF_HEAD: Final = b"GET /live HTTP/1.1\r\nHost: %s\r\nX-Slow: "
_HALF_BODY: Final = b"POST /live HTTP/1.1\r\nHost: %s\r\nContent-Length: 60000\r\n\r\n"

Address = tuple[str, int]


async def trickle(server: Address, source: str, begin: bytes) -> None:
    """Send a byte now and then until the server closes."""
    reader, writer = await asyncio.open_connection(*server, local_addr=(source, 0))
    writer.write(begin)
    closed = asyncio.create_task(reader.read())
    while not closed.done():
        writer.write(b"a")
        await asyncio.wait({closed}, timeout=_BYTE_SECONDS)
    writer.close()


async def oversize(server: Address, source: str, request: bytes) -> None:
    """Send eight megabytes of headers as fast as they are taken."""
    _, writer = await asyncio.open_connection(*server, local_addr=(source, 0))
    writer.write(request)
    with suppress(ConnectionError):
        await writer.drain()
    writer.close()
    await asyncio.sleep(_OVERSIZED_SECONDS)


async def _again(client: Callable[[], Awaitable[None]]) -> None:
    while True:
        with suppress(ConnectionError, OSError):
            await client()


async def _attack(server: Address, kind: str, clients: int, begun: Event) -> None:
    """Run clients of a kind from several addresses until the process is ended."""
    host = f"{server[0]}:{server[1]}".encode()
    does, begin, number = {
        "slow headers": (trickle, _HALF_HEAD, clients),
        "slow bodies": (trickle, _HALF_BODY, clients),
        "oversized headers": (oversize, _OVERSIZED, max(1, clients // 100)),
    }[kind]
    request = begin.replace(b"%s", host)
    asyncio.get_running_loop().call_later(_SETTLE_SECONDS, begun.set)
    await asyncio.gather(
        *(
            _again(lambda source=f"127.0.0.{2 + n % 8}": does(server, source, request))  # type: ignore[misc]
            for n in range(number)
        )
    )


def attack(server: Address, kind: str, clients: int, begun: Event) -> None:
    """Be the process of unpleasant clients."""
    with suppress(KeyboardInterrupt):
        asyncio.run(_attack(server, kind, clients, begun))


async def _token(session: aiohttp.ClientSession) -> str:
    bearer = {"sub": str(new_id()), "role": "caseworker", "tenant": "0440"}
    async with session.post("/development/tokens", json=bearer) as answer:
        return str(json.loads(await answer.text())["token"])


async def latencies(url: str, seconds: float) -> list[float]:
    """Return the seconds of each of many reads, counted from when each was due."""
    async with aiohttp.ClientSession(url) as session:
        headers = {"Authorization": f"Bearer {await _token(session)}"}

        async def read(due: float) -> float:
            async with session.get("/referral/funnel", headers=headers) as answer:
                await answer.read()
            served.append(answer.status)
            return time.perf_counter() - due

        served: list[int] = []
        began, reads = time.perf_counter(), []
        for n in range(round(seconds * _READS_PER_SECOND)):
            due = began + n / _READS_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            reads.append(asyncio.create_task(read(due)))
        waits = list(await asyncio.gather(*reads))
        if served.count(200) < _SERVED * len(waits):
            raise InvalidRunError(f"of {len(waits)} reads {served.count(200)} were answered by 200")
        return waits


def measured(url: str, kind: str, clients: int, seconds: float) -> list[float]:
    """Return the latencies beside clients of a kind, or alone."""
    port = int(url.rpartition(":")[2])
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    arguments = (("127.0.0.1", port), kind, clients, begun)
    attackers = context.Process(target=attack, args=arguments, daemon=True)
    if kind != "alone":
        attackers.start()
        begun.wait()
    try:
        return asyncio.run(latencies(url, seconds))
    finally:
        if kind != "alone":
            attackers.terminate()
            attackers.join()


async def oversized_cpu(url: str, server: psutil.Process) -> float:
    """Return the server's CPU seconds for one request with eight megabytes of headers."""
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    request = _OVERSIZED.replace(b"%s", f"{address[0]}:{address[1]}".encode())
    before = seconds_of(server)
    for _ in range(20):
        await oversize(address, "127.0.0.9", request)
    return (seconds_of(server) - before) / 20


def measure(clients: int, seconds: int, repeats: int) -> None:
    """Start, measure every kind in turn, and print the medians of the repeats."""
    kinds = ("alone", "slow headers", "slow bodies", "oversized headers")
    p99: dict[str, list[float]] = {kind: [] for kind in kinds}
    p50: dict[str, list[float]] = {kind: [] for kind in kinds}
    with scratch_folder() as folder, up(folder / "data") as (url, process):
        Waiting(process, time.monotonic()).until(lambda: response_of(f"{url}/ready") != "")
        measured(url, "alone", 0, 2)  # the first reads prepare statements
        for _ in range(repeats):
            for kind in kinds:
                waits = measured(url, kind, clients, seconds)
                p50[kind].append(1e3 * quantile(waits, 0.5))
                p99[kind].append(1e3 * quantile(waits, 0.99))
        cpu = asyncio.run(oversized_cpu(url, psutil.Process(process.pid)))
    for kind in kinds:
        ratio = median(p99[kind]) / median(p99["alone"])
        print(f"{kind:18} p50 {median(p50[kind]):6.1f} ms  p99 {median(p99[kind]):6.1f} ms  {ratio:4.2f} x")
    print(f"one request with 8 MB of headers: {1e3 * cpu:.1f} ms of the server's CPU, its idling included")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure by the options of the command line."""
    wanted = command(
        "bench.slow_clients",
        "Measure what unpleasant clients cost the others.",
        clients=(200, "clients of each kind; of oversized ones a hundredth"),
        seconds=(10, "seconds of each round"),
        repeats=(3, "rounds of each kind"),
    )
    options = wanted.parse_args(argv)
    measure(options.clients, options.seconds, options.repeats)


if __name__ == "__main__":
    main()
