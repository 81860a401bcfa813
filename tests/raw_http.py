"""HTTP as bytes over a socket: what no well-behaved client sends."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

_PATIENCE_SECONDS = 20.0


@dataclass
class RawAnswer:
    """What a server said until it closed the connection; `raw` is empty where it said nothing."""

    raw: bytes

    @property
    def statuses(self) -> list[int]:
        """Return the status of each response."""
        lines = self.raw.split(b"HTTP/1.1 ")[1:]
        return [int(line[:3]) for line in lines]

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the first response."""
        lines = self.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def body(self) -> Any:
        """Return the document of the first response."""
        rest = self.raw.partition(b"\r\n\r\n")[2]
        return json.loads(rest[: int(self.headers["content-length"])])

    @property
    def slug(self) -> str:
        """Return the code of the problem."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["cache-control"] == "no-store"
        assert self.body["status"] == self.statuses[0]
        return str(self.body["type"]).removeprefix("urn:samspil:problem:")


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes; a server that has closed takes no more of them."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            return

    async def until_closed(self) -> RawAnswer:
        """Return all that comes until the server closes."""
        said = bytearray()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            try:
                while part := await self._reader.read(65536):
                    said += part
            except ConnectionError:
                pass
        await self.close()
        return RawAnswer(bytes(said))

    async def one(self) -> RawAnswer:
        """Return one response of a connection that stays open."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = int(RawAnswer(head).headers["content-length"])
            return RawAnswer(head + await self._reader.readexactly(length))

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return


async def connect(port: int, source: str = "127.0.0.1") -> RawClient:
    """Open a connection from an address of the loopback network."""
    return RawClient(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))


async def exchange(port: int, data: bytes, source: str = "127.0.0.1") -> RawAnswer:
    """Send bytes over a connection of their own, and return what comes until the server closes."""
    client = await connect(port, source)
    await client.send(data)
    return await client.until_closed()


def get(path: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    """Return a request whose response ends the connection."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()
