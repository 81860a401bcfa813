"""A repeated request is recognised by a digest that needs the key store."""

import asyncio
import hashlib
import hmac
from pathlib import Path

import pytest

from services.kernel.postgres.connections import tenant_transaction
from services.kernel.privacy.key_store import FileKeyStore, KeyStoreUnavailable
from services.kernel.privacy.keyed_digests import REQUESTS, KeyedDigests
from services.kernel.runtime.assembly import key_store_of
from services.kernel.runtime.runtime import Runtime
from tests.tally import TENANT, running
from tests.transit import transit

REQUEST = b'POST /consent/tallies\n{"word": "0101700000"}'


def a_kms(folder: Path) -> FileKeyStore:
    """Return the file store of a folder."""
    return FileKeyStore(folder / "kek", mode="test")


async def digest_of(runtime: Runtime, digests: KeyedDigests, tenant: str = TENANT) -> bytes:
    """Return the digest of the request."""
    return await digests.digest(lambda: tenant_transaction(runtime.pool, tenant), tenant, REQUEST)


async def test_a_digest_cannot_be_made_from_the_request_alone(postgres_dsn: str, tmp_path: Path) -> None:
    """A reader of the table cannot try birth dates until one fits: the key lies wrapped."""
    key_store = a_kms(tmp_path)
    async with running(postgres_dsn, "", "none", key_store=key_store) as runtime:
        made = await digest_of(runtime, runtime.keyed_digests)
        wrapped = await runtime.pool.fetchval(
            "select wrapped from internal_keys where tenant = $1 and purpose = $2", TENANT, REQUESTS
        )
    key = await key_store.unwrap(TENANT, wrapped, about=REQUESTS)

    assert made != hashlib.sha256(REQUEST).digest()
    assert made == hmac.digest(key, REQUEST, "sha256")
    assert key not in wrapped


async def test_every_process_of_a_service_makes_the_same(postgres_dsn: str, tmp_path: Path) -> None:
    """Also after a restart, and where two begin at once; another municipality has a key of its own."""
    async with running(postgres_dsn, "", "none", key_store=a_kms(tmp_path)) as runtime:
        made = await asyncio.gather(*(digest_of(runtime, KeyedDigests(a_kms(tmp_path))) for _ in range(4)))
        other = await digest_of(runtime, runtime.keyed_digests, "0461")

    assert len(set(made)) == 1
    assert other not in made


async def test_a_vault_wraps_the_key_and_is_called_once(postgres_dsn: str) -> None:
    """The engine wraps the key the first time and opens it once in the life of a process."""
    async with (
        transit() as engine,
        key_store_of(engine.settings()) as key_store,
        running(postgres_dsn, "", "none", key_store=key_store) as runtime,
    ):
        made = [await digest_of(runtime, runtime.keyed_digests) for _ in range(3)]
        again = await digest_of(runtime, KeyedDigests(key_store.for_service("consent")))

    assert len({*made, again}) == 1
    assert engine.requests == ["encrypt samspil-consent-0440", *["decrypt samspil-consent-0440"] * 2]


async def test_a_silent_key_store_gives_no_digest(postgres_dsn: str) -> None:
    """Without the key nothing is compared, rather than by something weaker; what was opened stays open."""
    async with (
        transit() as engine,
        key_store_of(engine.settings()) as key_store,
        running(postgres_dsn, "", "none", key_store=key_store) as runtime,
    ):
        engine.sealed = True
        with pytest.raises(KeyStoreUnavailable):
            await digest_of(runtime, runtime.keyed_digests)
        engine.sealed = False
        made = await digest_of(runtime, runtime.keyed_digests)
        engine.sealed = True

        assert await digest_of(runtime, runtime.keyed_digests) == made
