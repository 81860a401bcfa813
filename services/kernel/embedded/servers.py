"""The servers of the embedded default, from PyPI alone: PostgreSQL and a Kafka-protocol broker."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from services.kernel.embedded.child_process import free_port, owned
from services.kernel.embedded.kafka_broker import Broker
from services.kernel.embedded.postgres import Postgres
from services.kernel.embedded.postgres_data import private_folder

__all__ = ["Broker", "Postgres", "broker", "postgres"]


@asynccontextmanager
async def postgres(
    folder: Path,
    *,
    port: int | None = None,
    programs: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Postgres]:
    """Run PostgreSQL on the data in `folder` while the block runs.

    Without `port` it listens on a socket in the folder only. `programs` names a folder of other server
    programs than the wheel's; `settings` are added to the server's configuration. Raises `FolderInUse` when
    another process owns the folder, `ServerFailed` when the server does not start.
    """
    with owned(folder, "postgres"):
        private_folder(folder)
        server = Postgres(folder, port=port, programs=programs, settings=settings)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()


@asynccontextmanager
async def broker(folder: Path, *, port: int | None = None) -> AsyncIterator[Broker]:
    """Run the broker while the block runs, with its log in `folder`; without `port` on a free one.

    Raises `FolderInUse` when another process owns the folder, `ServerFailed` when the broker does not start.
    """
    with owned(folder, "broker"):
        server = Broker(folder, port=free_port() if port is None else port)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()
