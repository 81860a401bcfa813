"""Leadership of a relay: a session with an advisory lock, which ends when its process is suspended."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.kernel.postgres.connections import CONNECTION_FAULTS, Session, connect
from services.kernel.settings import Settings


@asynccontextmanager
async def leader_session(service: str, settings: Settings) -> AsyncIterator[Session]:
    """Open the session of a relay while the block runs; PostgreSQL ends one that is idle for too long."""
    limits = settings.limits
    session = await connect(
        settings.database.get_secret_value(),
        schema=service,
        command_timeout=limits.statement_seconds,
        synchronous_commit="off",  # a deletion that is lost only sends again
        idle_session_timeout=f"{round(limits.relay_session_seconds * 1000)}ms",
    )
    try:
        yield session
    finally:
        await _close(session, limits.relay_close_seconds)


async def become_leader(
    session: Session,
    service: str,
    stopping: asyncio.Event,
    *,
    retry_seconds: float,
    on_attempt: Callable[[], None],
) -> bool:
    """Wait until this session leads; return False where the relay stops before."""
    lock = zlib.crc32(f"samspil relay {service}".encode())
    while not await session.fetchval("select pg_try_advisory_lock($1)", lock):
        on_attempt()
        # Events that are committed meanwhile are the leader's to send: no commit wakes a standby.
        await wait_for(stopping, retry_seconds)
        if stopping.is_set():
            return False
    return True


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _close(session: Session, seconds: float) -> None:
    """Close a session; one that does not close in time must not replace a cancellation by its own error."""
    if session.is_closed():
        session.terminate()
        return
    with contextlib.suppress(*CONNECTION_FAULTS):
        await session.close(timeout=seconds)
