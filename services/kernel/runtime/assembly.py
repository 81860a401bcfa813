"""Assembly: open what the settings name, and run the runtimes of several services together."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from contracts.model import CollaborationModel, ModelError, load_models, model_folder
from services.kernel.clock import Clock
from services.kernel.decider.service import Service
from services.kernel.kafka.signals import NO_SIGNALS, Signals
from services.kernel.privacy.key_store import FileKeyStore, KeyStore
from services.kernel.privacy.vault import vault
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings, SettingsFault

_OBJECTS_BETWEEN_COLLECTIONS: Final = 400_000


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


@asynccontextmanager
async def running(
    services: Sequence[Service],
    settings: Settings,
    *,
    clock: Clock,
    key_store: KeyStore,
    settings_of: Callable[[str], Settings] | None = None,
    signals: Signals = NO_SIGNALS,
) -> AsyncIterator[dict[str, Runtime]]:
    """Run services while the block runs; `settings_of` gives each its own settings, for its own logins."""
    models = models_of(settings)
    runtimes = {
        service.name: Runtime(
            service,
            settings if settings_of is None else settings_of(service.name),
            clock=clock,
            models=models,
            key_store=key_store,
            signals=signals,
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
    """Exempt long-lived objects from garbage collection, and collect the others seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
