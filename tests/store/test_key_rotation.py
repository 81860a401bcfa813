"""Data keys are rotated and rewrapped while a service runs: nothing is unreadable at any time."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.kernel.decider.decision import Actor
from services.kernel.ids import new_id
from services.kernel.operations.keys import NoKeyFile, add_root_key, rewrap_keys, rotate_keys
from services.kernel.postgres.connections import connect, tenant_transaction
from services.kernel.privacy.encryption import DecryptionFailed, Keyring
from services.kernel.privacy.key_rotation import KeyRotation, OldTransactionOpen, RotationUnderWay
from services.kernel.privacy.key_store import FileKeyStore, KeyStore
from services.kernel.runtime.assembly import key_store_of
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.http_site import ISSUER, a_token
from tests.issuers import SIGN_IN, key_set
from tests.tally import ACTOR, START, TENANT, Count, case_id, running
from tests.transit import transit
from tests.waiting import until

STREAMS = 8
PERSON = (TENANT, ACTOR)


@pytest.fixture
def kek(tmp_path: Path) -> Path:
    """Name the key file of the test."""
    return tmp_path / "kek"


@pytest.fixture
async def runtime(postgres_dsn: str, kek: Path) -> AsyncIterator[Runtime]:
    """Run a tally that takes commands only."""
    async with running(postgres_dsn, "", "none", key_store=FileKeyStore(kek, mode="test")) as started:
        yield started


@pytest.fixture
async def beside(postgres_dsn: str, kek: Path, runtime: Runtime) -> AsyncIterator[Runtime]:
    """Run a second process of the same service, with caches of its own."""
    del runtime
    async with running(postgres_dsn, "", "none", key_store=FileKeyStore(kek, mode="test")) as started:
        yield started


def keep(word: Any, stream: int = 1) -> Envelope:
    """Return the command to keep a word in a stream, whatever its version is."""
    cause, actor, any_version = str(new_id()), Actor(ACTOR, "caseworker", TENANT), True
    return Envelope(
        case_id(stream), TENANT, Count(new_id(), word), actor, START, cause, cause, "", None, any_version
    )


async def apply(runtime: Runtime, *envelopes: Envelope) -> None:
    """Apply commands in one batch."""
    async with runtime.pool.acquire() as tx:
        await runtime.processor.process(tx, list(envelopes))


async def words(runtime: Runtime) -> dict[int, Any]:
    """Return the words that a process can read, by the number of their stream."""
    keys = [(TENANT, case_id(n)) for n in range(1, STREAMS + 1)]
    async with runtime.pool.acquire() as tx:
        found = await runtime.processor.dependencies.keyring.open_streams(tx, keys)
    return {n: found[key]["word"] for n, key in enumerate(keys, 1) if key in found}


async def numbers(runtime: Runtime) -> tuple[list[int], list[int]]:
    """Return the numbers of the keys that are stored, and of those that values are encrypted under."""
    async with runtime.pool.acquire() as tx:
        keys = await tx.fetch("select number from data_keys where wrapped <> '' order by 1")
        used = await tx.fetch("select distinct key_number from sealed order by 1")
    return [row[0] for row in keys], [row[0] for row in used]


async def test_a_person_gets_a_new_key(runtime: Runtime, beside: Runtime) -> None:
    """Everything is encrypted anew, the old key is gone, and a process that had it reads and writes on."""
    for n in range(1, 4):
        await apply(beside, keep(f"word {n}", n))
    before = await runtime.pool.fetch("select ciphertext from sealed")

    done = await rotate_keys(runtime, person=PERSON)

    assert done == {"persons": 1, "values": 3, "deleted": 1}
    assert await numbers(runtime) == ([2], [2])
    assert await words(beside) == await words(runtime) == {n: f"word {n}" for n in range(1, 4)}
    assert not {*before} & {*await runtime.pool.fetch("select ciphertext from sealed")}
    await apply(beside, keep("later"))
    assert (await words(runtime))[1] == "later"
    assert await numbers(runtime) == ([2], [2])


async def test_nothing_is_saved_under_a_retired_key(runtime: Runtime, beside: Runtime) -> None:
    """A process that does not know of the rotation yet is refused once by the statement, and goes on."""
    await apply(beside, keep("first"))
    await rotate_keys(runtime, person=PERSON)
    cached = (await beside.processor.dependencies.keyring.fetch(None, [PERSON]))[PERSON]  # type: ignore[arg-type]  # read from the cache

    await apply(beside, keep("second"), keep("other", 2))

    assert cached.number == 1
    assert await numbers(runtime) == ([2], [2])
    assert await words(runtime) == {1: "second", 2: "other"}


async def test_nothing_is_unreadable_while_keys_are_rotated_and_rewrapped(
    runtime: Runtime, beside: Runtime, kek: Path
) -> None:
    """Two processes write and read all the time: each read gets every stream, none of them an older value."""
    stopping = asyncio.Event()
    written = Counter(range(1, STREAMS + 1))
    reads = enough = 0
    for n in range(1, STREAMS + 1):
        await apply(runtime, keep(1, n))

    async def write(process: Runtime, streams: range) -> None:
        while not stopping.is_set():
            for n in streams:
                written[n] += 1
                await apply(process, keep(written[n], n))

    async def read(process: Runtime) -> None:
        nonlocal reads
        seen = dict.fromkeys(range(1, STREAMS + 1), 0)
        while not stopping.is_set():
            found = await words(process)
            assert found.keys() == seen.keys()
            assert all(found[n] >= seen[n] for n in seen)
            seen, reads = found, reads + 1

    async def read_more() -> bool:
        return reads >= enough

    async with asyncio.TaskGroup() as load:
        for process, streams in ((runtime, range(1, 5)), (beside, range(5, STREAMS + 1))):
            load.create_task(write(process, streams))
            load.create_task(read(process))
        for _ in range(4):
            await rotate_keys(runtime)
            add_root_key(runtime.settings.model_copy(update={"kek": kek}))
            await rewrap_keys(runtime)
            enough = reads + 5
            await until(read_more)
        stopping.set()

    assert await words(runtime) == await words(beside) == dict(written)
    assert await numbers(runtime) == ([5], [5])
    assert min(written.values()) > 4


async def test_a_rotation_waits_for_who_may_still_write_under_the_old_key(runtime: Runtime) -> None:
    """What a transaction saves that began before the rotation is encrypted anew after its commit."""
    await apply(runtime, keep("first"))
    async with runtime.pool.acquire() as tx:
        late = tx.transaction()
        await late.start()
        await runtime.processor.process_once(tx, [keep("late", 2)])
        rotation = asyncio.create_task(rotate_keys(runtime, person=PERSON))
        await until(lambda: retired(runtime))
        still_waiting = not rotation.done()
        await late.commit()
    await rotation

    assert still_waiting
    assert await numbers(runtime) == ([2], [2])
    assert await words(runtime) == {1: "first", 2: "late"}


async def retired(runtime: Runtime) -> bool:
    """Return whether a key is retired."""
    return bool(await runtime.pool.fetchval("select count(*) from data_keys where retired_at is not null"))


@asynccontextmanager
async def rotation_of(runtime: Runtime, seconds: float) -> AsyncIterator[KeyRotation]:
    """Open a rotation that waits for others no longer than this."""
    connection = await connect(runtime.settings.database.get_secret_value(), schema="consent")
    try:
        yield KeyRotation(connection, "consent", runtime.key_store, timedelta(seconds=seconds))
    finally:
        await connection.close()


async def test_an_interrupted_rotation_is_finished_by_the_next(runtime: Runtime) -> None:
    """It says what it waits for; both keys stay meanwhile, all is readable, and the next one cleans up."""
    await apply(runtime, keep("first"))
    async with runtime.pool.acquire() as tx, tx.transaction():
        await tx.execute("select 1")
        async with rotation_of(runtime, 0.2) as rotation:
            with pytest.raises(OldTransactionOpen):
                await rotation.rotate(PERSON, timedelta(0))
    between = await numbers(runtime)
    await apply(runtime, keep("second", 2))

    assert between == ([1, 2], [1])
    assert await words(runtime) == {1: "first", 2: "second"}
    done = await rotate_keys(runtime, older_than=timedelta(days=365))
    assert done == {"persons": 0, "values": 1, "deleted": 1}
    assert await numbers(runtime) == ([2], [2])


async def test_one_rotation_at_a_time(runtime: Runtime) -> None:
    """A second one of the same service is refused; the lock ends with the first."""
    await apply(runtime, keep("first"))
    async with runtime.pool.acquire() as tx, tx.transaction():
        await tx.execute("select 1")
        async with rotation_of(runtime, 30) as first:
            waiting = asyncio.create_task(first.rotate(PERSON, timedelta(0)))
            await until(lambda: retired(runtime))
            with pytest.raises(RotationUnderWay):
                await rotate_keys(runtime, person=PERSON)
            await tx.execute("commit")
            await waiting
            await tx.execute("begin")

    assert (await rotate_keys(runtime, person=PERSON))["persons"] == 1


async def test_only_keys_of_that_age_are_rotated(runtime: Runtime) -> None:
    """A person whose key is younger keeps it, as does one who was erased."""
    await apply(runtime, keep("first"))
    assert (await rotate_keys(runtime, older_than=timedelta(hours=1)))["persons"] == 0
    await runtime.pool.execute("update data_keys set created_at = now() - interval '2 hours'")
    assert (await rotate_keys(runtime, older_than=timedelta(hours=1)))["persons"] == 1
    await runtime.pool.execute("update data_keys set destroyed_at = now()")
    assert (await rotate_keys(runtime))["persons"] == 0
    assert (await rotate_keys(runtime, person=PERSON))["persons"] == 0

    assert await words(runtime) == {}


async def test_a_value_that_was_tampered_with_is_reported_and_left(runtime: Runtime) -> None:
    """It is not encrypted anew as if it were genuine; its key stays, and the error names the place."""
    await apply(runtime, keep("first"), keep("second", 2))
    broken = "set ciphertext = set_byte(ciphertext, 20, get_byte(ciphertext, 20) # 1)"
    await runtime.pool.execute(f"update sealed {broken} where stream_id = $1", case_id(2))

    with pytest.raises(DecryptionFailed, match=str(case_id(2))):
        await rotate_keys(runtime, person=PERSON)

    assert (await numbers(runtime))[0] == [1, 2]


async def test_an_older_value_is_not_made_current_by_a_rotation(runtime: Runtime) -> None:
    """Finding 15: what was put back is found by the rotation too."""
    await apply(runtime, keep("old"))
    older = await runtime.pool.fetchval("select ciphertext from sealed")
    await apply(runtime, keep("new"))
    await runtime.pool.execute("update sealed set ciphertext = $1", older)

    with pytest.raises(DecryptionFailed):
        await rotate_keys(runtime)


async def test_keys_are_rewrapped_under_the_newest_root(runtime: Runtime, kek: Path) -> None:
    """With the old root gone everything opens, request digests too; a second run finds nothing to do."""
    await apply(runtime, keep("first"))
    transaction = partial(tenant_transaction, runtime.api_pool, TENANT)
    digest = await runtime.keyed_digests.digest(transaction, TENANT, b"request")
    FileKeyStore(kek, mode="test").add_root_key()

    assert await rewrap_keys(runtime) == {"rewrapped": 2}
    assert await rewrap_keys(runtime) == {"rewrapped": 0}
    newest = only_the_newest_of(kek)
    assert await opened_by(runtime, newest) == {"word": "first"}
    assert await type(runtime.keyed_digests)(newest).digest(transaction, TENANT, b"request") == digest


def only_the_newest_of(kek: Path) -> FileKeyStore:
    """Return a key store whose file has lost its first root key."""
    kek.write_bytes(kek.read_bytes()[32:])
    return FileKeyStore(kek, mode="test")


async def opened_by(runtime: Runtime, key_store: KeyStore) -> Any:
    """Return what a process that has just started can open of the first stream."""
    async with runtime.pool.acquire() as tx:
        found = await Keyring("consent", key_store).open_streams(tx, [(TENANT, case_id(1))])
    return found[TENANT, case_id(1)]


async def test_keys_are_rewrapped_by_a_vault(postgres_dsn: str) -> None:
    """After the transit key was rotated each key is wrapped by its newest; the first is not needed."""
    async with (
        transit() as engine,
        key_store_of(engine.settings()) as key_store,
        running(postgres_dsn, "", "none", key_store=key_store) as runtime,
    ):
        await apply(runtime, keep("first"))
        engine.rotate("samspil-consent-0440")
        done = await rewrap_keys(runtime)
        wrapped = await runtime.pool.fetchval("select wrapped from data_keys")
        engine.keys["samspil-consent-0440"][0] = engine.keys["samspil-consent-0440"][1]
        found = await opened_by(runtime, key_store.for_service("consent"))

    assert done == {"rewrapped": 1}
    assert wrapped.startswith(b"vault:v2:")
    assert found == {"word": "first"}


async def test_a_rewrapping_leaves_what_another_process_writes(runtime: Runtime, kek: Path) -> None:
    """A key that is rotated meanwhile is left as it is: each row is replaced only if it is what was read."""
    await apply(runtime, keep("first"))
    FileKeyStore(kek, mode="test").add_root_key()

    await asyncio.gather(rotate_keys(runtime), rewrap_keys(runtime))

    assert await words(runtime) == {1: "first"}
    assert await opened_by(runtime, FileKeyStore(kek, mode="test")) == {"word": "first"}


def test_a_root_key_is_added_to_a_file_only() -> None:
    """Where a Vault has the keys it is said what to do instead."""
    from services.kernel.settings import Settings  # noqa: PLC0415

    with pytest.raises(NoKeyFile):
        add_root_key(Settings(mode="test", vault_url="https://vault.example"))


async def test_the_commands_rotate_and_rewrap(runtime: Runtime, kek: Path) -> None:
    """An operator runs them beside the service; wrong use is refused with what to name."""
    await apply(runtime, keep("first"))
    environment = {
        "SAMSPIL_MODE": "test",
        "SAMSPIL_DATABASE": runtime.settings.database.get_secret_value(),
        "SAMSPIL_KEK": str(kek),
        "SAMSPIL_ISSUERS": json.dumps(
            [{"issuer": SIGN_IN, "keys": str(kek.with_name("issuer.json")), "municipalities": [TENANT]}]
        ),
        "SAMSPIL_OPERATOR_TOKEN": a_token(role="operator"),
    }
    kek.with_name("issuer.json").write_bytes(key_set(ISSUER))

    async def run(*words: str) -> tuple[int, str]:
        ran = await asyncio.to_thread(CliRunner().invoke, app, ["keys", *words], env=environment)
        return ran.exit_code, ran.output

    assert (await run("new-root"))[0] == 0
    assert await run("rewrap", "consent", "--json") == (0, json.dumps({"rewrapped": 1}) + "\n")
    code, output = await run("rotate", "consent", "--person", str(ACTOR), "--tenant", TENANT, "--json")
    assert (code, json.loads(output)) == (0, {"persons": 1, "values": 1, "deleted": 1})
    assert (await run("rotate", "consent", "--older-than", "365d"))[0] == 0
    assert (await run("rotate", "consent", "--all"))[0] == 0
    for wrong in (
        ["rotate", "consent"],
        ["rotate", "consent", "--all", "--older-than", "1d"],
        ["rotate", "consent", "--person", str(ACTOR)],
    ):
        code, output = await run(*wrong)
        assert code == 2
    recorded = await runtime.pool.fetch(
        "select data ->> 'what' as what from event_log where type = 'consent.looked.v1' order by id"
    )
    assert [row["what"] for row in recorded] == [
        '["keys_rewrap"]',
        *['["keys_rotate"]'] * 3,
    ]
    assert await words(runtime) == {1: "first"}
