"""Sites: what the web pages of services need, kept open while the application is served."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from services.kernel.runtime.runtime import Runtime


@asynccontextmanager
async def open_sites(app: FastAPI, runtimes: Mapping[str, Runtime]) -> AsyncIterator[None]:
    """Open the site of each running service that has one; the block serves the application."""
    async with AsyncExitStack() as stack:
        for runtime in runtimes.values():
            if runtime.service.site is not None:
                await stack.enter_async_context(runtime.service.site(app, runtime))
        yield
