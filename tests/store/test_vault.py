"""Keys are wrapped by a Vault or OpenBao, bound to their person, and whatever goes wrong there is said."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.event import SERVICES
from deploy.vault_policies import commands, policy_of, policy_of_keeper, write_policies
from services.kernel.embedded.child_process import free_port
from services.kernel.postgres.connections import is_transient
from services.kernel.privacy.key_store import (
    FileKeyStore,
    KeyStore,
    KeyStoreMisconfigured,
    KeyStoreMismatch,
    KeyStoreUnavailable,
)
from services.kernel.privacy.vault import VaultKeyStore, vault
from services.kernel.runtime.assembly import key_store_of
from services.kernel.settings import Settings, SettingsFault
from tests.transit import PREFIX, TOKEN, Transit, paths_of, transit

TENANT = "0440"
PERSON = "0199a000-0000-7000-8000-0000000000aa"
KEY = secrets.token_bytes(32)


@pytest.fixture
async def engine() -> AsyncIterator[Transit]:
    """Run a transit engine."""
    async with transit() as running:
        yield running


@pytest.fixture
async def key_store(engine: Transit) -> AsyncIterator[KeyStore]:
    """Open the key store that the settings name."""
    async with key_store_of(engine.settings()) as store:
        yield store.for_service("consent")


async def test_a_wrapped_key_is_opened_again(engine: Transit, key_store: KeyStore) -> None:
    """The key comes back, and lies wrapped under the municipality's key of the engine."""
    wrapped = await key_store.wrap(TENANT, KEY, about=PERSON)

    assert isinstance(key_store, VaultKeyStore)
    assert wrapped.startswith(PREFIX.encode())
    assert KEY not in wrapped
    assert await key_store.unwrap(TENANT, wrapped, about=PERSON) == KEY
    assert engine.requests == ["encrypt samspil-consent-0440", "decrypt samspil-consent-0440"]


async def test_a_key_is_bound_to_its_person_and_municipality(key_store: KeyStore) -> None:
    """Another's wrapped key does not open."""
    wrapped = await key_store.wrap(TENANT, KEY, about=PERSON)
    await key_store.wrap("0461", KEY, about=PERSON)

    with pytest.raises(KeyStoreMismatch):
        await key_store.unwrap(TENANT, wrapped, about="0199a000-0000-7000-8000-0000000000ab")
    with pytest.raises(KeyStoreMismatch):
        await key_store.unwrap("0461", wrapped, about=PERSON)


@pytest.mark.parametrize("wrapped", [b"\xff\xfe", b"no prefix", b"vault:v1:" + b"A" * 80])
async def test_what_the_engine_did_not_wrap_is_not_opened(key_store: KeyStore, wrapped: bytes) -> None:
    """A key of the file store, or a broken one, is refused by name."""
    await key_store.wrap(TENANT, KEY, about=PERSON)

    with pytest.raises(KeyStoreMismatch):
        await key_store.unwrap(TENANT, wrapped, about=PERSON)


async def test_another_engine_is_noticed(key_store: KeyStore) -> None:
    """A store that lost its keys says so, and makes no new ones."""
    wrapped = await key_store.wrap(TENANT, KEY, about=PERSON)
    async with transit() as other, key_store_of(other.settings()) as empty:
        with pytest.raises(KeyStoreMismatch, match="belongs to this database"):
            await empty.for_service("consent").unwrap(TENANT, wrapped, about=PERSON)

        assert other.keys == {}


async def test_a_sealed_store_is_waited_for(engine: Transit, key_store: KeyStore) -> None:
    """While the store is sealed nothing is opened, it is said what to do, and afterwards all goes on."""
    wrapped = await key_store.wrap(TENANT, KEY, about=PERSON)
    engine.sealed = True
    with pytest.raises(KeyStoreUnavailable, match="answered 503: it is sealed") as said:
        await key_store.unwrap(TENANT, wrapped, about=PERSON)
    engine.sealed = False

    assert is_transient(said.value)
    assert await key_store.unwrap(TENANT, wrapped, about=PERSON) == KEY


async def test_finding_15_a_token_opens_the_keys_of_its_own_service_only(engine: Transit) -> None:
    """Finding 15: by the policies that we write a token of one service is of no use for another's keys.

    Nor does it reach a municipality that the policy does not name, and whoever rotates keys decrypts nothing.
    """
    engine.policies = {f"s.{service}": policy_of(service, [TENANT]) for service in SERVICES}
    engine.policies["s.keeper"] = policy_of_keeper([TENANT])
    wrapped: dict[str, bytes] = {}
    for service in SERVICES:
        async with key_store_of(engine.settings(vault_token=f"s.{service}")) as opened:
            store = opened.for_service(service)
            wrapped[service] = await store.wrap(TENANT, KEY, about=PERSON)
            assert await store.unwrap(TENANT, wrapped[service], about=PERSON) == KEY
            with pytest.raises(KeyStoreUnavailable, match="403"):
                await store.wrap("0461", KEY, about=PERSON)
    refused = 0
    for token in engine.policies:
        async with key_store_of(engine.settings(vault_token=token)) as opened:
            for service in set(SERVICES) - {token.removeprefix("s.")}:
                with pytest.raises(KeyStoreUnavailable, match="403"):
                    await opened.for_service(service).unwrap(TENANT, wrapped[service], about=PERSON)
                refused += 1

    assert refused == len(SERVICES) ** 2


def test_finding_15_no_policy_names_more_than_one_service(tmp_path: Path) -> None:
    """Finding 15: no path of a policy has a wildcard, and each service has a policy, a token and its keys."""
    write_policies(tmp_path, ["0440", "0461"])
    texts = {file.stem: file.read_text() for file in tmp_path.iterdir()}
    said = commands(["0440", "0461"], tmp_path)

    assert set(texts) == {*(f"samspil-{service}" for service in SERVICES), "samspil-keys"}
    assert [name for name, text in texts.items() if "*" in text or "+" in text] == []
    signing = {
        "transit/sign/samspil-portal-tokens": {"update"},
        "transit/keys/samspil-portal-tokens": {"read"},
    }
    assert signing.items() <= paths_of(texts["samspil-portal"]).items()
    assert any(line.endswith("keys/samspil-portal-tokens type=ed25519") for line in said)
    for service in SERVICES:
        own = {
            path: may for path, may in paths_of(texts[f"samspil-{service}"]).items() if path not in signing
        }
        assert {path.split("/")[2].rpartition("-")[0] for path in own} == {f"samspil-{service}"}
        assert set.union(*own.values()) == {"update"}
        assert any(f"-policy=samspil-{service} " in line for line in said)
        assert any(line.endswith(f"keys/samspil-{service}-0461 type=aes256-gcm96") for line in said)


async def test_a_refused_token_is_said(engine: Transit) -> None:
    """The error names what is not allowed, and never the token."""
    async with key_store_of(engine.settings(vault_token="s.guessed")) as key_store:
        with pytest.raises(KeyStoreUnavailable, match="encrypt samspil-consent-0440 answered 403") as said:
            await key_store.for_service("consent").wrap(TENANT, KEY, about=PERSON)

    assert "s.guessed" not in repr(said.value) + str(said.value)
    assert said.value.__cause__ is None


async def test_a_key_that_must_be_made_first_is_named(engine: Transit, key_store: KeyStore) -> None:
    """Where the policy does not let the first use make the key, the operator reads which one is missing."""
    engine.makes_keys = False

    with pytest.raises(
        KeyStoreUnavailable, match="samspil-consent-0440 answered 400: the engine knows no such key"
    ):
        await key_store.wrap(TENANT, KEY, about=PERSON)


async def test_a_wrong_mount_is_said(engine: Transit) -> None:
    """An engine that is mounted elsewhere is not found."""
    async with key_store_of(engine.settings(vault_mount="/elsewhere/")) as key_store:
        with pytest.raises(KeyStoreUnavailable, match="SAMSPIL_VAULT_MOUNT"):
            await key_store.wrap(TENANT, KEY, about=PERSON)


async def test_a_silent_store_is_not_waited_for_without_end(engine: Transit) -> None:
    """After a while it is said that no answer came."""
    engine.silent = True
    async with vault(engine.settings(), request_seconds=0.2) as key_store:
        with pytest.raises(KeyStoreUnavailable, match=r"no answer \(.*Timeout"):
            await key_store.wrap(TENANT, KEY, about=PERSON)


async def test_a_redirect_is_not_followed(engine: Transit, key_store: KeyStore) -> None:
    """A data key goes to the address of the settings and to no other."""
    async with transit() as elsewhere:
        engine.leads_to = f"{elsewhere.settings().vault_url}/v1/transit/encrypt/samspil-consent-0440"
        with pytest.raises(KeyStoreUnavailable, match="answered 307"):
            await key_store.wrap(TENANT, KEY, about=PERSON)

        assert elsewhere.requests == []


async def test_an_absent_store_is_said() -> None:
    """Nothing listens there."""
    async with key_store_of(Settings(mode="test", vault_url=f"http://127.0.0.1:{free_port()}")) as key_store:
        with pytest.raises(KeyStoreUnavailable, match="no answer"):
            await key_store.wrap(TENANT, KEY, about=PERSON)


async def test_each_wrap_is_a_request(engine: Transit, key_store: KeyStore) -> None:
    """The adapter keeps no key: each wrap is a request."""
    wrapped = await key_store.wrap(TENANT, KEY, about=PERSON)
    for _ in range(3):
        await key_store.unwrap(TENANT, wrapped, about=PERSON)

    assert engine.requests.count("decrypt samspil-consent-0440") == 3
    assert KEY not in repr(vars(key_store)).encode()


@pytest.mark.parametrize("url", ["http://vault.example.dk:8200", "vault.example.dk:8200"])
async def test_keys_never_travel_in_the_clear(url: str) -> None:
    """Without TLS only the loopback address is called."""
    with pytest.raises(KeyStoreMisconfigured, match="https"):
        async with key_store_of(Settings(mode="production", vault_url=url)):
            pass


async def test_production_without_a_vault_does_not_start(tmp_path: Path) -> None:
    """The file store refuses production, and no store at all is said."""
    with pytest.raises(KeyStoreMisconfigured, match="development and tests"):
        async with key_store_of(Settings(mode="production", kek=tmp_path / "kek")):
            pass
    with pytest.raises(SettingsFault, match="SAMSPIL_VAULT_URL"):
        async with key_store_of(Settings(mode="production")):
            pass
    assert not (tmp_path / "kek").exists()


async def test_a_vault_goes_before_a_file(engine: Transit, tmp_path: Path) -> None:
    """Where both are named the Vault keeps the keys; only the file keeps them without one."""
    async with key_store_of(engine.settings(kek=tmp_path / "kek")) as first:
        assert isinstance(first, VaultKeyStore)
    async with key_store_of(Settings(mode="test", kek=tmp_path / "kek")) as second:
        assert isinstance(second, FileKeyStore)


async def test_the_token_is_a_secret() -> None:
    """Settings that are printed show no token."""
    assert TOKEN not in repr(Settings(mode="test", vault_token=TOKEN))
