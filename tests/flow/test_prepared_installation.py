"""An installation that was prepared by its script runs every service with that service's own rights."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from contracts.event import SERVICES
from contracts.model import load_models, model_folder
from deploy.prepare import prepare
from deploy.principals import service_named, user_of
from deploy.roles import logins_of
from services.kernel.clock import SystemClock
from services.kernel.embedded import postgres
from services.kernel.embedded_process import free_port
from services.kernel.kms import FileKms
from services.kernel.runtime import Runtime
from services.kernel.settings import Settings
from tests.apache_kafka import ApacheKafka, apache_kafka, missing_for_kafka
from tests.kafka_security import Security, made_security
from tests.servers import running, scratch_folder

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


async def _all_ready(kafka: ApacheKafka, security: Security) -> None:
    """Start every service and wait until each says that it may be used."""
    async with AsyncExitStack() as running_services:
        runtimes = [
            await running_services.enter_async_context(_run(name, kafka, security)) for name in SERVICES
        ]
        waiting = {runtime.service.name: runtime for runtime in runtimes}
        async with asyncio.timeout(60):
            while waiting:
                for name in [name for name, each in waiting.items() if not await each.why_not_ready()]:
                    del waiting[name]
                await asyncio.sleep(0.1)


@asynccontextmanager
async def _run(service: str, kafka: ApacheKafka, security: Security) -> AsyncIterator[Runtime]:
    key_store = security.secrets / "kek_of_the_test"
    if not key_store.exists():
        key_store.write_bytes(secrets.token_bytes(32))
    settings = Settings(
        mode="test",
        database=_secret(security, f"database_samspil_{service}"),
        bootstrap=kafka.bootstrap,
        kafka_user=user_of(service),
        kafka_password=_secret(security, f"kafka_{service}"),
        kafka_ca=security.authority,
        partitions=PARTITIONS,
    )
    runtime = Runtime(
        service_named(service),
        settings,
        clock=SystemClock(),
        models=load_models(model_folder()),
        kms=FileKms(key_store, mode="test"),
    )
    await runtime.start()
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
