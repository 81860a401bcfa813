"""Connections to PostgreSQL: the pool, and which errors are transient."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

from services.kernel.limits import Limits
from services.kernel.postgres.timelines import register_timeline

if TYPE_CHECKING:
    Session: TypeAlias = asyncpg.Connection[Any]
    Tx: TypeAlias = asyncpg.Connection[Any] | PoolConnectionProxy[Any]
    Pool: TypeAlias = asyncpg.Pool[Any]
    _Lending: TypeAlias = PoolAcquireContext[Any]
else:  # generic in the stubs only
    Session = asyncpg.Connection
    Tx = asyncpg.Connection | PoolConnectionProxy
    Pool = asyncpg.Pool
    _Lending = PoolAcquireContext

CONNECTION_FAULTS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # such as: of several servers none can be written just now
)
"""Errors of a connection or a statement, transient or not."""

_LIMITS: Final = Limits()
_TRANSIENT_CLASSES: Final = ("08", "53", "58")
_CONFLICTS: Final = ("40001", "40P01", "55P03")
_RESTARTS: Final = ("57P01", "57P02", "57P03", "25006")
_TIMED_OUT: Final = ("57014", "57P05", "25P03", "25P04")
_TRANSIENT: Final = frozenset({*_CONFLICTS, *_RESTARTS, *_TIMED_OUT})
_TENANT: Final = re.compile(r"[0-9]{4}", re.ASCII)
# The driver has one class for wrong use and for a connection that is gone: only the text tells them apart.
_CONNECTION_LOST: Final = re.compile(
    r"\bconnection (is closed|has been released back)|\bpool is clos(ed|ing)|another operation is cancelling"
)
_MISSING_OBJECT: Final = frozenset({"3F000", "42P01", "42703", "42704", "42883", "42501"})


class PooledConnection(asyncpg.Connection):
    """Connection whose return to the pool costs no round trip: nothing here sets session state.

    When the caller stops waiting for a statement, the statement is not cancelled but its connection is
    closed: a cancel would let a commit that waits for a standby take effect, and be read and sent though the
    standby does not have it.
    """

    def _cancel_current_command(self, *_waiters: Any) -> None:
        asyncio.get_running_loop().call_soon(self.terminate)

    def get_reset_query(self) -> str:
        """Return no statement."""
        return ""


class _CancelSafeAcquire(_Lending):
    """Acquired connection under which a cancellation always wins over connection errors.

    Once a connection is closed the driver can neither roll back nor release it, and raises an error that
    would replace the cancellation: a loop that continues after errors would never stop.
    """

    async def __aenter__(self) -> Any:
        try:
            return await super().__aenter__()
        except CONNECTION_FAULTS as fault:
            _raise_pending_cancellation(fault)
            raise

    async def __aexit__(self, *exc: object) -> None:
        try:
            await super().__aexit__(*exc)
        except CONNECTION_FAULTS as late:  # it was closed already; its responses stand
            _raise_pending_cancellation(late)
        if isinstance(exc[1], CONNECTION_FAULTS):
            _raise_pending_cancellation(exc[1])


class _BoundedPool(Pool):
    """Pool with a bounded wait for a connection."""

    wait_seconds = Limits().statement_seconds

    def acquire(self, *, timeout: float | None = None) -> _CancelSafeAcquire:
        return _CancelSafeAcquire(self, self.wait_seconds if timeout is None else timeout)


def _raise_pending_cancellation(fault: BaseException) -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from fault


def _session(schema: str, statement_seconds: float) -> dict[str, str]:
    # One generic plan by index for each prepared statement: a plan made while a table was empty must not
    # stay, and a plan must not depend on the size of a batch.
    return {
        "search_path": schema,
        "application_name": f"samspil {schema}",
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "jit": "off",
        "statement_timeout": f"{round(statement_seconds * 1000)}ms",
        # A client that vanished or hangs must not keep its locks until TCP times out.
        "idle_in_transaction_session_timeout": "20s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "25000",
    }


async def connect(dsn: str, *, schema: str, command_timeout: float | None = None, **more: str) -> Session:
    """Open one connection outside the pool, for work that must not share its session.

    `command_timeout` limits the wait for a response in seconds; without it there is no limit.
    """
    return await asyncpg.connect(
        dsn,
        server_settings={**_session(schema, 0), **more},
        command_timeout=command_timeout,
        timeout=10,
    )


async def open_pool(
    dsn: str, *, schema: str, size: int, on_connect: Callable[[], None], limits: Limits = _LIMITS
) -> Pool:
    """Open a pool with one service's schema as search path; `on_connect` is called for each new session."""

    async def begin(session: Any) -> None:
        try:
            await register_timeline(session)
        except BaseException:
            session.terminate()  # a graceful close would wait on a dead connection
            raise
        on_connect()

    pool = _BoundedPool(
        dsn,
        init=begin,
        min_size=1,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300,
        loop=asyncio.get_running_loop(),
        connection_class=PooledConnection,
        record_class=asyncpg.Record,
        server_settings=_session(schema, limits.longest_statement_seconds),
        command_timeout=limits.statement_seconds,  # a response may be lost
        timeout=10,
    )
    pool.wait_seconds = limits.statement_seconds
    return await pool


@asynccontextmanager
async def tenant_transaction(
    pool: Pool, tenant: str, *, readonly: bool = False, wait_seconds: float | None = None
) -> AsyncIterator[Tx]:
    """Run the block in a transaction that sees the rows of one municipality; commit at its end.

    An error in the block rolls back and is raised: what the block has read or written counts for nothing.
    Raises `TimeoutError` where no connection is free in time, `ValueError` where `tenant` is no code, and
    `asyncpg.InFailedSQLTransactionError` where the block has caught the error of a statement.
    """
    if not _TENANT.fullmatch(tenant):  # it becomes part of a statement
        raise ValueError("a municipality's code has four digits")
    begin = f"begin{' read only' if readonly else ''}; select set_config('samspil.tenant', '{tenant}', true)"
    async with pool.acquire(timeout=wait_seconds) as connection:
        try:
            await connection.execute(begin)
            yield connection
        except BaseException:
            await _roll_back(connection)
            raise
        if await connection.execute("commit") != "COMMIT":
            raise asyncpg.InFailedSQLTransactionError("a statement had failed: nothing was committed")


async def _roll_back(connection: Tx) -> None:
    """Roll back, or close the connection: no transaction may return to the pool, with its tenant."""
    try:
        await connection.execute("rollback")
    except BaseException as fault:
        with suppress(asyncpg.InterfaceError):  # it was closed already
            connection.terminate()
        if not isinstance(fault, CONNECTION_FAULTS):
            raise


def is_transient(fault: BaseException) -> bool:
    """Return whether an error is transient: the same statement may succeed later.

    Network errors, lost connections, restarts, conflicts, a full or broken disk, and timeouts behind another
    session's lock. Wrong use of the driver, such as a value that is of no use as a parameter, stays wrong.
    """
    if isinstance(fault, asyncpg.PostgresError):
        state = fault.sqlstate or ""
        return state in _TRANSIENT or state[:2] in _TRANSIENT_CLASSES
    if type(fault) is asyncpg.InterfaceError:  # its subclasses are about wrong values and settings
        return _CONNECTION_LOST.search(str(fault)) is not None
    return isinstance(fault, OSError | TimeoutError | asyncpg.InternalClientError)


def is_missing_object(fault: BaseException) -> bool:
    """Return whether an error is about a missing table, column, function or right.

    It is the fault of an installation that is not ready, not of the event that met it first.
    """
    return isinstance(fault, asyncpg.PostgresError) and fault.sqlstate in _MISSING_OBJECT
