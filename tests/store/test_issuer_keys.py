"""Keys of sign-in services: which documents are taken, from where, and how they are kept current."""

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.util import int_to_base64
from structlog.testing import capture_logs

from deploy.certificates import issue, new_authority
from services.kernel.http.authentication import SignInUnverifiable, TokenInvalid, TokenVerifier
from services.kernel.http.issuer_keys import KeysRefused, public_keys
from services.kernel.http.server import token_verifier_of
from services.kernel.limits import Limits
from services.kernel.settings import Settings, SettingsFault
from tests.issuers import PERSON, SIGN_IN, key_set, sign
from tests.waiting import until

KEY = OKPKey.generate_key("Ed25519")
RSA = RSAKey.generate_key(2048)


def document(*keys: dict[str, Any]) -> bytes:
    """Return a key set of these keys as they are."""
    return json.dumps({"keys": list(keys)}).encode()


PUBLIC = KEY.as_dict(private=False)
WEAK = {**RSA.as_dict(private=False), "n": int_to_base64(2**2047 - 1)}
TINY_EXPONENT = {**RSA.as_dict(private=False), "e": "Aw"}
REFUSED: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "no key set"),
    "no UTF-8": (b"\xff\xfe\x00", "no key set"),
    "a list": (b"[]", "no key set"),
    "a single key": (json.dumps(PUBLIC).encode(), "no key set"),
    "keys that are no list": (b'{"keys": {}}', "no key set"),
    "keys that are no objects": (b'{"keys": ["x"]}', "no key set"),
    "deeply nested": (b"[" * 100_000, "no key set"),
    "no keys": (document(), "no public key"),
    "unknown kinds only": (document({"kty": "AKP", "pub": "x"}), "no public key"),
    "encryption only": (document({**PUBLIC, "use": "enc"}), "no public key"),
    "another curve only": (document(ECKey.generate_key("P-384").as_dict(private=False)), "no public key"),
    "too many": (document(*[PUBLIC] * 101), "more than 100 keys"),
    "a broken key": (document({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "cannot be read"),
    "a key without its value": (document({"kty": "EC", "crv": "P-256"}), "cannot be read"),
    "a symmetric key": (document(PUBLIC, OctKey.generate_key(256).as_dict()), "symmetric"),
    "a private key": (document(PUBLIC, OKPKey.generate_key("Ed25519").as_dict(private=True)), "private"),
    "a private key for encryption": (
        document(PUBLIC, {**OKPKey.generate_key("X25519").as_dict(private=True), "use": "enc"}),
        "private",
    ),
    "a private RSA key": (document(RSAKey.generate_key(2048).as_dict(private=True)), "private"),
    "a weak RSA key": (document(PUBLIC, WEAK), "weak"),
    "an RSA key of a small exponent": (document(TINY_EXPONENT), "weak"),
}


@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize(("held", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_finding_11_a_key_set_that_is_not_safe_is_refused(held: bytes, why: str) -> None:
    """One key that must not be there refuses them all: its issuer is set up wrongly."""
    with pytest.raises(KeysRefused, match=why):
        public_keys(held)


def test_keys_of_other_kinds_are_passed_over() -> None:
    """A set may hold what other programs need (RFC 7517, 5)."""
    held = document({"kty": "AKP"}, {**RSA.as_dict(private=False), "use": "enc"}, PUBLIC)

    assert [key.key_type for key in public_keys(held)] == ["OKP"]


def settings(keys: str, **more: Any) -> Settings:
    """Return the settings of a service that trusts one issuer."""
    return Settings(
        mode="test", issuers=[{"issuer": SIGN_IN, "keys": keys, "municipalities": ["0440"], **more}]
    )


@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize(("held", "why"), REFUSED.values(), ids=REFUSED.keys())
async def test_finding_11_a_service_does_not_start_with_such_keys(
    tmp_path: Path, held: bytes, why: str
) -> None:
    """The setting is named, and the file."""
    file = tmp_path / "jwks.json"
    file.write_bytes(held)

    with pytest.raises(SettingsFault, match=rf"SAMSPIL_ISSUERS: .*jwks\.json cannot be used: .*{why}"):
        async with token_verifier_of(settings(str(file))):
            pass


async def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(SettingsFault, match=r"SAMSPIL_ISSUERS: .*absent cannot be read: No such file"):
        async with token_verifier_of(settings(str(tmp_path / "absent"))):
            pass


async def test_no_issuer_is_named() -> None:
    """Without a sign-in service nobody could use the service."""
    with pytest.raises(SettingsFault, match="SAMSPIL_ISSUERS: list the sign-in services"):
        async with token_verifier_of(Settings(mode="test")):
            pass


@asynccontextmanager
async def issuer(
    folder: Path, answer: Callable[[], web.Response]
) -> AsyncIterator[tuple[str, Path, list[str]]]:
    """Serve keys over https; return the address, the file of the authority, and the paths asked for."""
    now, asked = datetime.now(UTC), []
    authority = new_authority(now)
    (folder / "authority").write_bytes(authority.certificate_pem())
    (folder / "server").write_bytes(issue(authority, "sign-in", ("localhost", "127.0.0.1"), now).pem())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server")

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return answer()

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        yield f"https://localhost:{runner.addresses[0][1]}/jwks", folder / "authority", asked
    finally:
        await runner.cleanup()


async def test_keys_are_fetched_from_an_address(tmp_path: Path) -> None:
    """Over https, trusted by the authority that the setting names."""
    async with (
        issuer(tmp_path, lambda: web.Response(body=key_set(KEY))) as (address, authority, asked),
        token_verifier_of(settings(address, ca=str(authority))) as verifier,
    ):
        actor = await verifier.authenticate(f"Bearer {sign(KEY, 'Ed25519')}")

    assert actor.id == PERSON
    assert asked == ["/jwks"]


async def test_keys_of_a_server_that_is_not_trusted_are_not_taken(tmp_path: Path) -> None:
    """Without the authority the certificate says nothing, and no token is verified by such keys."""
    async with (
        issuer(tmp_path, lambda: web.Response(body=key_set(KEY))) as (address, _, asked),
        token_verifier_of(settings(address)) as verifier,
    ):
        with pytest.raises(SignInUnverifiable):
            await verifier.authenticate(f"Bearer {sign(KEY, 'Ed25519')}")

    assert asked == []


ANSWERS: dict[str, tuple[Callable[[], web.Response], str]] = {
    "elsewhere": (lambda: web.Response(status=302, headers={"Location": "/other"}), "answered 302"),
    "nothing": (lambda: web.Response(status=404), "answered 404"),
    "too much": (lambda: web.Response(body=b" " * 300_000), "more than 262144 bytes"),
    "a symmetric key": (lambda: web.Response(body=REFUSED["a symmetric key"][0]), "symmetric"),
}


@pytest.mark.parametrize(("answer", "why"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_address_with_something_else_is_refused(
    tmp_path: Path, answer: Callable[[], web.Response], why: str
) -> None:
    """No other address is followed, and no more is read than a key set can hold."""
    async with issuer(tmp_path, answer) as (address, authority, asked):
        with pytest.raises(SettingsFault, match=rf"SAMSPIL_ISSUERS: https://localhost.*: .*{why}"):
            async with token_verifier_of(settings(address, ca=str(authority))):
                pass

    assert asked == ["/jwks"]


async def test_a_changed_file_of_keys_is_read_again(tmp_path: Path) -> None:
    """A new key is taken and an old one no more; while the file cannot be used, the last keys are."""
    old, new, file = KEY, OKPKey.generate_key("Ed25519"), tmp_path / "jwks.json"
    new.ensure_kid()
    file.write_bytes(key_set(old))
    quick = settings(str(file)).model_copy(update={"limits": Limits(issuer_keys_seconds=0.02)})

    async with token_verifier_of(quick) as verifier:

        async def taken() -> list[bool]:
            return [await _taken(verifier, sign(key, "Ed25519", {"kid": key.kid})) for key in (old, new)]

        async def changed() -> bool:
            return await taken() == [False, True]

        assert await taken() == [True, False]
        file.write_bytes(key_set(new))
        await until(changed)
        with capture_logs() as said:
            file.write_bytes(REFUSED["a private key"][0])
            await until(lambda: _logged(said))
        assert await taken() == [False, True]


async def _taken(verifier: TokenVerifier, token: str) -> bool:
    try:
        await verifier.authenticate(f"Bearer {token}")
    except TokenInvalid:
        return False
    return True


async def _logged(said: list[Any]) -> bool:
    return any(line["event"] == "issuer_keys_refused" for line in said)


async def test_an_authority_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A missing file, or one without certificates."""
    (tmp_path / "empty").write_text("")

    for file in ("absent", "empty"):
        with pytest.raises(SettingsFault, match=rf"SAMSPIL_ISSUERS: .*{file}, which is to hold certificates"):
            async with token_verifier_of(settings("https://localhost:1/jwks", ca=str(tmp_path / file))):
                pass
