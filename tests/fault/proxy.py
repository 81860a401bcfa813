"""A wire that can be delayed, cut, half-opened and swallowed: a TCP proxy on the loopback address."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

Mood = Literal["well", "slow", "upstream_lost", "downstream_lost", "black"]
_CHUNK: Final = 65_536


class Proxy:
    """Proxy: passes bytes on to a port, as well as its mood lets it.

    `slow` delays each chunk, `upstream_lost` swallows what clients say, `downstream_lost` what the server
    answers (both are half-open wires), `black` both; what was swallowed never comes.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.mood: Mood = "well"
        self.delay = 0.0
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._open.add(to_writer)
            await self._both(reader, writer, to_reader, to_writer)
            self._open.discard(to_writer)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._open.discard(writer)
            self._tasks.discard(task)

    async def _both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_reader: asyncio.StreamReader,
        to_writer: asyncio.StreamWriter,
    ) -> None:
        up = asyncio.create_task(self._pass(reader, to_writer, "upstream_lost"))
        down = asyncio.create_task(self._pass(to_reader, writer, "downstream_lost"))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            to_writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: Mood) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if self.mood == "slow":
                    await asyncio.sleep(self.delay)
                if self.mood in {lost, "black"}:
                    continue
                writer.write(chunk)
                await writer.drain()


@asynccontextmanager
async def proxy(target: int, *, port: int = 0) -> AsyncIterator[Proxy]:
    """Run a proxy before a loopback port while the block runs."""
    made = Proxy(target)
    await made.start(port)
    try:
        yield made
    finally:
        await made.stop()
