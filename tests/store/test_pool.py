"""Waits for the pool are bounded, and a task that is cancelled during a statement ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from services.kernel.limits import Limits
from services.kernel.postgres.connections import Pool, open_pool
from tests.waiting import until

ASLEEP = (
    "select exists (select from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active')"
)


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    """Lend a pool of one connection, as services have it."""
    made = await open_pool(postgres_dsn, schema="public", size=1, on_connect=lambda: None)
    yield made
    made.terminate()


@pytest.fixture
async def stranger(postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection past the pool."""
    session = await asyncpg.connect(postgres_dsn)
    yield session
    await session.close()


async def a_statement(pool: Pool) -> None:
    """Ask the pool."""
    await pool.execute("select pg_sleep(60)")


async def a_borrower(pool: Pool) -> None:
    """Ask over a connection that was lent."""
    async with pool.acquire() as tx:
        await tx.execute("select pg_sleep(60)")


async def a_transaction(pool: Pool) -> None:
    """Ask within a transaction, which cannot be rolled back once the connection was dropped."""
    async with pool.acquire() as tx, tx.transaction():
        await tx.execute("select pg_sleep(60)")


WAYS = pytest.mark.parametrize("run", [a_statement, a_borrower, a_transaction])


@WAYS
async def test_a_cancelled_task_ends(
    run: Callable[[Pool], Awaitable[None]], pool: Pool, stranger: asyncpg.Connection
) -> None:
    """An error of the driver never replaces the cancellation; the pool has its connection back."""
    running = asyncio.ensure_future(run(pool))
    await until(lambda: stranger.fetchval(ASLEEP))
    running.cancel()
    await asyncio.wait({running}, timeout=20)
    again = await pool.fetchval("select 1")

    assert running.cancelled()
    assert again == 1


@WAYS
async def test_a_timeout_is_raised_as_such(run: Callable[[Pool], Awaitable[None]], pool: Pool) -> None:
    """A bounded wait raises a timeout."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await run(pool)


async def test_the_wait_for_a_connection_is_bounded(postgres_dsn: str) -> None:
    """Where every connection is in use, a request fails after a while."""
    pool = await open_pool(
        postgres_dsn,
        schema="public",
        size=1,
        on_connect=lambda: None,
        limits=Limits(statement_seconds=0.2),
    )
    async with pool, pool.acquire():
        with pytest.raises(TimeoutError):
            await pool.fetchval("select 1")


async def test_an_error_of_the_database_is_raised_as_it_is(pool: Pool) -> None:
    """It is no cancellation."""
    with pytest.raises(asyncpg.DivisionByZeroError):
        await pool.fetchval("select 1 / 0")
    with pytest.raises(asyncpg.PostgresError):
        await pool.execute("select pg_terminate_backend(pg_backend_pid())")

    assert await pool.fetchval("select 1") == 1
