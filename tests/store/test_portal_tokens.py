"""Tokens of the portal: verified as every service does, reused, dropped, and signed by a file or by Vault."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey

from services.kernel.http.authentication import TokenInvalid, TokenVerifier, TrustedIssuer
from services.kernel.http.issuer_keys import IssuerKeys
from services.kernel.issuer_settings import Level
from services.kernel.privacy.token_signing import (
    TRANSIT_KEY,
    FileSigner,
    TokenSigner,
    TokensUnavailable,
    token_signer_of,
)
from services.kernel.settings import Settings, SettingsFault
from services.portal.person import Person
from services.portal.sign_in.tokens import Tokens, issuer_of
from tests.transit import TOKEN, Transit, transit

LEVELS: dict[str, Level] = {"substantial": "substantial", "high": "high"}
SETTINGS = Settings(mode="test", public_url="https://samspil.example/")
ACCOUNT = UUID("0199a000-0000-7000-8000-0000000000a1")


def a_person(number: int = 1) -> Person:
    """Return a coordinator in a session of a number."""
    return Person(
        tenant="0440",
        account_id=ACCOUNT,
        role="coordinator",
        sub=ACCOUNT,
        organisation_id=UUID("0199a000-0000-7000-8000-0000000000d1"),
        session_id=UUID(int=number),
        membership_id=UUID("0199a000-0000-7000-8000-0000000000c1"),
    )


async def verifier_of(tokens: Tokens) -> TokenVerifier:
    """Return what a service has: the portal's keys as it publishes them."""

    async def read() -> bytes:
        return json.dumps(await tokens.key_set()).encode()

    keys = IssuerKeys(read)
    await keys.refresh()
    return TokenVerifier([TrustedIssuer(issuer_of(SETTINGS), keys, None, LEVELS)], SETTINGS.audience)


@pytest.fixture
async def engine() -> AsyncIterator[Transit]:
    """Run a transit engine with the portal's key."""
    async with transit() as running:
        running.signing[TRANSIT_KEY] = [Ed25519PrivateKey.generate()]
        yield running


@pytest.fixture
async def in_vault(engine: Transit) -> AsyncIterator[TokenSigner]:
    """Open the signer that the settings of an installation with Vault name."""
    async with token_signer_of(engine.settings()) as signer:
        yield signer


async def test_a_service_verifies_a_token_of_the_portal(tmp_path: Path) -> None:
    """It says who acts in which role, and nothing of the session."""
    tokens = Tokens(FileSigner(tmp_path / "key.json"), SETTINGS)
    person = a_person()

    token = await tokens.of_person(person)
    actor = await (await verifier_of(tokens)).authenticate(f"Bearer {token}")

    assert (actor.id, actor.role, actor.tenant, actor.assurance) == (
        ACCOUNT,
        "coordinator",
        "0440",
        "substantial",
    )
    assert actor.organisation_id == person.organisation_id
    assert str(person.session_id) not in token


async def test_a_session_has_one_token_until_it_is_dropped(tmp_path: Path) -> None:
    """A verifier remembers it by its text; another session has another, and so has the portal itself."""
    tokens = Tokens(FileSigner(tmp_path / "key.json"), SETTINGS)
    first, second = a_person(1), a_person(2)

    token = await tokens.of_person(first)
    assert await tokens.of_person(first) == token
    assert await tokens.of_person(second) != token
    assert await tokens.of_portal("0440") == await tokens.of_portal("0440")

    tokens.drop(UUID(int=1))
    assert await tokens.of_person(first) != token


async def test_the_key_file_is_its_owner_s_and_stays(tmp_path: Path) -> None:
    """It is made once; after a restart tokens of before are still verified."""
    file = tmp_path / "keys" / "portal.json"
    token = await Tokens(FileSigner(file), SETTINGS).of_person(a_person())

    assert file.stat().st_mode & 0o777 == 0o600
    again = Tokens(FileSigner(file), SETTINGS)
    assert (await (await verifier_of(again)).authenticate(f"Bearer {token}")).id == ACCOUNT
    assert "d" not in (await again.key_set())["keys"][0]


async def test_a_file_with_another_key_is_refused(tmp_path: Path) -> None:
    """The message names the file and shows nothing of it."""
    file = tmp_path / "key.json"
    for content in ("", "{}", json.dumps(ECKey.generate_key("P-256").as_dict(private=True))):
        file.write_text(content)
        with pytest.raises(SettingsFault, match="holds no private key of Ed25519"):
            FileSigner(file)


async def test_vault_signs_with_a_key_that_it_keeps(engine: Transit, in_vault: TokenSigner) -> None:
    """One request a token; the key is read once, and never private."""
    tokens = Tokens(in_vault, SETTINGS)
    for number in (1, 2):
        await tokens.of_person(a_person(number))

    assert engine.requests == [f"keys {TRANSIT_KEY}", f"sign {TRANSIT_KEY}", f"sign {TRANSIT_KEY}"]
    token = await tokens.of_person(a_person(1))
    assert (await (await verifier_of(tokens)).authenticate(f"Bearer {token}")).role == "coordinator"


async def test_a_rotated_key_is_published_before_it_signs(engine: Transit, in_vault: TokenSigner) -> None:
    """A service that has not read the new key yet must not refuse anybody."""
    tokens = Tokens(in_vault, SETTINGS)
    before = await tokens.of_person(a_person(1))
    verifier = await verifier_of(tokens)
    engine.signing[TRANSIT_KEY].append(Ed25519PrivateKey.generate())

    after = await tokens.of_person(a_person(2))

    assert len((await tokens.key_set())["keys"]) == 2
    for token in (before, after):
        assert (await verifier.authenticate(f"Bearer {token}")).id == ACCOUNT


async def test_a_vault_that_does_not_sign_lets_nobody_in(engine: Transit, in_vault: TokenSigner) -> None:
    """Sealed, without the right, or without the key: a person may try again, and no token is made."""
    tokens = Tokens(in_vault, SETTINGS)
    engine.policies = {TOKEN: 'path "transit/keys/*" { capabilities = ["read"] }'}
    with pytest.raises(TokensUnavailable, match="403"):
        await tokens.of_person(a_person())

    engine.sealed = True
    with pytest.raises(TokensUnavailable, match="503"):
        await tokens.of_person(a_person())


async def test_another_portal_s_token_is_refused(tmp_path: Path) -> None:
    """The same issuer with another key is somebody else."""
    own, other = (Tokens(FileSigner(tmp_path / name), SETTINGS) for name in ("own.json", "other.json"))
    verifier = await verifier_of(own)

    with pytest.raises(TokenInvalid):
        await verifier.authenticate(f"Bearer {await other.of_person(a_person())}")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(mode="test"), "name a file"),
        (Settings(mode="production", portal_key=Path("key.json")), "in production Vault keeps the key"),
    ],
)
async def test_a_portal_without_a_key_of_its_own_does_not_start(settings: Settings, said: str) -> None:
    """A key in a file of a server is no key of a security officer's."""
    with pytest.raises(SettingsFault, match=said):
        async with token_signer_of(settings):
            pass
