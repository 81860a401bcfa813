"""Apache Kafka itself for the tests: one to three brokers from the jars of Maven Central, on the loopback."""

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.kernel.embedded.child_process import Child, free_ports
from services.kernel.errors import ServerFailed
from tests.kafka_security import Security

HERE = Path(__file__).parent
_START_SECONDS = 60.0
_ONE_NODE = 1
_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C"}


def missing_for_kafka() -> list[str]:
    """Return the programs that Apache Kafka needs and this machine lacks."""
    return [program for program in ("java", "mvn") if shutil.which(program) is None]


def fetched_jars() -> Path:
    """Return the folder with the jars that `tests/kafka/pom.xml` names, fetching them the first time."""
    pom = HERE / "kafka" / "pom.xml"
    jars = HERE.parent / ".kafka" / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    jars.parent.mkdir(exist_ok=True)
    with (jars.parent / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may start at once
        if not jars.exists():
            half = jars.with_suffix(".new")
            shutil.rmtree(half, ignore_errors=True)
            fetch = ("dependency:copy-dependencies", f"-DoutputDirectory={half}", "-DincludeScope=runtime")
            _run("mvn", "-q", "-B", "-f", str(pom), *fetch)
            half.rename(jars)
    return jars


@dataclass
class Node:
    """One server of the cluster: its folder, its ports, its process."""

    number: int
    folder: Path
    child: Child
    client_port: int
    outside_port: int
    inner_port: int
    controller_port: int


class ApacheKafka:
    """A cluster of Apache Kafka; every node is broker and controller at once.

    With `security` clients come by TLS and SCRAM-SHA-512, and what is not granted is refused; the nodes know
    each other by their certificates.
    """

    def __init__(self, folder: Path, *, brokers: int = 1, security: Security | None = None) -> None:
        self.security = security
        ports = iter(free_ports(4 * brokers))
        self.nodes = [self._node(folder / f"node-{n}", n, ports) for n in range(1, brokers + 1)]
        self._jars = fetched_jars()
        self._cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")

    @property
    def bootstrap(self) -> str:
        """Return the addresses for clients."""
        return ",".join(f"127.0.0.1:{node.client_port}" for node in self.nodes)

    @property
    def outside_bootstrap(self) -> str:
        """Return the addresses for readers from outside."""
        return ",".join(f"127.0.0.1:{node.outside_port}" for node in self.nodes)

    @property
    def inner_bootstrap(self) -> str:
        """Return the addresses for nodes and operators."""
        return ",".join(f"127.0.0.1:{node.inner_port}" for node in self.nodes)

    async def start(self) -> None:
        """Start every node that does not run, and wait until all take connections from clients."""
        down = [node for node in self.nodes if not node.child.alive()]
        await asyncio.gather(*(self._launch(node) for node in down))
        await asyncio.gather(*(self._listening(node) for node in down))

    async def stop(self, *numbers: int) -> None:
        """Stop the nodes with these numbers, all without one, in order."""
        await asyncio.gather(*(node.child.end(signal.SIGTERM) for node in self._chosen(numbers)))

    async def kill(self, *numbers: int) -> None:
        """Kill the nodes with these numbers, all without one, as a crash would."""
        await asyncio.gather(*(node.child.end(signal.SIGKILL) for node in self._chosen(numbers)))

    def _chosen(self, numbers: tuple[int, ...]) -> list[Node]:
        return [node for node in self.nodes if not numbers or node.number in numbers]

    def _node(self, folder: Path, number: int, ports: Iterator[int]) -> Node:
        folder.mkdir(parents=True)
        child = Child("kafka", folder, last_signal=signal.SIGKILL)
        return Node(number, folder, child, *(next(ports) for _ in range(4)))

    async def _launch(self, node: Node) -> None:
        settings = node.folder / "server.properties"
        if not settings.exists():
            settings.write_text("".join(f"{key}={value}\n" for key, value in self._settings(node).items()))
            arguments = ("format", f"--cluster-id={self._cluster}", f"--config={settings}")
            await asyncio.to_thread(_run, *self._java(), "kafka.tools.StorageTool", *arguments)
        node.child.launch([*self._java(), "kafka.Kafka", str(settings)], env=_ENVIRONMENT)

    def _java(self) -> tuple[str, ...]:
        java = shutil.which("java") or "java"
        quick = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xms128m", "-Xmx384m")
        logging = f"-Dlog4j2.configurationFile={HERE / 'kafka' / 'log4j2.properties'}"
        return (java, *quick, logging, "-cp", f"{self._jars}/*")

    async def _listening(self, node: Node) -> None:
        """Wait until the node's port for clients is open, which is after it has joined the cluster."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await _open(node.client_port):
                    if not node.child.alive():
                        node.child.failed("Apache Kafka ended at once")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            node.child.failed(f"Apache Kafka took no connection within {_START_SECONDS:.0f} s")

    def _settings(self, node: Node) -> dict[str, str]:
        copies = str(min(3, len(self.nodes)))
        enough = "2" if len(self.nodes) > _ONE_NODE else "1"
        voters = ",".join(f"{each.number}@127.0.0.1:{each.controller_port}" for each in self.nodes)
        ports = {
            "CLIENT": node.client_port,
            "OUTSIDE": node.outside_port,
            "INNER": node.inner_port,
            "CONTROLLER": node.controller_port,
        }
        listeners = {name: f"{name}://127.0.0.1:{port}" for name, port in ports.items()}
        open_to_all = ",".join(f"{name}:PLAINTEXT" for name in ports)
        base = self.security.settings() if self.security else {"listener.security.protocol.map": open_to_all}
        return base | {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "log.dirs": str(node.folder / "data"),
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "INNER",
            "listeners": ",".join(listeners.values()),
            "advertised.listeners": ",".join(listeners[name] for name in ("CLIENT", "OUTSIDE", "INNER")),
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": enough,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": enough,
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "500",
            "broker.session.timeout.ms": "1500",
            "broker.heartbeat.interval.ms": "300",
        }


@contextlib.asynccontextmanager
async def apache_kafka(
    folder: Path, *, brokers: int = 1, security: Security | None = None
) -> AsyncIterator[ApacheKafka]:
    """Run a cluster of Apache Kafka with its data in `folder` while the block runs."""
    cluster = ApacheKafka(folder, brokers=brokers, security=security)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()


async def _open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _run(*argv: str) -> None:
    ran = subprocess.run(argv, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ServerFailed(f"{argv[0]} failed:\n{ran.stdout}{ran.stderr}")
