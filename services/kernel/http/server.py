"""Run services in this process behind one port, until told to stop."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Final

import uvicorn
from fastapi import FastAPI
from joserfc.errors import JoseError

from contracts.model import CollaborationModel, ModelError, load_models, model_folder
from services.kernel.clock import Clock
from services.kernel.decider.service import Service
from services.kernel.errors import ProblemError
from services.kernel.http.application import application, mount
from services.kernel.http.authentication import TokenVerifier, read_keys
from services.kernel.logging import log
from services.kernel.privacy.key_store import FileKeyStore, KeyStore
from services.kernel.privacy.vault import vault
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings, SettingsFault

_OBJECTS_BETWEEN_COLLECTIONS: Final = 400_000
_GRACE_SECONDS: Final = 10


class PortTaken(ProblemError):
    """This port cannot be had: choose another, with --port or SAMSPIL_PORT."""


def models_of(settings: Settings) -> Mapping[str, CollaborationModel]:
    """Return the installed collaboration models by their reference; raise `SettingsFault`."""
    try:
        return load_models(settings.models or model_folder())
    except ModelError as fault:
        raise SettingsFault(f"SAMSPIL_MODELS: {fault}") from None


@asynccontextmanager
async def key_store_of(settings: Settings) -> AsyncIterator[KeyStore]:
    """Open the key store that the settings name while the block runs."""
    if settings.vault_url:
        async with vault(settings) as key_store:
            yield key_store
    elif settings.kek is not None:
        yield FileKeyStore(settings.kek, mode=settings.mode)
    else:
        raise SettingsFault("SAMSPIL_VAULT_URL: name the Vault or OpenBao that keeps the keys")


def token_verifier_of(settings: Settings) -> TokenVerifier:
    """Return who verifies tokens; raise `SettingsFault`."""
    if settings.issuer_keys is None:
        raise SettingsFault("SAMSPIL_ISSUER_KEYS: name the file with the issuer's public keys (JWKS)")
    try:
        keys = read_keys(settings.issuer_keys)
    except (OSError, ValueError, LookupError, TypeError, JoseError) as fault:
        why = str(fault.strerror) if isinstance(fault, OSError) else "it holds no public keys (RFC 7517)"
        hint = f"SAMSPIL_ISSUER_KEYS names {settings.issuer_keys}, which cannot be used: {why}"
        raise SettingsFault(hint) from None
    return TokenVerifier(keys, settings.audience)


@asynccontextmanager
async def running(
    services: Sequence[Service],
    settings: Settings,
    *,
    clock: Clock,
    key_store: KeyStore,
    database_of: Callable[[str], str] | None = None,
) -> AsyncIterator[dict[str, Runtime]]:
    """Run services while the block runs; `database_of` gives each its own connection string."""
    models = models_of(settings)
    runtimes = {
        service.name: Runtime(
            service,
            settings
            if database_of is None
            else settings.model_copy(update={"database": database_of(service.name)}),
            clock=clock,
            models=models,
            key_store=key_store,
        )
        for service in services
    }
    began = list(runtimes.values())
    try:
        await asyncio.gather(*(runtime.start() for runtime in began))
        tune_garbage_collector()
        yield runtimes
    finally:
        await asyncio.gather(*(runtime.stop() for runtime in began))


def tune_garbage_collector() -> None:
    """Let the collector pass by what lives as long as the process, and look at the rest seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)


def app_of(services: Sequence[Service]) -> FastAPI:
    """Return the web application of services."""
    return application(services, version("samspil"))


def listening_socket(host: str, port: int) -> socket.socket:
    """Take an address, at which nobody is let in yet; raise `PortTaken`."""
    with ExitStack() as unless_taken:
        try:
            family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            door = unless_taken.enter_context(socket.socket(family, kind, proto))
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(address)
        except OSError as fault:
            raise PortTaken(f"{host}:{port}: {fault.strerror}") from None
        unless_taken.pop_all()
    return door


async def serve(app: FastAPI, listener: socket.socket, *, stopping: asyncio.Event) -> None:
    """Answer HTTP at a door until told to stop, then let requests under way end; raise `PortTaken`."""
    config = uvicorn.Config(
        app,
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=65,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve([listener]))  # noqa: SLF001  `serve` would take our signals
    stop = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    if task in done and not stopping.is_set():
        stop.cancel()
        raise PortTaken from task.exception()  # another took it, too, and was the first to listen
    server.should_exit = True
    await task


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
    token_verifier = token_verifier_of(settings)
    with listening_socket(settings.host, settings.port) as door:
        async with (
            key_store_of(settings) as key_store,
            running(services, settings, clock=clock, key_store=key_store) as runtimes,
        ):
            mount(app, runtimes, token_verifier)
            log.info("serving", services=sorted(runtimes), port=settings.port)
            await serve(app, door, stopping=stopping)
    log.info("stopped")
