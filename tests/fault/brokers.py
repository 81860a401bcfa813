"""The broker of a campaign, of any of three kinds, behind a wire that can be spoilt."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal, Protocol

from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.kafka_broker import Broker
from tests.apache_kafka import ApacheKafka, Node
from tests.fault.proxy import Proxy, proxy

Kind = Literal["embedded", "kafka", "kafka3"]
KINDS: tuple[Kind, ...] = ("embedded", "kafka", "kafka3")


class Brokers(Protocol):
    """One broker or three, numbered from 1."""

    kind: Kind

    @property
    def wires(self) -> Sequence[Proxy]:
        """Return the wires to each."""
        ...

    @property
    def inner_wires(self) -> Sequence[Proxy]:
        """Return the wires by which the others reach each; none where there are no others."""
        ...

    @property
    def bootstrap(self) -> str:
        """Return the addresses for clients, all behind the wires."""
        ...

    async def start(self) -> None:
        """Start all that do not run."""
        ...

    async def stop(self, *numbers: int) -> None:
        """Stop some in order, all without a number."""
        ...

    async def kill(self, *numbers: int) -> None:
        """Kill some, all without a number."""
        ...


class Embedded:
    """The embedded broker: one, and empty after every start."""

    kind: Kind = "embedded"
    inner_wires: Sequence[Proxy] = ()

    def __init__(self, folder: Path, port: int, wire: Proxy) -> None:
        self.wires: Sequence[Proxy] = [wire]
        folder.mkdir()
        self._broker = Broker(folder, port=port, advertised=wire.port)

    @property
    def bootstrap(self) -> str:
        """Return the address for clients."""
        return f"127.0.0.1:{self.wires[0].port}"

    async def start(self) -> None:
        """Start it, empty."""
        await self._broker.start()

    async def stop(self, *_: int) -> None:
        """Stop it in order."""
        await self._broker.stop()

    async def kill(self, *_: int) -> None:
        """Kill it."""
        await self._broker.kill()


class Apache(ApacheKafka):
    """Apache Kafka, whose nodes send their clients, and each other, to the wires before them."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self.kind: Kind = kind
        super().__init__(folder, brokers=3 if kind == "kafka3" else 1)
        self.wires: Sequence[Proxy] = [Proxy(node.client_port) for node in self.nodes]
        self.inner_wires: Sequence[Proxy] = [Proxy(node.inner_port) for node in self.nodes]

    @property
    def bootstrap(self) -> str:
        """Return the addresses for clients."""
        return ",".join(f"127.0.0.1:{wire.port}" for wire in self.wires)

    def _settings(self, node: Node) -> dict[str, str]:
        wires = {"CLIENT": self.wires[node.number - 1], "INNER": self.inner_wires[node.number - 1]}
        return super()._settings(node) | {
            "advertised.listeners": ",".join(f"{name}://127.0.0.1:{at.port}" for name, at in wires.items()),
            # What a wire has swallowed is not waited for much longer, nor is a copy that has fallen behind.
            "replica.socket.timeout.ms": "3000",
            "replica.lag.time.max.ms": "4000",
        }


@asynccontextmanager
async def brokers(kind: Kind, folder: Path) -> AsyncIterator[Brokers]:
    """Run a broker of a kind while the block runs."""
    made: Embedded | Apache
    async with AsyncExitStack() as stack:
        if kind == "embedded":
            port = free_port()
            made = Embedded(folder, port, await stack.enter_async_context(proxy(port)))
        else:
            made = Apache(folder, kind)  # it makes the folder
            for wire in (*made.wires, *made.inner_wires):
                await wire.start()
                stack.push_async_callback(wire.stop)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()
