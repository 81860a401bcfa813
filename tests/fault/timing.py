"""How long a harm lasts: the one place where a campaign lets time pass."""

import asyncio


async def pause(seconds: float) -> None:
    """Let time pass."""
    await asyncio.sleep(seconds)
