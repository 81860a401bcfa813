"""Private values open where they were sealed, for as long as their person's key exists, and nowhere else."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.kernel.decider.decision import Actor, Decision, PrivateValue
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Tx
from services.kernel.privacy.encryption import DecryptionFailed, Keyring, ValueToSeal, seal_name
from services.kernel.privacy.key_store import (
    FileKeyStore,
    KeyStoreMisconfigured,
    KeyStoreMismatch,
    KeyStoreUnavailable,
)
from services.kernel.runtime.assembly import key_store_of
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from services.kernel.streams.handler import BatchResult
from tests.logins import alter
from tests.tally import ACTOR, START, TALLY, TENANT, Count, case_id, running
from tests.transit import transit

PERSON = UUID("0199a000-0000-7000-8000-0000000000bb")
ELSEWHERE = "0461"
WORD = {"text": "Søren bor i Kerteminde", "list": [1, None, "æøå"]}


@pytest.fixture
def key_store(tmp_path: Path) -> FileKeyStore:
    """Keep keys in a file of the test's own."""
    return FileKeyStore(tmp_path / "kek", mode="test")


@pytest.fixture
async def runtime(postgres_dsn: str, key_store: FileKeyStore) -> AsyncIterator[Runtime]:
    """Run a tally that takes commands only."""
    async with running(postgres_dsn, "", "none", key_store=key_store) as started:
        yield started


def keep(word: Any, *, stream: int = 1, expects: int | None = None) -> Envelope:
    """Return the command to count, and to keep a word with it."""
    cause, actor = str(new_id()), Actor(ACTOR, "caseworker", TENANT)
    command = Count(new_id(), word)
    fresh = expects is None
    return Envelope(case_id(stream), TENANT, command, actor, START, cause, cause, "", expects, fresh)


async def apply(runtime: Runtime, envelope: Envelope) -> BatchResult:
    """Apply a command."""
    async with runtime.pool.acquire() as tx:
        return await runtime.processor.process(tx, [envelope])


async def opened(
    runtime: Runtime, key_store: Any, stream: int = 1, service: str = "consent", tenant: str = TENANT
) -> Any:
    """Return what a process that has just started can open of a stream."""
    key = tenant, case_id(stream)
    async with runtime.pool.acquire() as tx:
        found = await Keyring(service, key_store).open_streams(tx, [key])
    return found.get(key, {})


async def execute(runtime: Runtime, statement: str, *parameters: object) -> None:
    """Change the database behind the service's back."""
    async with runtime.pool.acquire() as tx:
        await tx.execute(statement, *parameters)


async def test_a_sealed_value_is_opened_again(runtime: Runtime, key_store: FileKeyStore) -> None:
    """Texts, numbers and lists come back; in the table there is nothing to read."""
    await apply(runtime, keep(WORD))

    assert await opened(runtime, key_store) == {"word": WORD}
    async with runtime.pool.acquire() as tx:
        rows = await tx.fetch("select ciphertext, wrapped from sealed join data_keys using (subject_id)")
    ((ciphertext, wrapped),) = [tuple(row) for row in rows]
    assert b"Kerteminde" not in ciphertext
    assert len(wrapped) > 32


async def test_the_same_value_is_never_sealed_the_same(runtime: Runtime, key_store: FileKeyStore) -> None:
    """The ciphertexts of two equal values differ; the same name replaces."""
    ciphertexts = set()
    for _ in range(3):
        await apply(runtime, keep("the same"))
        async with runtime.pool.acquire() as tx:
            ciphertexts.add(await tx.fetchval("select ciphertext from sealed"))

    assert len(ciphertexts) == 3
    assert await opened(runtime, key_store) == {"word": "the same"}


@pytest.mark.parametrize(
    ("column", "value"),
    [("stream_id", case_id(2)), ("subject_id", PERSON), ("name", "other"), ("tenant", ELSEWHERE)],
)
async def test_a_box_that_was_moved_does_not_open(
    runtime: Runtime, key_store: FileKeyStore, column: str, value: object
) -> None:
    """Whoever writes in the table cannot show one person's words as another's."""
    await apply(runtime, keep(WORD))
    statement = "insert into data_keys (tenant, subject_id, wrapped) values ($1, $2, $3)"
    for tenant, person in ((TENANT, PERSON), (ELSEWHERE, ACTOR)):
        wrapped = await key_store.wrap(tenant, b"k" * 32, about=str(person))
        await execute(runtime, statement, tenant, person, wrapped)
    await execute(runtime, f"update sealed set {column} = $1", value)  # noqa: S608  a name from the list above

    with pytest.raises(DecryptionFailed):
        await opened(
            runtime,
            key_store,
            2 if column == "stream_id" else 1,
            tenant=ELSEWHERE if column == "tenant" else TENANT,
        )


async def test_finding_15_an_older_box_that_is_put_back_does_not_open(
    runtime: Runtime, key_store: FileKeyStore
) -> None:
    """Finding 15: what was replaced is not shown again, though its whole row is put back."""
    await apply(runtime, keep("an address"))
    older = await fetch_one(runtime, "select key_number, ciphertext from sealed")
    await apply(runtime, keep("none any more"))
    latest = await fetch_one(runtime, "select key_number, ciphertext from sealed")
    await apply(runtime, keep(""))
    put_back = "update sealed set key_number = $1, ciphertext = $2"
    await execute(runtime, put_back, *older)

    with pytest.raises(DecryptionFailed):
        await opened(runtime, key_store)

    await execute(runtime, put_back, *latest)
    assert await opened(runtime, key_store) == {"word": "none any more"}
    versions = await fetch_one(runtime, "select version, seals from streams")
    assert (versions[0], json.loads(versions[1])) == (3, {seal_name(ACTOR, "word"): 2})


async def test_a_row_that_its_stream_does_not_name_does_not_open(
    runtime: Runtime, key_store: FileKeyStore
) -> None:
    """A value that was removed from a stream cannot be inserted again."""
    await apply(runtime, keep(WORD))
    await execute(runtime, "update streams set seals = null")

    with pytest.raises(DecryptionFailed):
        await opened(runtime, key_store)


async def test_a_format_that_is_not_known_is_refused(runtime: Runtime, key_store: FileKeyStore) -> None:
    """The first byte names the algorithm: another one, or a text that is too short, is not decrypted."""
    await apply(runtime, keep(WORD))
    for broken in (
        "overlay(ciphertext placing '\\x02' from 1 for 1)",
        "substr(ciphertext, 1, 20)",
        "''::bytea",
    ):
        await execute(runtime, f"update sealed set ciphertext = {broken}")  # noqa: S608  from the list above
        with pytest.raises(DecryptionFailed):
            await opened(runtime, key_store)


async def fetch_one(runtime: Runtime, query: str) -> tuple[Any, ...]:
    """Return the only row of a query."""
    async with runtime.pool.acquire() as tx:
        (row,) = await tx.fetch(query)
    return tuple(row)


async def test_a_box_of_another_service_does_not_open(runtime: Runtime, key_store: FileKeyStore) -> None:
    """Nor can a table be exchanged for another's."""
    await apply(runtime, keep(WORD))

    with pytest.raises(DecryptionFailed):
        await opened(runtime, key_store, service="agreement")


async def test_a_changed_box_does_not_open(runtime: Runtime, key_store: FileKeyStore) -> None:
    """One bit is enough."""
    await apply(runtime, keep(WORD))
    await execute(
        runtime, "update sealed set ciphertext = set_byte(ciphertext, 20, get_byte(ciphertext, 20) # 1)"
    )

    with pytest.raises(DecryptionFailed) as said:
        await opened(runtime, key_store)

    assert "Kerteminde" not in str(said.value)


async def test_a_wrapped_key_cannot_be_given_to_another(runtime: Runtime, key_store: FileKeyStore) -> None:
    """A data key opens for its own person and municipality only."""
    await apply(runtime, keep(WORD))
    await execute(runtime, "update data_keys set tenant = $1", ELSEWHERE)
    await execute(runtime, "update sealed set tenant = $1", ELSEWHERE)

    with pytest.raises(KeyStoreMismatch):
        await opened(runtime, key_store, tenant=ELSEWHERE)


async def test_what_a_destroyed_key_sealed_is_left_out(runtime: Runtime, key_store: FileKeyStore) -> None:
    """An erased person's words are gone, also for a process that had the key; others' words stay."""
    await apply(runtime, keep(WORD))
    async with runtime.pool.acquire() as tx:
        _, other = await runtime.processor.dependencies.keyring.make(TENANT, PERSON)
        key = (await keys_of(runtime, tx, other))[TENANT, PERSON]
        view = ValueToSeal(TENANT, str(case_id(1)), 1, PrivateValue(PERSON, "view", "stays"))
        row = runtime.processor.dependencies.keyring.seal(key, view)
        await tx.execute(_INSERT_SEALED, *columns_of(row))
        await tx.execute(
            "update streams set seals = seals || jsonb_build_object($1::text, 1)", seal_name(PERSON, "view")
        )
        keyring = runtime.processor.dependencies.keyring
        before = await keyring.open_streams(tx, [(TENANT, case_id(1))])
        await tx.execute("update data_keys set destroyed_at = now() where subject_id = $1", ACTOR)
        after = await keyring.open_streams(tx, [(TENANT, case_id(1))])

    assert before == {(TENANT, case_id(1)): {"word": WORD, "view": "stays"}}
    assert after == {(TENANT, case_id(1)): {"view": "stays"}}
    assert await opened(runtime, key_store) == {"view": "stays"}


_INSERT_SEALED = """
insert into sealed (stream_id, subject_id, name, tenant, ciphertext, key_number)
values ($1, $2, $3, $4, $5, 1)
"""


async def keys_of(runtime: Runtime, tx: Tx, new_key: Any) -> Any:
    """Store a new key, and return it as another process reads it."""
    await tx.execute(
        "insert into data_keys (subject_id, tenant, wrapped) values ($1, $2, $3)",
        new_key.subject,
        new_key.tenant,
        new_key.wrapped,
    )
    return await runtime.processor.dependencies.keyring.fetch(tx, [(new_key.tenant, new_key.subject)])


def columns_of(row: Any) -> tuple[Any, ...]:
    """Return the columns of an encrypted value."""
    return row.stream_id, row.subject, row.name, row.tenant, row.ciphertext


async def test_a_value_without_a_key_at_all_is_left_out(runtime: Runtime, key_store: FileKeyStore) -> None:
    """After a restore the key may be missing: then there is nothing to open, and no fault."""
    await apply(runtime, keep(WORD))
    await execute(runtime, "delete from data_keys")

    assert await opened(runtime, key_store) == {}


async def test_a_key_of_a_command_that_failed_is_not_remembered(
    runtime: Runtime, key_store: FileKeyStore
) -> None:
    """What is sealed afterwards opens in every process: it lies under the key that was stored."""
    await apply(runtime, keep("", stream=1))
    await alter(runtime, "alter table sealed add constraint nothing_for_now check (tenant = '')")
    with pytest.raises(asyncpg.CheckViolationError):
        await apply(runtime, keep("lost"))
    await alter(runtime, "alter table sealed drop constraint nothing_for_now")
    async with runtime.pool.acquire() as tx:
        assert await tx.fetchval("select count(*) from data_keys") == 0

    await apply(runtime, keep("kept"))

    assert await opened(runtime, key_store) == {"word": "kept"}


async def test_a_key_of_an_open_transaction_is_not_remembered(
    runtime: Runtime, key_store: FileKeyStore
) -> None:
    """A transaction that used its new key twice and was undone leaves no trace in memory."""
    async with runtime.pool.acquire() as tx:
        undone = tx.transaction()
        await undone.start()
        await runtime.processor.process_once(tx, [keep("lost")])
        await runtime.processor.process_once(tx, [keep("lost too")])
        await undone.rollback()

    await apply(runtime, keep("kept"))

    assert await opened(runtime, key_store) == {"word": "kept"}


async def test_a_rule_gets_the_values_that_it_requested(postgres_dsn: str, key_store: FileKeyStore) -> None:
    """For the inputs that a service names the texts of the stream are opened; for others not."""
    contexts: list[Any] = []

    def decide(state: Any, trigger: Any, context: Any) -> Decision:
        contexts.append(dict(context.private))
        return TALLY.decide(state, trigger, context)

    async with running(
        postgres_dsn, "", "none", replace(TALLY, decide=decide), key_store=key_store
    ) as closed:
        await apply(closed, keep(WORD))
        await apply(closed, keep(""))
    opening = replace(TALLY, decide=decide, reads_private_for=frozenset({Count}))
    async with running(postgres_dsn, "", "none", opening, key_store=key_store) as open_:
        await apply(open_, keep(""))

    assert contexts == [{}, {}, {"word": WORD}]


async def test_the_file_store_refuses_production(tmp_path: Path) -> None:
    """It says so, and makes no key."""
    with pytest.raises(KeyStoreMisconfigured, match="SAMSPIL_KEK names a file"):
        FileKeyStore(tmp_path / "kek", mode="production")

    assert not (tmp_path / "kek").exists()


async def test_the_file_store_is_its_owner_s_alone(tmp_path: Path) -> None:
    """The root key is made once, 32 bytes, readable by no other account."""
    file = tmp_path / "keys" / "kek"
    first = FileKeyStore(file, mode="embedded")
    wrapped = await first.wrap(TENANT, b"k" * 32, about="x")
    second = FileKeyStore(file, mode="embedded")

    assert await second.unwrap(TENANT, wrapped, about="x") == b"k" * 32
    assert len(file.read_bytes()) == 32
    assert file.stat().st_mode & 0o077 == 0


async def test_a_broken_file_store_is_said(tmp_path: Path) -> None:
    """A file that was cut off is not taken for a key."""
    (tmp_path / "kek").write_bytes(b"short")

    with pytest.raises(KeyStoreMismatch, match="32 bytes"):
        FileKeyStore(tmp_path / "kek", mode="test")


async def test_the_wrong_store_is_said(runtime: Runtime, tmp_path: Path) -> None:
    """A database that is opened with another installation's keys gives an error that says what to do."""
    await apply(runtime, keep(WORD))

    with pytest.raises(KeyStoreMismatch, match="belongs to this database"):
        await opened(runtime, FileKeyStore(tmp_path / "another", mode="test"))


async def test_no_service_starts_with_the_wrong_store(
    postgres_dsn: str, key_store: FileKeyStore, tmp_path: Path
) -> None:
    """A key store that was lost and made anew opens nothing: it must not wrap further keys."""
    async with running(postgres_dsn, "", "none", key_store=key_store) as runtime:
        await apply(runtime, keep(WORD))

    with pytest.raises(KeyStoreMismatch, match="restore the key store"):
        async with running(postgres_dsn, "", "none", key_store=FileKeyStore(tmp_path / "new", mode="test")):
            pass

    async with running(postgres_dsn, "", "none", key_store=key_store) as runtime:
        assert await opened(runtime, key_store) == {"word": WORD}


async def test_a_municipality_whose_keys_are_gone_keeps_no_service_from_starting(
    postgres_dsn: str, key_store: FileKeyStore
) -> None:
    """A key store may let go of one for good; what the others have sealed opens as before."""
    async with running(postgres_dsn, "", "none", key_store=key_store) as runtime:
        await apply(runtime, keep(WORD))
        await runtime.pool.execute(
            "insert into data_keys (subject_id, tenant, wrapped) values ($1, '0101', $2)",
            new_id(),
            bytes(60),
        )

    async with running(postgres_dsn, "", "none", key_store=key_store) as runtime:
        assert await opened(runtime, key_store) == {"word": WORD}


async def test_a_sealed_vault_changes_nothing(postgres_dsn: str) -> None:
    """While no key can be had a command fails and leaves nothing, not even in memory; later it succeeds."""
    async with (
        transit() as engine,
        key_store_of(engine.settings()) as key_store,
        running(postgres_dsn, "", "none", key_store=key_store) as runtime,
    ):
        engine.sealed = True
        with pytest.raises(KeyStoreUnavailable):
            await apply(runtime, keep(WORD))
        async with runtime.pool.acquire() as tx:
            left = await tx.fetchval("select count(*) from streams")
        engine.sealed = False
        await apply(runtime, keep(WORD))
        engine.sealed = True
        with pytest.raises(KeyStoreUnavailable):
            await opened(runtime, key_store.for_service("consent"))
        engine.sealed = False
        found = await opened(runtime, key_store.for_service("consent"))

    assert left == 0
    assert found == {"word": WORD}


async def test_an_unreadable_key_is_not_remembered(postgres_dsn: str) -> None:
    """A failed request is repeated; a good response is cached, and the vault gets no further request."""
    async with (
        transit() as engine,
        key_store_of(engine.settings()) as key_store,
        running(postgres_dsn, "", "none", key_store=key_store) as runtime,
    ):
        await apply(runtime, keep(WORD))
        keyring = Keyring("consent", key_store.for_service("consent"))
        async with runtime.pool.acquire() as tx:
            engine.sealed = True
            with pytest.raises(KeyStoreUnavailable):
                await keyring.open_streams(tx, [(TENANT, case_id(1))])
            engine.sealed = False
            engine.requests.clear()
            for _ in range(3):
                await keyring.open_streams(tx, [(TENANT, case_id(1))])

    assert engine.requests == ["decrypt samspil-consent-0440"]


async def test_the_state_holds_nothing_private(runtime: Runtime) -> None:
    """No table of the service has the word outside the ciphertext."""
    await apply(runtime, keep("Kerteminde-word"))
    async with runtime.pool.acquire() as tx:
        tables = [
            row[0] for row in await tx.fetch("select tablename from pg_tables where schemaname='consent'")
        ]
        found = [
            table
            for table in tables
            if await tx.fetchval(f"select exists (select from {table} t where t::text like '%Kerteminde%')")  # noqa: S608  names from the catalogue
        ]

    assert found == []
