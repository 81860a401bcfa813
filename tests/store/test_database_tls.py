"""The production database is reached by TLS and password only; tried on Debian's server, built with TLS."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.credentials import make_credentials
from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.postgres_data import give, unprivileged
from services.kernel.embedded.servers import Postgres, postgres
from tests.kafka_security import PASSPHRASE
from tests.servers import DEBIAN_15, scratch_folder
from tests.tls import agreed_version

pytestmark = pytest.mark.skipif(not DEBIAN_15.exists(), reason="Debian's PostgreSQL 15 is not installed")
RULES = Path(__file__).parents[2] / "deploy" / "postgres" / "pg_hba.conf"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Postgres]:
    """Run a server with the certificate and the rules of production."""
    make_credentials(tmp_path / "secrets", datetime.now(UTC), passphrase=PASSPHRASE)
    with scratch_folder() as folder:
        for name, source in {
            "server.pem": tmp_path / "secrets" / "postgres_server",
            "pg_hba.conf": RULES,
        }.items():
            shutil.copy(source, folder / name)
            (folder / name).chmod(0o600)
            give(folder / name, unprivileged())
        settings = {
            "ssl": "on",
            "ssl_cert_file": str(folder / "server.pem"),
            "ssl_key_file": str(folder / "server.pem"),
            "ssl_min_protocol_version": "TLSv1.2",
            "hba_file": str(folder / "pg_hba.conf"),
        }
        data = folder / "postgres"
        async with postgres(data, port=free_port(), programs=DEBIAN_15, settings=settings) as started:
            yield started


async def test_a_client_that_checks_the_certificate_gets_in(server: Postgres, tmp_path: Path) -> None:
    """A connection is encrypted, and to the server that our authority vouches for."""
    trust = f"?sslmode=verify-full&sslrootcert={tmp_path / 'secrets' / 'authority'}"
    connection = await asyncpg.connect(server.dsn + trust)
    try:
        assert await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    finally:
        await connection.close()


async def test_an_unencrypted_connection_is_refused(server: Postgres) -> None:
    """Without TLS no client gets in, whatever the password."""
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        await asyncpg.connect(server.dsn + "?sslmode=disable")


async def test_older_versions_of_tls_are_refused(server: Postgres) -> None:
    """The newest version that both know is taken, and none before 1.2."""
    port = urlsplit(server.dsn).port
    assert port is not None

    newest, older = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_1
    assert await asyncio.to_thread(agreed_version, port, newest, postgres=True) == "TLSv1.3"
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        await asyncio.to_thread(agreed_version, port, older, postgres=True)
