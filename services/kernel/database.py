"""Connections to PostgreSQL, and which of its errors pass by themselves."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg

from services.kernel.histories import enter

if TYPE_CHECKING:
    Session: TypeAlias = asyncpg.Connection[Any]
    Pool: TypeAlias = asyncpg.Pool[Any]
else:  # generic in the stubs only
    Session = asyncpg.Connection
    Pool = asyncpg.Pool

CONNECTION_FAULTS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # such as: of several servers none can be written just now
)
"""What asking a database may raise, whether it passes by itself or not."""

_PATIENCE_SECONDS: Final = 12.0
_LONGEST_STATEMENT: Final = "30s"
_PASSING_CLASSES: Final = ("08", "53", "58")
_CONFLICTS: Final = ("40001", "40P01", "55P03")
_RESTARTS: Final = ("57P01", "57P02", "57P03", "25006")
_TIME_UP: Final = ("57014", "57P05", "25P03", "25P04")
_PASSING: Final = frozenset({*_CONFLICTS, *_RESTARTS, *_TIME_UP})
_LACKING: Final = frozenset({"3F000", "42P01", "42703", "42704", "42883", "42501"})


class Bare(asyncpg.Connection):
    """A connection whose return to the pool costs no round trip: nothing here sets session state.

    Once the pool has it (`entered`), a statement that is not waited for any longer is never cancelled, its
    connection is dropped: a commit that waits for a standby would be carried out by a cancel, and be seen and
    sent though the standby does not have it.
    """

    entered = False

    def _cancel_current_command(self, waiter: Any, cancel_waiter: Any = None) -> None:
        if self.entered:
            asyncio.get_running_loop().call_soon(self.terminate)
        else:
            super()._cancel_current_command(waiter, cancel_waiter)  # type: ignore[misc]  # its types leave it out

    def get_reset_query(self) -> str:
        """Return no statement."""
        return ""


def _session(schema: str) -> dict[str, str]:
    # One generic plan by index for each prepared statement: a plan made while a table was empty must not
    # stay, and a plan must not depend on the size of a batch.
    return {
        "search_path": schema,
        "application_name": f"samspil {schema}",
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "jit": "off",
        "statement_timeout": _LONGEST_STATEMENT,
        # Whoever vanishes without a word, or sleeps, must not keep locks for as long as TCP is patient.
        "idle_in_transaction_session_timeout": "20s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "25000",
    }


async def connect(dsn: str, *, schema: str, patience: float | None = None, **more: str) -> Session:
    """Open one connection outside the pool, for work that must not share its session.

    An answer is waited for as many seconds as `patience` says, and for ever without it.
    """
    return await asyncpg.connect(
        dsn,
        server_settings={**_session(schema), "statement_timeout": "0", **more},
        command_timeout=patience,
        timeout=10,
    )


async def open_pool(dsn: str, *, schema: str, size: int, on_connect: Callable[[], None]) -> Pool:
    """Open a pool whose unqualified names are those of one service; `on_connect` learns of each session."""

    async def begin(session: Any) -> None:
        session.entered = True
        try:
            await enter(session)
        except BaseException:
            session.terminate()  # else the pool closes it politely, for which it knows no bound
            raise
        on_connect()

    return await asyncpg.create_pool(
        dsn,
        init=begin,
        min_size=1,
        max_size=size,
        connection_class=Bare,
        server_settings=_session(schema),
        command_timeout=_PATIENCE_SECONDS,  # a wire may swallow an answer
        timeout=10,
        max_inactive_connection_lifetime=300,
    )


def passes(fault: BaseException) -> bool:
    """Return whether the same statement may succeed later.

    The wire, a restart, a conflict, a full or broken disk, and a time that was up behind a stranger's lock.
    """
    if isinstance(fault, asyncpg.PostgresError):
        state = fault.sqlstate or ""
        return state in _PASSING or state[:2] in _PASSING_CLASSES
    return isinstance(fault, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError)


def lacks(fault: BaseException) -> bool:
    """Return whether the database has no such table, column, function or right, whatever it was asked about.

    An installation that is not ready says nothing about the event that met it first.
    """
    return isinstance(fault, asyncpg.PostgresError) and fault.sqlstate in _LACKING
