"""An installation that was prepared by its script runs every service with that service's own rights."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Literal
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from joserfc.jwk import OKPKey
from rich.console import Console
from structlog.testing import capture_logs

from contracts.event import SERVICES, topic_of
from contracts.model import load_models, model_folder
from demo.play import play
from deploy.kafka_access import KafkaAccess
from deploy.prepare import prepare
from deploy.principals import service_named, user_of
from services.kernel.clock import Clock, SystemClock, VirtualClock
from services.kernel.decider.decision import Actor
from services.kernel.embedded.child_process import Child, free_port
from services.kernel.embedded.development_api import TOKEN_DAYS, Bearer, Issuer, development_routes
from services.kernel.embedded.mail_server import mail_server
from services.kernel.embedded.servers import postgres
from services.kernel.embedded.up import VIRTUAL_START
from services.kernel.http.application import mount
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.server import app_of, listening_socket, serve
from services.kernel.ids import new_id
from services.kernel.operations.parked_events import open_service
from services.kernel.operations.rebuild_projections import rebuild
from services.kernel.postgres.roles import logins_of
from services.kernel.privacy.key_store import FileKeyStore
from services.kernel.runtime.revocations import Revocations
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings
from services.registry import SERVICES_BY_NAME
from tests.apache_kafka import ApacheKafka, apache_kafka, missing_for_kafka
from tests.issuers import SIGN_IN, key_set
from tests.kafka_security import Security, made_security
from tests.node_tools import run_node
from tests.old_events import append_old_event, commit_all_offsets, relayed
from tests.servers import running, scratch_folder
from tests.transit import TOKEN, transit
from tests.waiting import until

pytestmark = pytest.mark.kafka

PARTITIONS = 2


@pytest.fixture(scope="module")
def installation() -> Iterator[tuple[ApacheKafka, Security]]:
    """Prepare a database and a secured Kafka by the script, twice."""
    if missing := missing_for_kafka():
        pytest.fail(f"Apache Kafka cannot run without {' and '.join(missing)}")
    with scratch_folder() as folder, running(postgres(folder / "postgres", port=free_port())) as database:
        security = made_security(folder / "secrets")
        _point_at(security.secrets, database.dsn)
        with running(apache_kafka(folder / "kafka", security=security)) as kafka:
            operator = security.operator(kafka.inner_bootstrap)
            for _ in range(2):
                asyncio.run(prepare(security.secrets, operator, partitions=PARTITIONS, replication=1))
            yield kafka, security


async def test_every_service_works_with_its_own_rights(installation: tuple[ApacheKafka, Security]) -> None:
    """Each service, logged in as itself everywhere, becomes ready, and nothing in it is refused a right."""
    kafka, security = installation
    with capture_logs() as said:
        await _all_ready(kafka, security)

    assert [line for line in said if line["log_level"] == "error"] == []


async def test_finding_11_a_service_starts_in_production_by_tls_only(
    installation: tuple[ApacheKafka, Security], tmp_path: Path
) -> None:
    """As a process, as deployed: it becomes ready, and without an authority it ends and names the setting."""
    kafka, security = installation
    port = free_port()
    service = Child("referral", tmp_path, last_signal=SIGKILL)
    async with transit() as vault:
        settings = _production(kafka, security, tmp_path) | {
            "SAMSPIL_VAULT_URL": f"http://127.0.0.1:{vault.port}",
            "SAMSPIL_VAULT_TOKEN": TOKEN,
            "SAMSPIL_PORT": str(port),
        }
        run = [sys.executable, "-m", "services.cli", "run", "referral"]
        try:
            service.launch(run, env=settings)
            await until(lambda: _is_ready(port), seconds=60, what="the service to be ready")
        finally:
            await service.end(SIGTERM)
        plain = {name: value for name, value in settings.items() if name != "SAMSPIL_KAFKA_CA"}
        refused = await asyncio.to_thread(
            subprocess.run, run, env={**os.environ, **plain}, capture_output=True, text=True, check=False
        )

    assert refused.returncode == 3
    assert "SAMSPIL_KAFKA_CA: Kafka needs TLS: name the file" in " ".join(refused.stderr.split())


@pytest.mark.parametrize("service", SERVICES)
async def test_no_service_may_change_its_log(
    installation: tuple[ApacheKafka, Security], service: str
) -> None:
    """After the real migrations no service may change or remove what it once said, in any partition."""
    _, security = installation
    connection = await asyncpg.connect(_secret(security, f"database_samspil_{service}"))
    try:
        tables = await connection.fetch(
            "select oid::regclass::text as name from pg_class"
            " where relnamespace = $1::regnamespace and relname ~ '^event_log' and relkind in ('r', 'p')",
            service,
        )
        allowed = [
            (table["name"], right)
            for table in tables
            for right in ("update", "delete", "truncate")
            if await connection.fetchval("select has_table_privilege($1, $2)", table["name"], right)
        ]
    finally:
        await connection.close()

    assert len(tables) > 1
    assert allowed == []


@pytest.mark.parametrize("service", ["directory", "referral", "consent", "agreement", "evaluation"])
async def test_a_service_may_write_its_lists_anew(
    installation: tuple[ApacheKafka, Security], service: str
) -> None:
    """The login by which a service works suffices to rebuild what queries read; its log it only reads."""
    _, security = installation
    settings = Settings(
        mode="test",
        database=_secret(security, f"database_samspil_{service}"),
        kek=security.secrets / "kek_of_the_rebuild",
    )
    async with open_service(service_named(service), settings) as runtime:
        done = await rebuild(runtime)

    assert set(done) == {"streams", *service_named(service).tables}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_drops_its_log_by_its_own_rights(
    installation: tuple[ApacheKafka, Security], service: str
) -> None:
    """It reads the offsets of its consumers, keeps its log for the last of them, then drops it."""
    kafka, security = installation
    consumers = sorted(SERVICES_BY_NAME[service].subscribers or ())
    for consumer in consumers:
        await _commit_all(kafka, security, consumer, service)
    with capture_logs() as said:
        async with (
            _run(service, kafka, security, run_loops=False, log_days=90) as runtime,
            relayed(runtime),
        ):
            await append_old_event(runtime, _secret(security, f"database_samspil_{service}_migrator"))
            dropped = [await runtime.log_retention.run_once()]
            for consumer in consumers:
                dropped.append(await runtime.log_retention.run_once())
                await _commit_all(kafka, security, consumer, service)
            dropped.append(await runtime.log_retention.run_once())
            left = await runtime.pool.fetchval(
                "select count(*) from event_log where created_on < '2025-02-01'"
            )

    assert [line for line in said if line["log_level"] != "info"] == []
    assert dropped == [0] * (len(consumers) + 1) + [1]
    assert left == 0


@pytest.mark.usefixtures("node_tools")
async def test_the_demo_plays_with_each_service_as_itself(
    installation: tuple[ApacheKafka, Security], tmp_path: Path
) -> None:
    """A year of a few cases goes through TLS, passwords and rights, and its own checks hold."""
    kafka, security = installation
    clock = VirtualClock(tmp_path / "clock", VIRTUAL_START)
    async with AsyncExitStack() as stack:
        mail_port = await stack.enter_async_context(mail_server(tmp_path / "mail"))
        runtimes = {
            name: await stack.enter_async_context(
                _run(name, kafka, security, mode="embedded", clock=clock, mail_port=mail_port)
            )
            for name in SERVICES
        }
        await _until_ready(runtimes)
        url = await stack.enter_async_context(_served(runtimes, clock, tmp_path))
        report = await play(url, cases=4, seed=7, console=Console(quiet=True))

    assert report.holds, "\n".join(report.lines())

    outside = await asyncio.to_thread(_read_from_outside, kafka, security)

    assert outside.returncode == 0, outside.stdout + outside.stderr
    found = json.loads(outside.stdout)
    assert found[topic_of("referral")]["count"] > 0
    assert [topic for topic in found if found[topic]["invalid"]] == []


def _production(kafka: ApacheKafka, security: Security, folder: Path) -> dict[str, str]:
    """Return the environment of the referral service in production; its database is on this machine."""
    key = OKPKey.generate_key("Ed25519")
    (folder / "jwks.json").write_bytes(key_set(key))
    issuer = {"issuer": SIGN_IN, "keys": str(folder / "jwks.json"), "municipalities": ["0440"]}
    return {
        "SAMSPIL_MODE": "production",
        "SAMSPIL_DATABASE": _secret(security, "database_samspil_referral"),
        "SAMSPIL_DATABASE_API": _secret(security, "database_samspil_referral_api"),
        "SAMSPIL_BOOTSTRAP": kafka.bootstrap,
        "SAMSPIL_KAFKA_USER": user_of("referral"),
        "SAMSPIL_KAFKA_PASSWORD": _secret(security, "kafka_referral"),
        "SAMSPIL_KAFKA_CA": str(security.authority),
        "SAMSPIL_PARTITIONS": str(PARTITIONS),
        "SAMSPIL_ISSUERS": json.dumps([issuer]),
        "SAMSPIL_PUBLIC_URL": "https://samspil.test",
        "SAMSPIL_PLAIN_CONNECTIONS": "database",
    }


async def _is_ready(port: int) -> bool:
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/ready") as answer,
        ):
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def test_finding_6_a_revocation_reaches_every_service(
    installation: tuple[ApacheKafka, Security], tmp_path: Path
) -> None:
    """An administrator revokes a person in the directory; every service has it within its minute."""
    kafka, security = installation
    clock, person = VirtualClock(tmp_path / "clock", VIRTUAL_START), new_id()
    async with AsyncExitStack() as stack:
        runtimes = {
            name: await stack.enter_async_context(_run(name, kafka, security, mode="embedded", clock=clock))
            for name in SERVICES
        }
        await _until_ready(runtimes)
        url = await stack.enter_async_context(_served(runtimes, clock, tmp_path))
        await until(lambda: _is_ready(int(url.rpartition(":")[2])), what="the server to answer")
        issuer = Issuer(tmp_path / "issuer.json", runtimes["audit"].settings.audience)
        token = issuer.token(Bearer(sub=new_id(), role="administrator", tenant="0440"))
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "revoke"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{url}/directory/access/revoke", json={"person_id": str(person)}) as answer,
        ):
            assert answer.status == 200
        async with asyncio.timeout(55):  # and five seconds until a process has read its table
            for runtime in runtimes.values():
                await until(lambda runtime=runtime: _revokes(runtime, person), seconds=55)  # type: ignore[misc]


async def _revokes(runtime: Runtime, person: UUID) -> bool:
    revocations = Revocations([runtime])
    await revocations.refresh()
    return revocations.covers(Actor(person, "caseworker", "0440"), None)


async def _commit_all(kafka: ApacheKafka, security: Security, consumer: str, service: str) -> None:
    await commit_all_offsets(
        consumer, service, PARTITIONS, **_access(kafka, security, consumer).for_aiokafka()
    )


def _access(kafka: ApacheKafka, security: Security, service: str) -> KafkaAccess:
    return security.service(kafka.bootstrap, user_of(service), _secret(security, f"kafka_{service}"))


def _read_from_outside(kafka: ApacheKafka, security: Security) -> subprocess.CompletedProcess[str]:
    """Read every topic with a client that is not ours, and hold each message against AsyncAPI."""
    return run_node(
        "read_topics.mjs",
        kafka.bootstrap,
        *map(topic_of, SERVICES),
        env={
            "KAFKA_CA_FILE": str(security.authority),
            "KAFKA_USERNAME": user_of("audit"),
            "KAFKA_PASSWORD": _secret(security, "kafka_audit"),
            "KAFKA_GROUP": "samspil.audit",
        },
    )


@asynccontextmanager
async def _served(runtimes: Mapping[str, Runtime], clock: VirtualClock, folder: Path) -> AsyncIterator[str]:
    """Serve all services on a loopback port, with the calls that move time."""
    reader, socket = runtimes["audit"].settings, listening_socket("127.0.0.1", 0)
    issuer = Issuer(folder / "issuer.json", reader.audience)
    app = app_of([runtime.service for runtime in runtimes.values()])
    verifier = TokenVerifier([await issuer.trusted()], reader.audience, longest_seconds=reader.token_seconds)
    mount(app, runtimes, verifier)
    app.include_router(development_routes(reader, runtimes, clock, issuer, folder))
    stopping = asyncio.Event()
    serving = asyncio.create_task(serve(app, socket, reader, stopping=stopping))
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        stopping.set()
        await serving


async def _all_ready(kafka: ApacheKafka, security: Security) -> None:
    """Start every service and wait until each is ready."""
    async with AsyncExitStack() as running_services:
        await _until_ready(
            {
                name: await running_services.enter_async_context(_run(name, kafka, security))
                for name in SERVICES
            }
        )


async def _until_ready(runtimes: Mapping[str, Runtime]) -> None:
    for runtime in runtimes.values():
        await until(lambda runtime=runtime: _ready(runtime), seconds=60)  # type: ignore[misc]


async def _ready(runtime: Runtime) -> bool:
    return not await runtime.unready_reasons()


@asynccontextmanager
async def _run(
    service: str,
    kafka: ApacheKafka,
    security: Security,
    *,
    mode: Literal["test", "embedded"] = "test",
    clock: Clock | None = None,
    mail_port: int = 0,
    log_days: int = 0,
    run_loops: bool = True,
) -> AsyncIterator[Runtime]:
    key_store = security.secrets / "kek_of_the_test"
    if not key_store.exists():
        key_store.write_bytes(secrets.token_bytes(32))
    settings = Settings(
        mode=mode,
        smtp_port=mail_port,
        smtp_tls=False,
        database=_secret(security, f"database_samspil_{service}"),
        database_api=_secret(security, f"database_samspil_{service}_api"),
        bootstrap=kafka.bootstrap,
        kafka_user=user_of(service),
        kafka_password=_secret(security, f"kafka_{service}"),
        kafka_ca=security.authority,
        token_seconds=TOKEN_DAYS * 86_400,
        partitions=PARTITIONS,
        log_days=log_days,
    )
    runtime = Runtime(
        SERVICES_BY_NAME[service],
        settings,
        clock=clock or SystemClock(),
        models=load_models(model_folder()),
        key_store=FileKeyStore(key_store, mode="test"),
    )
    await runtime.start(run_loops=run_loops)
    try:
        yield runtime
    finally:
        await runtime.stop()


def _point_at(folder: Path, superuser: str) -> None:
    """Replace the addresses of production by that of the test's database; its passwords stay."""
    parts = urlsplit(superuser)
    (folder / "database_superuser").write_text(superuser)
    for role in (role for service in SERVICES for role in logins_of(service)):
        password = (folder / f"password_{role}").read_text()
        login = f"{role}:{password}@{parts.netloc.rpartition('@')[2]}"
        (folder / f"database_{role}").write_text(urlunsplit(parts._replace(netloc=login)))


def _secret(security: Security, name: str) -> str:
    return (security.secrets / name).read_text()
