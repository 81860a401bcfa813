"""A transaction of one municipality ends with its block, whatever happens, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from services.kernel.postgres.connections import Pool, Tx, open_pool, tenant_transaction

TENANT, OTHER = "0440", "0461"
INSERT = "insert into numbers values (1)"
CURRENT = "select current_setting('samspil.tenant', true)"


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    """Lend a pool of one connection, which every transaction has to reuse, with a table of numbers."""
    opened = await open_pool(postgres_dsn, schema="public", size=1, on_connect=lambda: None)
    await opened.execute("create table numbers (n int primary key)")
    yield opened
    opened.terminate()


async def test_the_municipality_is_set_for_the_transaction_only(pool: Pool) -> None:
    """The next user of the connection finds none set, and another municipality finds its own."""
    async with tenant_transaction(pool, TENANT) as tx:
        first = await tx.fetchval(CURRENT)
    between = await pool.fetchval(CURRENT)
    async with tenant_transaction(pool, OTHER) as tx:
        second = await tx.fetchval(CURRENT)

    assert (first, between or "", second) == (TENANT, "", OTHER)


@pytest.mark.parametrize(
    "tenant", ["", "440", "04400", "044\n", "0440\n", "٠٤٤٠", "0'; drop table numbers; --"]
)
async def test_what_is_no_code_begins_nothing(pool: Pool, tenant: str) -> None:
    """Four digits and nothing else become part of the statement."""
    with pytest.raises(ValueError, match="four digits"):
        async with tenant_transaction(pool, tenant):
            pass


async def test_what_is_done_is_committed_together(pool: Pool) -> None:
    """Another connection sees the rows after the block, not before."""
    async with tenant_transaction(pool, TENANT) as tx:
        await tx.execute(INSERT)
        assert tx.is_in_transaction()

    assert await pool.fetchval("select count(*) from numbers") == 1


async def test_an_error_in_the_block_rolls_back(pool: Pool) -> None:
    """The rows are gone, the error is raised, and the connection is used again by the next."""
    pid = await pool.fetchval("select pg_backend_pid()")
    with pytest.raises(ZeroDivisionError):
        await fail_after(pool, lambda tx: tx.execute(INSERT))

    assert await pool.fetchval("select count(*) from numbers") == 0
    assert (await pool.fetchval(CURRENT) or "") == ""
    assert await pool.fetchval("select pg_backend_pid()") == pid


async def test_a_failed_statement_that_was_caught_does_not_pass_for_a_commit(pool: Pool) -> None:
    """PostgreSQL answers the commit of a failed transaction with a rollback and no error; here it is one."""
    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await insert_twice(pool)

    assert await pool.fetchval("select count(*) from numbers") == 0


async def test_a_readonly_transaction_writes_nothing(pool: Pool) -> None:
    """A query cannot change a row, by mistake or otherwise."""
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with tenant_transaction(pool, TENANT, readonly=True) as tx:
            await tx.execute(INSERT)


@pytest.mark.parametrize("waits_for", ["select pg_sleep(60)", None])
async def test_a_cancelled_request_leaves_no_transaction_behind(pool: Pool, waits_for: str | None) -> None:
    """Cancelled in a statement, or between two: nothing is stored, and the next one starts afresh."""
    began = asyncio.Event()

    async def work() -> None:
        async with tenant_transaction(pool, TENANT) as tx:
            await tx.execute(INSERT)
            began.set()
            await (tx.execute(waits_for) if waits_for else asyncio.Event().wait())

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await pool.fetchval("select count(*) from numbers") == 0
    assert (await pool.fetchval(CURRENT) or "") == ""


async def test_a_connection_that_is_gone_does_not_hide_the_error(pool: Pool) -> None:
    """What went wrong in the block is raised, not that the rollback found no connection."""
    with pytest.raises(ZeroDivisionError):
        await fail_after(pool, terminate)

    assert await pool.fetchval("select 1") == 1


async def fail_after(pool: Pool, work: Callable[[Tx], Awaitable[object]]) -> None:
    """Do some work in a transaction, and fail."""
    async with tenant_transaction(pool, TENANT) as tx:
        await work(tx)
        raise ZeroDivisionError


async def insert_twice(pool: Pool) -> None:
    """Insert a row twice, and catch the error."""
    async with tenant_transaction(pool, TENANT) as tx:
        await tx.execute(INSERT)
        with pytest.raises(asyncpg.UniqueViolationError):
            await tx.execute(INSERT)


async def terminate(tx: Tx) -> None:
    """Close a connection as a broken network would."""
    tx.terminate()


async def test_the_wait_for_a_connection_is_bounded(pool: Pool) -> None:
    """A request is not kept waiting for as long as others hold every connection."""
    async with tenant_transaction(pool, TENANT):
        with pytest.raises(TimeoutError):
            async with tenant_transaction(pool, TENANT, wait_seconds=0.05):
                pass
