"""Duration of a fault: the one module where a campaign lets time pass."""

import asyncio


async def pause(seconds: float) -> None:
    """Let time pass."""
    await asyncio.sleep(seconds)
