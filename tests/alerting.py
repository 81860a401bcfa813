"""Installation for alerts: two services in processes of their own, and a Prometheus with our rules."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
import yaml
from pydantic import SecretStr

from contracts.event import SERVICES
from services.kernel.embedded.child_process import Child, free_port
from services.kernel.embedded.development_api import TOKEN_DAYS, Bearer, Issuer
from services.kernel.embedded.servers import Broker, Postgres, broker, postgres
from services.kernel.kafka.cloudevents import Message
from services.kernel.kafka.topics import make_topics
from services.kernel.limits import Limits
from services.kernel.postgres.migrations import migrate
from services.kernel.settings import Settings
from services.notify.app import SERVICE as NOTIFY
from services.referral.app import SERVICE as REFERRAL
from tests.documents import ROOT
from tests.issuers import development_issuer
from tests.prometheus_tools import prometheus_program
from tests.tally import publish
from tests.waiting import until

ALERTS: Final = ROOT / "deploy" / "alerts.yml"
RUNNING: Final = {"referral": REFERRAL, "notify": NOTIFY}
PARTITIONS: Final = 2
TENANT: Final = "0440"
CASEWORKER: Final = UUID("0199a000-0000-7000-8000-0000000000aa")
DEPARTMENT: Final = UUID("0199a000-0000-7000-8000-0000000000ab")
BOUNDS: Final = {
    "OldTransaction": ("900", "2"),
    "MeasuresStale": ("60", "3"),
    "LogLinesDropped": ("1", "0.02"),
}
"""Where a test would have to wait for minutes, the alert's bound is made smaller, and only that."""


class Installation:
    """The servers, the two services and the Prometheus of the test, and how each is stopped and started."""

    def __init__(self, folder: Path, database: Postgres, messages: Broker) -> None:
        """Choose ports; nothing of ours runs yet."""
        self.database = database
        self.broker = messages
        self.ports = {name: free_port() for name in RUNNING}
        self.issuer = Issuer(folder / "issuer.json", "samspil")
        self._issuers = development_issuer(self.issuer, folder, TENANT)
        self._folder = folder
        self._prometheus = free_port()
        self._children = {name: Child(name, folder, last_signal=SIGKILL) for name in (*RUNNING, "prometheus")}
        self._token = self.issuer.token(
            Bearer(sub=CASEWORKER, role="caseworker", tenant=TENANT, department_id=DEPARTMENT)
        )

    async def prepare(self) -> None:
        """Make schemas and topics."""
        for service in RUNNING.values():
            await migrate(self.database.dsn, service)
        await self.make_topics()

    async def make_topics(self) -> None:
        """Make the topics that the broker lacks."""
        await make_topics(SERVICES, self.settings())

    def settings(self) -> Settings:
        """Return the settings of an operator's command."""
        return Settings(
            mode="test",
            database=SecretStr(self.database.dsn),
            bootstrap=self.broker.bootstrap,
            broker="embedded",
            partitions=PARTITIONS,
            kek=self._folder / "kek",
        )

    async def start(self, name: str, **more: str) -> None:
        """Start a service as production does, and wait until it may be used."""
        settings = {
            "mode": "test",
            "database": self.database.dsn,
            "bootstrap": self.broker.bootstrap,
            "broker": "embedded",
            "partitions": str(PARTITIONS),
            "port": str(self.ports[name]),
            "issuers": self._issuers,
            "token_seconds": str(TOKEN_DAYS * 86_400),
            "kek": str(self._folder / "kek"),
            "smtp_port": str(free_port()),
            "smtp_tls": "false",
            "parked_limit": "20",
            "session_seconds": "2",
            "limits": Limits(gauges_seconds=0.5).model_dump_json(),
        } | more
        self._children[name].launch(
            [sys.executable, "-m", "services.cli", "run", name],
            env={f"SAMSPIL_{key.upper()}": value for key, value in settings.items()},
        )
        await until(lambda: self._ready(name), seconds=60, what=f"{name} to be ready")

    async def stop(self, *names: str, how: int = SIGTERM) -> None:
        """End services."""
        for name in names:
            await self._children[name].end(SIGKILL if how == SIGKILL else SIGTERM)

    async def watch(self) -> None:
        """Start Prometheus with our alerts, which here fire at once and not after a while."""
        rules = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
        for rule in rules["groups"][0]["rules"]:
            rule.pop("for", None)
            if rule["alert"] in BOUNDS:
                bound, less = BOUNDS[rule["alert"]]
                assert rule["expr"].count(f"> {bound}") == 1
                rule["expr"] = rule["expr"].replace(f"> {bound}", f"> {less}")
        (self._folder / "alerts.yml").write_text(yaml.safe_dump(rules))
        targets = [f"127.0.0.1:{port}" for port in self.ports.values()]
        settings = {
            "global": {
                "scrape_interval": "500ms",
                "scrape_timeout": "500ms",
                "evaluation_interval": "500ms",
                "external_labels": {"runbooks": "docs/runbooks"},
            },
            "rule_files": ["alerts.yml"],
            "scrape_configs": [{"job_name": "samspil", "static_configs": [{"targets": targets}]}],
        }
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        self._children["prometheus"].launch(
            [
                prometheus_program("prometheus"),
                f"--config.file={self._folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._folder / 'series'}",
                f"--web.listen-address=127.0.0.1:{self._prometheus}",
                "--log.level=warn",
            ],
            env={},
        )
        await until(lambda: self._answers(f"http://127.0.0.1:{self._prometheus}/-/ready"), what="Prometheus")

    async def end(self) -> None:
        """End everything that was started."""
        for child in self._children.values():
            await child.end(SIGTERM)

    async def evaluated(self) -> None:
        """Wait until Prometheus has scraped every service, and has evaluated the alerts since."""

        async def scraped() -> bool:
            found = (await self._api("query?query=samspil_ready"))["result"]
            return len(found) == len(RUNNING)

        await until(scraped, what="Prometheus to scrape every service")
        since = datetime.now(UTC)

        async def evaluated() -> bool:
            (group,) = (await self._api("rules"))["groups"]
            return datetime.fromisoformat(group["lastEvaluation"]) > since

        await until(evaluated, what="Prometheus to evaluate the alerts")

    async def firing_alerts(self) -> list[Mapping[str, Any]]:
        """Return the alerts that fire now, with their labels and annotations."""
        alerts = (await self._api("alerts"))["alerts"]
        return [alert for alert in alerts if alert["state"] == "firing"]

    async def _api(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self._prometheus}/api/v1/{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return (await answer.json())["data"]

    async def firing_alert(self, name: str, **labels: str) -> Mapping[str, Any] | None:
        """Return an alert with these labels if it fires now."""
        wanted = {"alertname": name, **labels}.items()
        return next(
            (alert for alert in await self.firing_alerts() if wanted <= alert["labels"].items()), None
        )

    async def until_firing(self, name: str, **labels: str) -> Mapping[str, Any]:
        """Wait until an alert fires, and return it."""
        found: list[Mapping[str, Any]] = []

        async def firing() -> bool:
            if alert := await self.firing_alert(name, **labels):
                found.append(alert)
            return bool(found)

        await until(firing, what=f"{name} to fire")
        return found[0]

    async def until_resolved(self, name: str, **labels: str) -> None:
        """Wait until an alert fires no more."""

        async def resolved() -> bool:
            return await self.firing_alert(name, **labels) is None

        await until(resolved, what=f"{name} to be resolved")

    async def numbers(self, name: str) -> str:
        """Return the metrics of a service."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.ports[name]}/metrics") as answer,
        ):
            return await answer.text()

    async def request(
        self, method: str, name: str, path: str, body: object = None, *, bearer: Bearer | None = None
    ) -> int:
        """Send a request as the caseworker or somebody else, and return the status of its answer."""
        token = self._token if bearer is None else self.issuer.token(bearer)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": path}
        url = f"http://127.0.0.1:{self.ports[name]}/{name}/{path}"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, url, json=body) as answer,
        ):
            return answer.status

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Send messages to a topic as another producer would."""
        await publish(self.broker.bootstrap, messages, topic=topic)

    @asynccontextmanager
    async def stranger(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """Lend a connection of somebody else to the schema of the referrals."""
        connection = await asyncpg.connect(self.database.dsn)
        try:
            await connection.execute("set search_path to referral")
            yield connection
        finally:
            await connection.close()

    async def _ready(self, name: str) -> bool:
        if not self._children[name].alive():
            self._children[name].failed(f"{name} ended")
        return await self._answers(f"http://127.0.0.1:{self.ports[name]}/ready")

    async def _answers(self, url: str) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def installation(folder: Path) -> AsyncIterator[Installation]:
    """Run servers, services and Prometheus while the block runs."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(postgres(folder / "postgres", port=free_port()))
        messages = await stack.enter_async_context(broker(folder / "broker"))
        running = Installation(folder, database, messages)
        stack.push_async_callback(running.end)
        await running.prepare()
        for name in RUNNING:
            await running.start(name)
        await running.watch()
        await running.evaluated()
        yield running
