"""Sign-in against a provider that lies: each check of an ID token and of a discovery document refuses."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from structlog.testing import capture_logs

from services.portal.sign_in.client import Wanted, begin, new_attempt
from services.portal.sign_in.id_token import LEEWAY_SECONDS
from services.portal.sign_in.refusals import AssuranceTooLow, SignInFailed, SignInSilent
from tests.forged_provider import OTHER, RSA, Forged, forged_provider
from tests.providers import BACK, CLIENT, TENANT


@pytest.fixture
async def forged(tmp_path: Path) -> AsyncIterator[Forged]:
    """Run a provider of the test's own."""
    async with forged_provider(tmp_path) as provider:
        yield provider


def _in(seconds: float) -> int:
    return int(time.time() + seconds)


def _hash_of(access_token: str) -> str:
    digest = hashlib.sha256(access_token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


TAKEN: dict[str, Callable[[], dict[str, Any]]] = {
    "an ordinary token": dict,
    "several audiences, of the client": lambda: {"aud": [CLIENT, "another"], "azp": CLIENT},
    "expired within the leeway": lambda: {"exp": _in(5 - LEEWAY_SECONDS)},
    "issued within the leeway": lambda: {"iat": _in(LEEWAY_SECONDS - 5)},
    "with the hash of its access token": lambda: {"at_hash": _hash_of("of the tests")},
    "proven just now": lambda: {"again": True, "auth_time": _in(0)},
}


@pytest.mark.parametrize("what", TAKEN)
async def test_a_token_that_holds_is_taken(forged: Forged, what: str) -> None:
    """Clocks may differ by half a minute."""
    assert (await forged.sign_in(**TAKEN[what]())).subject == "anna"


REFUSED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "another issuer": (lambda: {"iss": "https://attacker.example"}, "iss"),
    "another audience": (lambda: {"aud": "another"}, "aud"),
    "several audiences, of nobody": (lambda: {"aud": [CLIENT, "another"]}, "azp"),
    "of another party": (lambda: {"azp": "another"}, "azp"),
    "expired": (lambda: {"exp": _in(-LEEWAY_SECONDS - 5)}, "exp"),
    "of the future": (lambda: {"iat": _in(LEEWAY_SECONDS + 5)}, "iat"),
    "issued long ago": (lambda: {"iat": _in(-3600)}, "iat"),
    "not valid yet": (lambda: {"nbf": _in(LEEWAY_SECONDS + 5)}, "nbf"),
    "another nonce": (lambda: {"nonce": "another"}, "nonce"),
    "without a nonce": (lambda: {"nonce": None}, "form"),
    "without an expiry": (lambda: {"exp": None}, "form"),
    "an expiry that is a text": (lambda: {"exp": str(_in(300))}, "form"),
    "without a subject": (lambda: {"sub": None}, "form"),
    "an empty subject": (lambda: {"sub": ""}, "form"),
    "not proven anew": (lambda: {"again": True, "auth_time": _in(-LEEWAY_SECONDS - 60)}, "auth_time"),
    "proven nobody knows when": (lambda: {"again": True}, "auth_time"),
    "the hash of another access token": (lambda: {"at_hash": _hash_of("another")}, "at_hash"),
    "another key": (lambda: {"key": OTHER}, "signature"),
    "an unknown key": (lambda: {"key": OTHER, "head": {"kid": "another"}}, "key"),
    "a logout token": (lambda: {"head": {"typ": "logout+jwt"}}, "form"),
    "an extension": (lambda: {"head": {"crit": ["b64"], "b64": True}}, "form"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_token_that_does_not_hold_is_refused(forged: Forged, what: str) -> None:
    """The log says which claim it was, and nothing that the token says."""
    more, claim = REFUSED[what]

    with capture_logs() as logs, pytest.raises(SignInFailed, match=f"^{claim}$"):
        await forged.sign_in(**more())

    refused = [line for line in logs if line["event"] == "id_token_refused"]
    assert [line["claim"] for line in refused] == [claim]
    assert "anna" not in str(logs)


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(forged: Forged) -> str:
    """Return a token of the algorithm `none`."""
    return f"{_part({'alg': 'none'})}.{_part(forged.claims('any'))}."


def with_public_key(forged: Forged) -> str:
    """Return a token that is signed with the provider's public key as a shared secret."""
    signed = f"{_part({'alg': 'HS256'})}.{_part(forged.claims('any'))}"
    digest = hmac.digest(RSA.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def with_its_own_key(forged: Forged) -> str:
    """Return a token that brings the key with which it is to be verified."""
    key = OKPKey.generate_key("Ed25519")
    head = {"alg": "Ed25519", "jwk": key.as_dict(private=False)}
    return jwt.encode(head, forged.claims("any"), key, algorithms=["Ed25519"])


@pytest.mark.parametrize("token", [unsigned, with_public_key, with_its_own_key])
async def test_no_token_chooses_how_it_is_verified(forged: Forged, token: Callable[[Forged], str]) -> None:
    """Neither `none`, nor the public key as a secret, nor a key that the token brings."""
    with pytest.raises(SignInFailed, match=r"^(form|key)$"):
        await forged.sign_in(token=token(forged))


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "..", "é.é.é", "x" * 100_000])
async def test_what_is_no_token_is_refused(forged: Forged, text: str) -> None:
    """A text of any kind and length is refused alike."""
    with pytest.raises(SignInFailed, match=r"^form$"):
        await forged.sign_in(token=text)


async def test_a_rotated_key_is_taken_and_the_old_one_no_longer(forged: Forged) -> None:
    """A token that names an unknown key leads to another look, at most once a minute."""
    provider = forged.provider()
    RSA.ensure_kid()
    await forged.sign_in(provider, head={"kid": RSA.kid})

    forged.keys = [OTHER]
    OTHER.ensure_kid()
    assert (await forged.sign_in(provider, key=OTHER, head={"kid": OTHER.kid})).subject == "anna"
    with pytest.raises(SignInFailed, match=r"^key$"):
        await forged.sign_in(provider, head={"kid": RSA.kid})


DOCUMENTS: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://attacker.example"},
    "a plain token address": {"token_endpoint": "http://attacker.example/token"},
    "a plain key address": {"jwks_uri": "http://attacker.example/jwks"},
    "a plain address for pushed requests": {"pushed_authorization_request_endpoint": "http://a.example"},
    "an address that is a script": {"authorization_endpoint": "javascript:alert(1)"},
    "without a token address": {"token_endpoint": None},
    "without PKCE": {"code_challenge_methods_supported": ["plain"]},
}


@pytest.mark.parametrize("what", DOCUMENTS)
async def test_a_discovery_document_that_cannot_be_trusted_is_refused(forged: Forged, what: str) -> None:
    """Nobody is sent anywhere; the log says why."""
    forged.document = DOCUMENTS[what]

    with capture_logs() as logs, pytest.raises(SignInSilent):
        await begin(forged.provider(), new_attempt(TENANT), BACK, Wanted())

    assert [line["event"] for line in logs] == ["sign_in_discovery_refused"]


async def test_production_takes_no_plain_provider(forged: Forged) -> None:
    """Not on the loopback address either: the discovery document is not even read."""
    with pytest.raises(SignInSilent):
        await begin(forged.provider(plain=False), new_attempt(TENANT), BACK, Wanted())

    assert forged.reads == 0


async def test_the_last_document_is_used_while_no_newer_can_be_read(forged: Forged) -> None:
    """It is read again after ten minutes; a provider that then lies changes nothing."""
    provider = forged.provider()
    await provider.metadata()
    await provider.metadata()
    assert forged.reads == 1

    forged.monotonic += 601
    forged.document = {"issuer": "https://attacker.example"}
    assert (await provider.metadata()).issuer == forged.issuer
    assert forged.reads == 2


@pytest.mark.parametrize(("status", "fault"), [(500, SignInSilent), (400, SignInFailed)])
async def test_what_a_provider_answers_for_a_code_is_told_apart(
    forged: Forged, status: int, fault: type[Exception]
) -> None:
    """A provider that is ill may be asked again; a refused code may not."""
    forged.token_status = status

    with pytest.raises(fault):
        await forged.sign_in()


@pytest.mark.parametrize("number", [["31129956715"], "x" * 300, {"a": 1}, ""])
async def test_a_national_number_that_is_no_text_is_refused(forged: Forged, number: object) -> None:
    """What the directory would be asked about is a text of bounded length."""
    provider = forged.provider(claims={"national_number": "pid"})

    with pytest.raises(SignInFailed, match=r"^claim$"):
        await forged.sign_in(provider, pid=number)


async def test_a_claim_within_another_is_found(forged: Forged) -> None:
    """An organisation's number may stand deep in a claim, as Ansattporten has it."""
    path = "authorization_details/reportees/Identifier"
    provider = forged.provider(claims={"organisation_number": path})
    details = [{"type": "ansattporten", "reportees": [{"Identifier": "910000001"}]}]

    identity = await forged.sign_in(provider, authorization_details=details)

    assert identity.organisation_number == "910000001"


async def test_a_provider_without_levels_counts_as_the_settings_say(forged: Forged) -> None:
    """A municipality may answer for the level itself; else nobody is signed in."""
    provider = forged.provider(unstated="substantial")
    assert (await forged.sign_in(provider, acr=None)).level == "substantial"

    with pytest.raises(AssuranceTooLow):
        await forged.sign_in(acr=None)
