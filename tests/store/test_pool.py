"""Waits for the pool are bounded, a cancelled task ends, and a lost connection is told from wrong use."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from services.kernel.limits import Limits
from services.kernel.postgres.connections import Pool, Tx, is_transient, open_pool
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


END_ALL_OTHERS = "select pg_terminate_backend(pid) from pg_stat_activity where pid != pg_backend_pid()"


@WAYS
async def test_a_connection_lost_during_a_statement_is_transient(
    run: Callable[[Pool], Awaitable[None]], pool: Pool, stranger: asyncpg.Connection
) -> None:
    """The same statement may succeed over the next connection."""
    running = asyncio.ensure_future(run(pool))
    await until(lambda: stranger.fetchval(ASLEEP))
    await stranger.execute(END_ALL_OTHERS)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as said:
        await running

    assert is_transient(said.value)


async def lent(pool: Pool, stranger: asyncpg.Connection) -> None:
    """Go on over a connection that was lent and is lost."""
    async with pool.acquire() as tx:
        await lose(tx, stranger)
        await tx.execute("select 1")


async def within_a_transaction(pool: Pool, stranger: asyncpg.Connection) -> None:
    """Go on in a transaction whose connection is lost."""
    async with pool.acquire() as tx, tx.transaction():
        await lose(tx, stranger)
        await tx.execute("select 1")


async def with_a_prepared_statement(pool: Pool, stranger: asyncpg.Connection) -> None:
    """Use a statement of a connection that is lost."""
    async with pool.acquire() as tx:
        prepared = await tx.prepare("select 1")
        await lose(tx, stranger)
        await prepared.fetchval()


async def in_a_pool_that_closes(pool: Pool, _: asyncpg.Connection) -> None:
    """Ask while the service stops."""
    await pool.close()
    await pool.execute("select 1")


async def lose(tx: Tx, stranger: asyncpg.Connection) -> None:
    """End the connection from the server's side, and wait until the client has noticed."""
    lost = asyncio.Event()
    tx.add_termination_listener(lambda *_: lost.set())
    await stranger.execute(END_ALL_OTHERS)
    async with asyncio.timeout(20):
        await lost.wait()


@pytest.mark.parametrize(
    "run", [lent, within_a_transaction, with_a_prepared_statement, in_a_pool_that_closes]
)
async def test_a_connection_lost_between_statements_is_transient(
    run: Callable[[Pool, asyncpg.Connection], Awaitable[None]], pool: Pool, stranger: asyncpg.Connection
) -> None:
    """The driver has no class of its own for it."""
    with pytest.raises(asyncpg.InterfaceError) as said:
        await run(pool, stranger)

    assert is_transient(said.value), said.value


async def a_value_of_another_type(tx: Tx) -> None:
    """Pass text, in the words of a lost connection, where a number belongs."""
    await tx.fetchval("select $1::int", "connection is closed")


async def a_number_too_large(tx: Tx) -> None:
    """Pass a number that the column does not hold."""
    await tx.fetchval("select $1::int", 2**40)


async def too_few_values(tx: Tx) -> None:
    """Leave a parameter out."""
    await tx.fetchval("select $1::int")


async def two_at_once(tx: Tx) -> None:
    """Ask twice at once over one connection."""
    async with asyncio.TaskGroup() as both:
        both.create_task(tx.execute("select pg_sleep(0.1)"))
        both.create_task(tx.execute("select 1"))


async def a_transaction_begun_twice(tx: Tx) -> None:
    """Begin a transaction that has begun."""
    transaction = tx.transaction()
    await transaction.start()
    await transaction.start()


@pytest.mark.parametrize(
    "run",
    [
        a_value_of_another_type,
        a_number_too_large,
        too_few_values,
        two_at_once,
        a_transaction_begun_twice,
    ],
)
async def test_wrong_use_of_the_driver_is_not_transient(
    run: Callable[[Tx], Awaitable[None]], pool: Pool
) -> None:
    """It would fail for ever: a request is answered 500, an event is parked."""
    faults: list[BaseException] = []
    async with pool.acquire() as tx:
        try:
            await run(tx)
        except* (asyncpg.InterfaceError, asyncpg.PostgresError) as said:
            faults.extend(said.exceptions)

    assert faults
    assert not any(map(is_transient, faults)), faults
