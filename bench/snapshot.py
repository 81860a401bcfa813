"""What a stranger's old snapshot costs the relay, and whether all is as before once it is let go.

`python -m bench.snapshot` queues commands' events one by one and strikes them off as the relay does, while
another session holds a snapshot, so that no dead row can be taken away. It prints after each round how many
dead rows `pending` holds, how large it is, how long a read takes when nothing is pending, and how fast
events pass. Then the snapshot is let go.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Final

import asyncpg

from bench.arguments import command
from bench.chain import CHAIN
from bench.load import InvalidRunError
from bench.servers import servers
from services.kernel.outbox.pending import DELETE_ACKNOWLEDGED_FETCH_NEXT
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate

_LOOKS: Final = 21
_AT_ONCE: Final = 20
_FEW: Final = 1_000
_PATIENCE_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Seen:
    """State of `pending` at rest."""

    dead: int
    kilobytes: int
    read_ms: float

    def line(self, name: str) -> str:
        """Return it as a line."""
        size = f"{self.dead:>8,} dead rows, {self.kilobytes:>6,} kB"
        return f"{name:16}{size}, a read takes {self.read_ms:.2f} ms"


async def _main(rounds: int, events: int) -> None:
    async with AsyncExitStack() as running:
        on = await running.enter_async_context(servers("ours", kafka=False))
        dsn = on.dsn_of["ours"]
        await migrate(dsn, CHAIN["consent"])
        relay = await connect(dsn, schema="consent", synchronous_commit="off")
        stranger = await asyncpg.connect(dsn)
        await _say("at first", relay, await churn(relay, events))
        held = stranger.transaction(isolation="repeatable_read")
        await held.start()
        await stranger.fetch("select 1 from consent.streams limit 1")
        for number in range(rounds):
            await _say(f"held, round {number + 1}", relay, await churn(relay, events))
        await held.rollback()
        began = time.monotonic()
        while (left := (await read_pending(relay)).dead) > _FEW:
            if time.monotonic() - began > _PATIENCE_SECONDS:
                raise InvalidRunError(f"{left} dead rows are left though no session holds them")
            await asyncio.sleep(_LOOK_SECONDS)
        print(f"let go; autovacuum had cleared up {time.monotonic() - began:.0f} s later")
        await _say("let go", relay, await churn(relay, events))
        await stranger.close()
        await relay.close()


async def churn(relay: Session, events: int) -> float:
    """Queue so many events one by one, as commands do, and strike them off; return events a second."""
    began = time.perf_counter()
    for queued in range(0, events, _AT_ONCE):
        for _ in range(min(_AT_ONCE, events - queued)):
            await relay.execute(_QUEUE)
        rows = await relay.fetch(DELETE_ACKNOWLEDGED_FETCH_NEXT, [], [], 500, [])
        while rows:
            rows = await relay.fetch(
                DELETE_ACKNOWLEDGED_FETCH_NEXT, [row["first_id"] for row in rows], [1] * len(rows), 500, []
            )
    return events / (time.perf_counter() - began)


async def _say(name: str, relay: Session, rate: float) -> None:
    print(f"{(await read_pending(relay)).line(name)}; {rate:,.0f} events/s", flush=True)


async def read_pending(relay: Session) -> Seen:
    """Read as the relay does, several times, and count; raise `InvalidRunError` where anything is pending."""
    took = []
    for _ in range(_LOOKS):
        began = time.perf_counter()
        rows = await relay.fetch(DELETE_ACKNOWLEDGED_FETCH_NEXT, [], [], 500, [])
        took.append(1e3 * (time.perf_counter() - began))
        if rows:
            raise InvalidRunError(f"{len(rows)} events are pending")
    await relay.execute("select pg_stat_force_next_flush()")  # else it may be a second late
    row = await relay.fetchrow(_SIZE)
    assert row is not None
    return Seen(row["dead"], row["kilobytes"], median(took))


_QUEUE: Final = """
insert into pending (first_id, tenant, ids) select id, '0440', array[id] from nextval('event_log_id') as id
"""

_SIZE: Final = """
select n_dead_tup as dead, (pg_total_relation_size(relid) / 1024)::integer as kilobytes
from pg_stat_user_tables where relid = 'pending'::regclass
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure by the options of the command line."""
    wanted = command(
        "bench.snapshot",
        "Measure what an old snapshot costs.",
        rounds=(5, "how many rounds while it is held"),
        events=(20_000, "events of a round"),
    )
    arguments = wanted.parse_args(argv)
    asyncio.run(_main(arguments.rounds, arguments.events))


if __name__ == "__main__":
    main()
