"""Pool: waits for a connection are bounded, and a cancellation wins over connection errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from services.kernel.postgres import connections as database
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


WAYS = pytest.mark.parametrize("ask", [a_statement, a_borrower, a_transaction])


@WAYS
async def test_who_is_cancelled_ends(
    ask: Callable[[Pool], Awaitable[None]], pool: Pool, stranger: asyncpg.Connection
) -> None:
    """An error of the driver never replaces the cancellation; the pool has its connection back."""
    asking = asyncio.ensure_future(ask(pool))
    await until(lambda: stranger.fetchval(ASLEEP))
    asking.cancel()
    await asyncio.wait({asking}, timeout=20)
    again = await pool.fetchval("select 1")

    assert asking.cancelled()
    assert again == 1


@WAYS
async def test_a_time_that_is_up_is_told_as_such(ask: Callable[[Pool], Awaitable[None]], pool: Pool) -> None:
    """A bounded wait ends with a timeout."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ask(pool)


async def test_nobody_waits_for_a_connection_without_end(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """While every connection is in use, a request for one ends with a timeout."""
    async with pool.acquire():
        monkeypatch.setattr(database, "CONNECT_TIMEOUT_SECONDS", 0.2)
        with pytest.raises(TimeoutError):
            await pool.fetchval("select 1")


async def test_a_fault_of_the_database_is_told_as_it_is(pool: Pool) -> None:
    """A task that was not cancelled goes on."""
    with pytest.raises(asyncpg.DivisionByZeroError):
        await pool.fetchval("select 1 / 0")
    with pytest.raises(asyncpg.PostgresError):
        await pool.execute("select pg_terminate_backend(pg_backend_pid())")

    assert await pool.fetchval("select 1") == 1
