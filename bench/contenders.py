"""The contenders, each in a process of its own, so that one's memory and garbage are not the other's."""

import asyncio
import logging
import multiprocessing
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from typing import Any, Final

import structlog
import uvloop

from bench.floor import Floor
from bench.load import Contender, InvalidRunError, Latency, Run, pin, watch_postgres
from bench.ours import Ours
from bench.servers import Servers

CONTENDERS: Final[dict[str, Callable[[], Contender]]] = {"floor": Floor, "ours": Ours}
_START_SECONDS: Final = 120.0


class Apart:
    """A contender in another process, driven over a pipe."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        """Talk over this pipe."""
        self._pipe = pipe

    async def run(self, cases: int) -> Run:
        """Work a closed batch off."""
        run: Run = await self.call("run", cases)
        return run

    async def open_load(self, cases_per_second: float, seconds: float) -> Latency:
        """Let cases arrive evenly spaced."""
        latency: Latency = await self.call("open_load", cases_per_second, seconds)
        return latency

    async def call(self, *what: Any) -> Any:
        """Return what the contender answers; raise `InvalidRunError` where its run meant nothing."""
        self._pipe.send(what)
        answer = await asyncio.to_thread(self._pipe.recv)
        if isinstance(answer, str):
            raise InvalidRunError(answer)
        return answer


@asynccontextmanager
async def apart(
    name: str, on: Servers, *, pinned: bool, contender: str | None = None
) -> AsyncIterator[Apart]:
    """Run a contender while the block runs; without `contender` it is called like its database."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_live, args=(contender or name, name, on, theirs, pinned), name=name)
    process.start()
    theirs.close()
    there = Apart(ours)
    try:
        async with asyncio.timeout(_START_SECONDS):
            await there.call("start")
        yield there
        await there.call("stop")
    finally:
        ours.close()
        await asyncio.to_thread(process.join, 10)
        process.kill()


def _live(kind: str, name: str, on: Servers, pipe: "Connection[Any, Any]", pinned: bool) -> None:  # noqa: FBT001  across the fork
    if pinned:
        pin(0)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # joining a cold broker is noisy; errors raise
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    watch_postgres(on.postgres_pid)
    uvloop.run(_answer(CONTENDERS[kind](), name, on, pipe))


async def _answer(contender: Contender, name: str, on: Servers, pipe: "Connection[Any, Any]") -> None:
    while True:
        try:
            what, *arguments = await asyncio.to_thread(pipe.recv)
        except EOFError:
            return
        try:
            if what == "start":
                arguments = [on.dsn_of[name], on.bootstrap, on.kafka]
            answer = await getattr(contender, what)(*arguments)
        except InvalidRunError as fault:
            answer = f"{name}: {fault}"
        pipe.send(answer)
        if what == "stop":
            return
