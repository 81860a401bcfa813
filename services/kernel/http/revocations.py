"""Revocations: keep a token verifier current with the persons and tokens that are revoked."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from services.kernel.http.authentication import TokenVerifier
from services.kernel.runtime.revocations import Revocations
from services.kernel.runtime.runtime import Runtime


@asynccontextmanager
async def heeding_revocations(
    verifier: TokenVerifier, runtimes: Mapping[str, Runtime], seconds: float
) -> AsyncIterator[None]:
    """Let a verifier refuse whom the services' tables name, read every few seconds, while the block runs."""
    revocations = Revocations(runtimes.values())
    await revocations.refresh()
    verifier.revocations = revocations
    refreshing = asyncio.create_task(_keep_current(revocations, seconds))
    try:
        yield
    finally:
        refreshing.cancel()


async def _keep_current(revocations: Revocations, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await revocations.refresh()
