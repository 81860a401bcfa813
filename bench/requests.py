"""What a municipality's transaction costs a request: a command and a read, three ways, interleaved.

`python -m bench.requests` runs the smallest service on an embedded PostgreSQL, without HTTP. `plain` is the
consumer's role without a transaction around the statements, `transaction` the same role in one, `request` the
role of requests in one, with row-level security: what a request does. Each round does each once.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from statistics import median
from time import perf_counter
from typing import Final

from bench.arguments import command
from services.kernel.decider.decision import Actor, ReadRequest
from services.kernel.embedded.servers import postgres
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Pool, Tx, tenant_transaction
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from services.kernel.streams.stream import IdempotencyRecord
from tests.servers import fresh_database, scratch_folder
from tests.tally import ACTOR, START, TENANT, Count, case_id, running

_WARM_UP: Final = 100
_STREAMS: Final = 50
_ACTOR: Final = Actor(ACTOR, "caseworker", TENANT)

Work = Callable[[Runtime, Tx, int], Awaitable[object]]


@asynccontextmanager
async def _plain(pool: Pool) -> AsyncIterator[Tx]:
    async with pool.acquire() as tx:
        yield tx


def _envelope(body: object, n: int) -> Envelope:
    cause = str(new_id())
    return Envelope(case_id(n % _STREAMS), TENANT, body, _ACTOR, START, cause, cause)


async def _command(runtime: Runtime, tx: Tx, n: int) -> None:
    """Do what a request does: read, decide, save with its key, publish."""
    batch = await runtime.processor.decide_batch(tx, [_envelope(Count(case_id(n)), n)])
    record = IdempotencyRecord(TENANT, ACTOR, str(new_id()), bytes(32), "{}")
    await runtime.processor.save_result(tx, batch, record)


async def _read(runtime: Runtime, tx: Tx, n: int) -> None:
    await runtime.processor.read_authorized(tx, _envelope(ReadRequest(("status",)), n))


_WORK: Final[dict[str, Work]] = {"command": _command, "read": _read}


def _ways(runtime: Runtime) -> dict[str, Callable[[], AbstractAsyncContextManager[Tx]]]:
    return {
        "plain": partial(_plain, runtime.pool),
        "transaction": partial(tenant_transaction, runtime.pool, TENANT),
        "request": partial(tenant_transaction, runtime.api_pool, TENANT),
    }


async def _measure(dsn: str, rounds: int) -> dict[tuple[str, str], list[float]]:
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    async with running(dsn, "", "none") as runtime:
        ways = list(_ways(runtime).items())
        for n in range(_WARM_UP + rounds):
            for name, work in _WORK.items():
                for way, transaction in ways[n % len(ways) :] + ways[: n % len(ways)]:
                    began = perf_counter()
                    async with transaction() as tx:
                        await work(runtime, tx, n)
                    if n >= _WARM_UP:
                        taken[name, way].append(perf_counter() - began)
    return taken


async def _main(rounds: int) -> None:
    with scratch_folder() as folder:
        async with postgres(folder / "postgres") as server:
            taken = await _measure(await fresh_database(server), rounds)
    for name in _WORK:
        plain = taken[name, "plain"]
        for way in ("plain", "transaction", "request"):
            ratio = median(one / other for one, other in zip(taken[name, way], plain, strict=True))
            print(f"{name:8}{way:12}{median(taken[name, way]) * 1000:6.2f} ms, {ratio:.2f} of plain")


if __name__ == "__main__":
    wanted = command("bench.requests", "What row-level security costs a request.", rounds=(1000, "rounds"))
    asyncio.run(_main(wanted.parse_args().rounds))
