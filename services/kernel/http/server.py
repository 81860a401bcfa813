"""HTTP server: serve the running services of this process on one port until a stop signal."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Final

import aiohttp
import uvicorn
from fastapi import FastAPI

from services.kernel.clock import Clock
from services.kernel.decider.service import Service
from services.kernel.errors import ProblemError
from services.kernel.http.admission import Admission
from services.kernel.http.application import application, mount
from services.kernel.http.authentication import TokenVerifier, TrustedIssuer, trusted
from services.kernel.http.denials import record_counted
from services.kernel.http.issuer_keys import IssuerKeys, KeysRefused, keys_of
from services.kernel.http.protocol import bounded_protocol
from services.kernel.http.revocations import heeding_revocations
from services.kernel.http.sites import open_sites
from services.kernel.issuer_settings import IssuerSettings
from services.kernel.logging import log
from services.kernel.runtime.assembly import key_store_of, running
from services.kernel.settings import Settings, SettingsFault

_GRACE_SECONDS: Final = 10


class PortTaken(ProblemError):
    """This port is not available: choose another, with --port or SAMSPIL_PORT."""


@asynccontextmanager
async def token_verifier_of(settings: Settings) -> AsyncIterator[TokenVerifier]:
    """Keep the keys of the settings' issuers current while the block runs.

    Raises `SettingsFault` for keys that cannot be used; where an address does not answer, its issuer's tokens
    are refused until it does.
    """
    if not settings.issuers:
        raise SettingsFault("SAMSPIL_ISSUERS: list the sign-in services whose tokens are taken")
    async with aiohttp.ClientSession() as session:
        issuers = [trusted(one, _keys_of(one, session)) for one in settings.issuers]
        for one, issuer in zip(settings.issuers, issuers, strict=True):
            await _first_keys(one, issuer)
        refreshing = asyncio.create_task(_keep_current(issuers, settings.limits.issuer_keys_seconds))
        try:
            yield TokenVerifier(issuers, settings.audience, longest_seconds=settings.token_seconds)
        finally:
            refreshing.cancel()


def _keys_of(one: IssuerSettings, session: aiohttp.ClientSession) -> IssuerKeys:
    try:
        return keys_of(one, session)
    except OSError as fault:
        hint = f"SAMSPIL_ISSUERS: {one.ca}, which is to hold certificates, cannot be used ({fault.strerror})"
        raise SettingsFault(hint) from None


async def _first_keys(one: IssuerSettings, issuer: TrustedIssuer) -> None:
    try:
        await issuer.keys.refresh()
    except KeysRefused as fault:
        raise SettingsFault(f"SAMSPIL_ISSUERS: {one.keys} cannot be used: {fault}") from None
    except (OSError, aiohttp.ClientError) as fault:
        if not one.has_address:
            why = str(fault.strerror) if isinstance(fault, OSError) else type(fault).__name__
            raise SettingsFault(f"SAMSPIL_ISSUERS: {one.keys} cannot be read: {why}") from None
        log.error("issuer_keys_unread", issuer=one.issuer, kind=type(fault).__name__)


async def _keep_current(issuers: Sequence[TrustedIssuer], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await asyncio.gather(*(issuer.keys.refresh_quietly(issuer.name) for issuer in issuers))


def app_of(services: Sequence[Service]) -> FastAPI:
    """Return the web application of services."""
    return application(services, version("samspil"))


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind an address without listening yet; raise `PortTaken`."""
    with ExitStack() as unless_taken:
        try:
            family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listener = unless_taken.enter_context(socket.socket(family, kind, proto))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as fault:
            raise PortTaken(f"{host}:{port}: {fault.strerror}") from None
        unless_taken.pop_all()
    return listener


async def serve(
    app: FastAPI, listener: socket.socket, settings: Settings, *, stopping: asyncio.Event
) -> None:
    """Serve HTTP on a socket until `stopping` is set, then finish requests under way; raise `PortTaken`."""
    app.state.admission = Admission(settings)
    config = uvicorn.Config(
        app,
        loop="none",
        http=bounded_protocol(settings, app.state.default_languages),
        ws="none",
        proxy_headers=bool(settings.http_trusted_proxies),
        forwarded_allow_ips=settings.http_trusted_proxies,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=settings.http_idle_seconds,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve([listener]))  # noqa: SLF001  `serve` would take our signals
    stop = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    if task in done and not stopping.is_set():
        stop.cancel()
        raise PortTaken from task.exception()  # another process bound it too, and listened first
    server.should_exit = True
    await task
    await record_counted(app.state.denials)


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def run_services(services: Sequence[Service], settings: Settings, clock: Clock) -> None:
    """Run services in production shape until a signal comes."""
    stopping = stop_on_signals()
    app = app_of(services)
    with listening_socket(settings.host, settings.port) as listener:
        async with (
            token_verifier_of(settings) as token_verifier,
            key_store_of(settings) as key_store,
            running(services, settings, clock=clock, key_store=key_store) as runtimes,
        ):
            mount(app, runtimes, token_verifier)
            async with (
                open_sites(app, runtimes),
                heeding_revocations(token_verifier, runtimes, settings.limits.revocations_seconds),
            ):
                log.info("serving", services=sorted(runtimes), port=settings.port)
                await serve(app, listener, settings, stopping=stopping)
    log.info("stopped")
