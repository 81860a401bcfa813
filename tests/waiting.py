"""Wait for a condition, with a bound: the only waiting that tests do."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float = 40.0, what: str = "") -> None:
    """Wait until a condition holds; fail where it does not within a while."""
    deadline = time.monotonic() + seconds
    pause = asyncio.Event()
    while not await holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what or holds}")
        try:
            async with asyncio.timeout(0.02):
                await pause.wait()
        except TimeoutError:
            continue


class Work(Protocol):
    """A background task that runs until it is ended."""

    task: "asyncio.Task[None]"

    async def run(self) -> None:
        """Go on."""


W = TypeVar("W", bound=Work)


@asynccontextmanager
async def under_way(work: W) -> AsyncIterator[W]:
    """Let a work go on while the block runs, at most."""
    work.task = asyncio.create_task(work.run())
    try:
        yield work
    finally:
        work.task.cancel()
        await asyncio.gather(work.task, return_exceptions=True)
