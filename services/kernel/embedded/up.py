"""Everything in one process, from PyPI alone: database, broker, mail server, and all the services."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError
from pydantic import SecretStr

from services.kernel.atomic_files import write_whole
from services.kernel.clock import Clock, SystemClock, VirtualClock
from services.kernel.decider.service import Service
from services.kernel.embedded import servers as embedded
from services.kernel.embedded.child_process import free_port, is_free
from services.kernel.embedded.database_logins import (
    install,
    login,
    passwords_of,
    read_passwords,
    settings_of_service,
    superuser_password,
    without_login,
)
from services.kernel.embedded.development_api import TOKEN_DAYS, Issuer, development_routes
from services.kernel.embedded.mail_server import mail_server
from services.kernel.embedded.postgres_data import private_folder
from services.kernel.embedded.recycling import EmbeddedBroker
from services.kernel.embedded.servers import Postgres
from services.kernel.embedded.sign_in import (
    MUNICIPALITIES,
    portal_issuer,
    portal_key,
    pretended_provider,
    pretended_sign_in,
)
from services.kernel.errors import ProblemError
from services.kernel.http.application import mount
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.revocations import heeding_revocations
from services.kernel.http.server import app_of, listening_socket, serve, stop_on_signals
from services.kernel.http.sites import open_sites
from services.kernel.limits import EMBEDDED, Limits
from services.kernel.logging import log
from services.kernel.outbox.republish import refill
from services.kernel.postgres.connections import CONNECTION_FAULTS
from services.kernel.privacy.key_store import FileKeyStore
from services.kernel.runtime.assembly import running
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings, SettingsFault, read_settings
from services.kernel.tracing import set_up_tracing

VIRTUAL_START: Final = datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
_READY_POLL_SECONDS: Final = 0.05
_PARTITIONS: Final = 1
"""One process shares no work with another: more partitions would only cost more fetches."""

_WATERMARK_SECONDS: Final = 20.0
"""Three watermarks within the maximum age of 60 s; more would only fill the broker and wake its consumers."""

_FAILURES: Final = (ProblemError, KafkaError, *CONNECTION_FAULTS)
_LOOPBACK: Final = "127.0.0.1"
"""Not to be changed by the environment: the development API issues tokens to any caller."""

_SERVER_INFO: Final = "server.json"
_BROKER_PORT: Final = "broker.port"
_DATABASE: Final = "postgres"


class NoServerHere(ProblemError):
    """No server has run on this data folder yet: start one."""


class OtherClock(ProblemError):
    """The data in this folder have the times of another clock: start with that, or name another folder."""


class Installation(NamedTuple):
    """An embedded installation that runs."""

    runtimes: Mapping[str, Runtime]
    settings: Settings
    clock: Clock
    broker: EmbeddedBroker


@asynccontextmanager
async def run_embedded(
    services: Sequence[Service],
    folder: Path,
    *,
    port: int,
    virtual: bool,
    limits: Limits = EMBEDDED,
    broker_port: int | None = None,
) -> AsyncIterator[Installation]:
    """Run database, broker, mail server and services on the data of a folder while the block runs.

    Without `broker_port` the broker has a free port, another one at each start.
    """
    clock = _clock(folder, virtual=virtual)
    async with (
        embedded.postgres(folder / _DATABASE) as database,
        embedded.broker(folder / "broker", port=broker_port) as server,
        mail_server(folder / "mail") as mail_port,
    ):
        public_url = f"http://127.0.0.1:{port}"
        settings = read_settings(
            mode="embedded",
            database=SecretStr(without_login(database.dsn)),
            bootstrap=server.bootstrap,
            broker="embedded",
            partitions=_PARTITIONS,
            host=_LOOPBACK,
            port=port,
            kek=_kek(folder),
            portal_key=portal_key(folder),
            smtp_port=mail_port,
            smtp_tls=False,
            public_url=public_url,
            sign_in=(pretended_provider(folder, public_url).settings(frozenset(MUNICIPALITIES)),),
            municipality_names=MUNICIPALITIES,
            http_hosts=_loopback_names(port),
            services=public_url,
            watermark_seconds=_WATERMARK_SECONDS,
            token_seconds=TOKEN_DAYS * 86_400,
            limits=limits,
        )
        passwords = passwords_of(folder / _DATABASE, [service.name for service in services])
        await install(database.dsn, services, passwords)
        settings_of = {
            service.name: settings_of_service(settings, service.name, passwords) for service in services
        }
        await refill(settings_of)
        key_store = FileKeyStore(_kek(folder), mode=settings.mode)
        broker = EmbeddedBroker(server, limits)
        async with running(
            services,
            settings,
            clock=clock,
            key_store=key_store,
            signals=broker.signals,
            settings_of=settings_of.__getitem__,
        ) as runtimes:
            broker.serve(runtimes)
            write_server_info(folder, settings)
            watch = asyncio.create_task(_watch(database, broker, settings))
            try:
                yield Installation(runtimes, settings, clock, broker)
            finally:
                watch.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watch


class ServerInfo(NamedTuple):
    """What `up` runs: address, data folder, broker, and the time of a virtual clock."""

    url: str
    folder: Path
    bootstrap: str
    virtual_now: datetime | None


def _ignore(_info: ServerInfo) -> None:
    """Do nothing once the server is ready."""


async def up(
    services: Sequence[Service],
    folder: Path,
    *,
    port: int,
    virtual: bool,
    broker_port: int | None = None,
    on_ready: Callable[[ServerInfo], None] = _ignore,
) -> None:
    """Serve everything on one loopback port until a signal comes; `on_ready` is called once it is ready."""
    stopping = stop_on_signals()
    with listening_socket(_LOOPBACK, port) as listener:
        port = listener.getsockname()[1]
        kept = _kept_broker_port(folder, broker_port, port)
        async with run_embedded(
            services, folder, port=port, virtual=virtual, broker_port=kept
        ) as installation:
            runtimes, settings, clock, _ = installation
            set_up_tracing(settings.otlp, settings.traced_share)
            issuer = Issuer(folder / "keys" / "issuer.json", settings.audience)
            app = app_of(services)
            verifier = TokenVerifier(
                [await issuer.trusted(), await portal_issuer(settings)],
                settings.audience,
                longest_seconds=settings.token_seconds,
            )
            mount(app, runtimes, verifier)
            app.include_router(development_routes(settings, runtimes, clock, issuer, folder))
            app.include_router(pretended_sign_in(settings, issuer, folder))
            log.info("serving", services=sorted(runtimes), port=port, virtual=virtual)
            now = clock.now() if virtual else None
            info = ServerInfo(f"http://{_LOOPBACK}:{port}", folder, settings.bootstrap, now)
            announcement = asyncio.create_task(_announce(runtimes, info, on_ready))
            try:
                async with (
                    open_sites(app, runtimes),
                    heeding_revocations(verifier, runtimes, settings.limits.revocations_seconds),
                ):
                    await serve(app, listener, settings, stopping=stopping)
            finally:
                announcement.cancel()
    log.info("stopped")


async def _announce(
    runtimes: Mapping[str, Runtime], info: ServerInfo, on_ready: Callable[[ServerInfo], None]
) -> None:
    """Call back once every service is ready."""
    while any([await runtime.unready_reasons() for runtime in runtimes.values()]):  # noqa: ASYNC110  no event
        await asyncio.sleep(_READY_POLL_SECONDS)
    on_ready(info)


def _kept_broker_port(folder: Path, wanted: int | None, port: int) -> int:
    """Return the port of a folder's broker, and keep it: a consumer finds it again after each start.

    It is the one that is wanted, else the one that it had before, else the port after that of HTTP, or a
    free one where that is taken.
    """
    private_folder(folder)
    file = folder / _BROKER_PORT
    if wanted is None and file.exists():
        return int(file.read_text(encoding="ascii"))
    chosen = wanted or (port + 1 if is_free(port + 1) else free_port())
    write_whole(file, str(chosen))
    return chosen


def _clock(folder: Path, *, virtual: bool) -> Clock:
    """Return the clock of a folder; raise `OtherClock` where time would go back for what it holds."""
    private_folder(folder)
    file = folder / "clock"
    if virtual and not file.exists() and (folder / "postgres").exists():
        raise OtherClock("--clock system")
    if not virtual and file.exists():
        raise OtherClock("--clock virtual")
    if not virtual:
        return SystemClock()
    clock = VirtualClock(file, VIRTUAL_START)
    clock.move(clock.now())  # the file marks the folder from its first start
    return clock


def _loopback_names(port: int) -> str:
    """Return the names of this machine: a page under another name that leads here must not be answered."""
    suffix = f":{port}" if port else ""
    return ",".join(f"{name}{suffix}" for name in (_LOOPBACK, "localhost", "[::1]"))


def _kek(folder: Path) -> Path:
    """Return the absolute path of a folder's key: another working directory must not make a new one."""
    return folder.absolute() / "keys" / "kek"


def write_server_info(folder: Path, settings: Settings) -> None:
    """Leave word, for the owner of the folder only, of how commands reach what runs on it; no password."""
    whereabouts = {
        "mode": "embedded",
        "broker": "embedded",
        "database": settings.database.get_secret_value(),
        "bootstrap": settings.bootstrap,
        "port": settings.port,
        "partitions": settings.partitions,
    }
    write_whole(folder / _SERVER_INFO, json.dumps(whereabouts))


def read_server_info(folder: Path, service: str | None = None) -> Settings:
    """Return the settings of what runs, or last ran, on a folder; raise `NothingHere` and `SettingsFault`.

    They log in at the database as the service, or without one as the superuser, who alone may lay roles.
    """
    file = folder / _SERVER_INFO
    try:
        settings = read_settings(**{**json.loads(file.read_text()), "kek": _kek(folder)})
        if service is not None:
            return settings_of_service(settings, service, read_passwords(folder / _DATABASE))
        superuser = superuser_password(folder / _DATABASE)
    except (FileNotFoundError, NotADirectoryError):
        raise NoServerHere(f"samspil up --data {folder}") from None
    except (OSError, ValueError, TypeError, LookupError) as fault:
        again = f"`samspil up --data {folder}` writes it anew"
        raise SettingsFault(f"{file} cannot be read ({type(fault).__name__}): {again}") from None
    dsn = login(settings.database.get_secret_value(), "postgres", superuser)
    return settings.model_copy(update={"database": SecretStr(dsn)})


async def migrate_folder(
    folder: Path, settings: Settings, services: Sequence[Service]
) -> dict[str, list[str]]:
    """Migrate the database of a folder, and return the names of the files that ran, by service."""
    passwords = passwords_of(folder / _DATABASE, [service.name for service in services])
    return await install(settings.database.get_secret_value(), services, passwords)


async def _watch(database: Postgres, broker: EmbeddedBroker, settings: Settings) -> None:
    """Restart servers that have ended, and bound what they keep: their logs, and the broker's batches."""
    while True:
        await asyncio.sleep(settings.limits.embedded_watch_seconds)
        try:
            database.trim_log(settings.limits.server_log_bytes)
            if not database.alive():
                log.error("database_ended")
                await database.start()
            await broker.check()
        except _FAILURES as fault:
            log.error("restart_failed", kind=type(fault).__name__)
