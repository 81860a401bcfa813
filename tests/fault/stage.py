"""Stage of a campaign: database, broker, mail server, the chain, and a supervisor."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from contracts.event import topic_of
from services.kernel.embedded.child_process import free_port, free_ports
from services.kernel.embedded.development_api import TOKEN_DAYS, Bearer, Issuer
from services.kernel.embedded.mail_server import mail_server
from services.kernel.embedded.servers import Postgres, postgres
from services.kernel.kafka.clients import BrokerUnreachable
from services.kernel.kafka.topics import make_topics
from services.kernel.outbox.republish import republish
from services.kernel.postgres.connections import connect
from services.kernel.postgres.migrations import migrate
from tests.fault.brokers import Brokers, Kind, brokers
from tests.fault.chain import CHAIN
from tests.fault.disk import move_log_to, move_to, small_disk
from tests.fault.ledger import SOURCES
from tests.fault.members import Member
from tests.fault.proxy import Proxy, proxy
from tests.fault.standby import Standby, standby
from tests.issuers import development_issuer
from tests.tally import ACTOR, TENANT, settings_for
from tests.waiting import until

PARTITIONS: Final = 4
HOSTILE: Final = "0461"
"""Code of the municipality that sends what is wrong; the ledger examines the other."""

_CONNECTIONS: Final = 60
_WATCH_SECONDS: Final = 0.05


class Stage:
    """What a fault may reach for."""

    def __init__(self, folder: Path, database: Postgres, wire: Proxy, broker: Brokers) -> None:
        self.folder = folder
        self.database = database
        self.wire = wire
        self.broker = broker
        self.members: dict[str, Member] = {}
        self.poisoned: dict[UUID, str] = {}
        self.small_disk = False
        self.small_log = False
        self.log_disk = folder / "log"
        self.emptied = False
        self.standby: Standby | None = None
        self.clock = folder / "clock"
        self.token = ""
        self.hostile_token = ""
        self._environment: dict[str, str] = {}

    @property
    def dsn(self) -> str:
        """Return the connection string past the wire, for us."""
        return self.database.dsn

    def service_dsn(self, port: int) -> str:
        """Return the connection string of the services, which have no special rights."""
        if self.standby is None:
            return f"postgresql://chain:chain@127.0.0.1:{port}/postgres"
        hosts = f"127.0.0.1:{port},127.0.0.1:{self.standby.port}"
        return f"postgresql://chain:chain@{hosts}/postgres?target_session_attrs=read-write"

    def cast(self, environment: dict[str, str]) -> None:
        """Prepare two slots of each service; the first is kept running, the second comes and goes."""
        ports = iter(free_ports(2 * len(CHAIN)))
        for service in CHAIN:
            for slot in (1, 2):
                member = Member(service, slot, self.folder, environment | {"SAMSPIL_PORT": str(next(ports))})
                self.members[member.name] = member

    def firsts(self) -> list[Member]:
        """Return the members that are kept running."""
        return [member for member in self.members.values() if member.slot == 1]

    async def watch(self) -> None:
        """Restart processes that have died, as a supervisor does."""
        while True:
            for member in self.members.values():
                if member.kept and not member.alive():
                    member.start()
            await asyncio.sleep(_WATCH_SECONDS)

    async def prepare_broker(self) -> None:
        """Make the topics that are missing, and fill those from the log that were made.

        The embedded broker is empty after every start, and makes a topic for any client: one that is there
        may have been made by a service a moment ago, so all are filled.
        """
        settings = settings_for(self.dsn, self.broker.bootstrap, "kafka")
        copies = 3 if self.broker.kind == "kafka3" else 1

        async def made() -> bool:
            try:
                fresh = await make_topics(CHAIN, settings, replication=copies)
                await self.refill(map(topic_of, CHAIN) if self.broker.kind == "embedded" else fresh)
            except (BrokerUnreachable, OSError, asyncpg.PostgresError):
                return False
            return True

        await until(made, what="the topics")

    async def refill(self, topics: Iterable[str]) -> None:
        """Queue the logs whose topics these are."""
        for topic in topics:
            session = await connect(self.dsn, schema=topic.split(".")[1])
            try:
                await republish(session)
            finally:
                await session.close()

    async def query_value(self, statement: str, *parameters: Any) -> Any:
        """Query the database for one value."""
        session = await asyncpg.connect(self.dsn)
        try:
            return await session.fetchval(statement, *parameters)
        finally:
            await session.close()

    async def left(self, cases: list[UUID]) -> str:
        """Return what is still under way in the chain; nothing once all has come to rest."""
        for name, sources in SOURCES.items():
            for what in ("pending", "timers", "effects where done_at is null"):
                table, _, rest = what.partition(" where ")
                statement = f"select count(*) from {name}.{table} where tenant = $1 and {rest or 'true'}"  # noqa: S608  names of ours
                if count := await self.query_value(statement, TENANT):
                    return f"{count} {what} of {name}"
            for source in sources:
                if count := await self.query_value(_BEHIND.format(name=name, source=source), cases, TENANT):
                    return f"{name} is behind {source} in {count} streams"
        return ""


_BEHIND: Final = """
select count(*) from {source}.streams s left join {name}.streams c using (tenant, stream_id)
where s.tenant = $2 and s.stream_id = any($1::uuid[])
  and coalesce((c.marks -> '{source}' ->> 0)::bigint, 0) < s.seq
"""


@asynccontextmanager
async def stage(kind: Kind, folder: Path, *, followed: bool = False) -> AsyncIterator[Stage]:
    """Set everything up and run it while the block runs; `followed` by a standby if so."""
    issuer = Issuer(folder / "issuer.json", "samspil")
    issuers = development_issuer(issuer, folder, TENANT, HOSTILE)
    (folder / "clock").write_text("0")
    port = free_port()
    limits = {
        "max_connections": str(_CONNECTIONS),
        "superuser_reserved_connections": "8",
        "min_wal_size": "32MB",
        "max_wal_size": "64MB",
    }
    async with (
        postgres(folder / "postgres", port=port, settings=limits) as database,
        proxy(port) as wire,
        brokers(kind, folder / "broker") as broker,
        mail_server(folder / "mail") as mail_port,
        AsyncExitStack() as stack,
    ):
        made = Stage(folder, database, wire, broker)
        data = folder / "postgres" / "data"
        made.small_log = not followed and stack.enter_context(small_disk(made.log_disk, data, megabytes=160))
        if made.small_log:
            stack.push_async_callback(database.stop)
            await move_log_to(made.log_disk, database, data)
        made.token = issuer.token(Bearer(sub=ACTOR, role="caseworker", tenant=TENANT))
        made.hostile_token = issuer.token(Bearer(sub=ACTOR, role="caseworker", tenant=HOSTILE))
        await made.query_value("create role chain login superuser password 'chain'")
        for service in CHAIN.values():
            await migrate(made.service_dsn(port), service)
        await made.query_value("alter role chain nosuperuser")
        small = folder / "small"
        if followed:
            made.standby = await stack.enter_async_context(standby(database, port, folder / "standby"))
        else:
            made.small_disk = stack.enter_context(small_disk(small, data))
            stack.push_async_callback(database.stop)  # before its disks go
        if made.small_disk:
            await move_to(small, made.dsn, "consent")
        await made.prepare_broker()
        made.cast(_environment(made, mail_port, issuers))
        with _playing(made):
            watch = asyncio.create_task(made.watch())
            try:
                yield made
            finally:
                watch.cancel()


@contextmanager
def _playing(made: Stage) -> Any:
    for member in made.firsts():
        member.kept = True
    try:
        yield
    finally:
        for member in made.members.values():
            member.kept = False
            member.end()


def _environment(made: Stage, mail_port: int, issuers: str) -> dict[str, str]:
    return {
        "SAMSPIL_MODE": "test",
        "SAMSPIL_DATABASE": made.service_dsn(made.wire.port),
        "SAMSPIL_BOOTSTRAP": made.broker.bootstrap,
        "SAMSPIL_BROKER": "embedded" if made.broker.kind == "embedded" else "kafka",
        "SAMSPIL_PARTITIONS": str(PARTITIONS),
        "SAMSPIL_ISSUERS": issuers,
        "SAMSPIL_TOKEN_SECONDS": str(TOKEN_DAYS * 86_400),
        "SAMSPIL_KEK": str(made.folder / "kek"),
        "SAMSPIL_SMTP_PORT": str(mail_port),
        "SAMSPIL_SMTP_TLS": "false",
        "SAMSPIL_SESSION_SECONDS": "3",
        "SAMSPIL_WATERMARK_SECONDS": "1",
        "SAMSPIL_POOL": "4",
        "CHAIN_CLOCK": str(made.clock),
    }
