"""Wait for a condition, with a bound: the only waiting that tests do."""

import asyncio
import time
from collections.abc import Awaitable, Callable


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
