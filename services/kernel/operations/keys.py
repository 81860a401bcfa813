"""Rotation of keys by an operator: data keys of persons, and the keys that wrap them; the service goes on."""

from datetime import timedelta

from msgspec.structs import asdict

from services.kernel.errors import ProblemError
from services.kernel.ids import PersonKey
from services.kernel.postgres.connections import connect
from services.kernel.privacy.key_rotation import KeyRotation
from services.kernel.privacy.key_store import FileKeyStore
from services.kernel.privacy.rewrapping import Rewrapping
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings


class NoKeyFile(ProblemError):
    """The keys are not in a file: rotate the keys of the transit engine, then rewrap."""


async def rewrap_keys(runtime: Runtime) -> dict[str, int]:
    """Wrap a service's keys under the newest version of the key store's keys; return how many were old."""
    connection = await connect(runtime.settings.database.get_secret_value(), schema=runtime.service.name)
    try:
        return {"rewrapped": await Rewrapping(connection, runtime.key_store).rewrap()}
    finally:
        await connection.close()


async def rotate_keys(
    runtime: Runtime, *, person: PersonKey | None = None, older_than: timedelta = timedelta(0)
) -> dict[str, int]:
    """Give one person a new data key, or all whose key is older; return what was done.

    Raises `RotationUnderWay`, `OldTransactionOpen`, and `DecryptionFailed` at a value that was tampered with.
    """
    service = runtime.service.name
    connection = await connect(runtime.settings.database.get_secret_value(), schema=service)
    rotation = KeyRotation(connection, service, runtime.key_store)
    try:
        return asdict(await rotation.rotate(person, older_than))
    finally:
        await connection.close()


def add_root_key(settings: Settings) -> None:
    """Add a root key to the file that `SAMSPIL_KEK` names; raise `NoKeyFile` where keys are in a Vault."""
    if settings.vault_url or settings.kek is None:
        raise NoKeyFile
    FileKeyStore(settings.kek, mode=settings.mode).add_root_key()
