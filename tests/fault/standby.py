"""A second PostgreSQL that follows the first over a wire, and can be promoted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.postgres_data import bundled_programs, give, run_program, unprivileged
from services.kernel.embedded.servers import Postgres, postgres
from tests.fault.proxy import Proxy, proxy
from tests.waiting import until


class Standby:
    """The second server, and the wire over which it follows the first."""

    def __init__(self, first: Postgres, server: Postgres, wire: Proxy, port: int) -> None:
        self.first = first
        self.server = server
        self.wire = wire
        self.port = port

    async def be_waited_for(self) -> None:
        """Let no commit of the first be answered before it is here too."""
        await query_value(self.first.dsn, "alter system set synchronous_standby_names = '*'")
        await query_value(self.first.dsn, "select pg_reload_conf()")

        async def agreed() -> bool:
            state = await query_value(self.first.dsn, "select sync_state from pg_stat_replication")
            names = await query_value(self.first.dsn, "show synchronous_standby_names")
            return bool(state == "sync" and names == "*")

        await until(agreed, what="the standby to be waited for")

    async def catch_up(self) -> None:
        """Wait until all that is on the first is here."""
        end = await query_value(self.first.dsn, "select pg_current_wal_lsn()::text")
        reached = "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn"

        async def here() -> bool:
            return bool(await query_value(self.server.dsn, reached, end))

        await until(here, what="the standby to catch up")

    async def promote(self) -> None:
        """Promote the standby."""
        assert await query_value(self.server.dsn, "select pg_promote()")


async def query_value(dsn: str, statement: str, *parameters: Any) -> Any:
    """Query a server for one value."""
    session = await asyncpg.connect(dsn)
    try:
        return await session.fetchval(statement, *parameters)
    finally:
        await session.close()


def copy(source: str, folder: Path, *more: str) -> None:
    """Make a copy of a running cluster in `folder/data`, with further options of pg_basebackup."""
    account = unprivileged()
    folder.mkdir()
    give(folder, account)
    program = str(bundled_programs() / "pg_basebackup")
    argv = [program, "--dbname", source, "--pgdata", str(folder / "data"), "--checkpoint=fast", *more]
    run_program(argv, account)
    password = folder / "password"
    password.write_text(source.partition("postgres:")[2].partition("@")[0])


@asynccontextmanager
async def standby(first: Postgres, first_port: int, folder: Path) -> AsyncIterator[Standby]:
    """Run a standby of a server that listens on a port while the block runs."""
    port = free_port()
    async with proxy(first_port) as wire:
        follow = first.dsn.replace(f":{first_port}/", f":{wire.port}/") + "?application_name=standby"
        await asyncio.to_thread(copy, follow, folder, "--write-recovery-conf", "--wal-method=stream")
        async with postgres(folder, port=port) as server:
            yield Standby(first, server, wire, port)
