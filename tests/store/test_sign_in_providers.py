"""The portal as a client of providers that are not ours: the strict one of npm, and the mock of PyPI."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from joserfc.jwk import ECKey

from services.kernel.errors import ProblemError
from services.kernel.sign_in_settings import ProviderSettings
from services.portal.sign_in.claims import Identity
from services.portal.sign_in.client import Attempt, Wanted, begin, finish, new_attempt
from services.portal.sign_in.logout import logout_url
from services.portal.sign_in.provider import Provider
from services.portal.sign_in.refusals import (
    AssuranceTooLow,
    SignInCancelled,
    SignInFailed,
)
from tests.providers import (
    BACK,
    CLIENTS,
    TENANT,
    Browser,
    a_browser,
    mock_provider,
    strict_provider,
    strict_settings,
    without,
)

PLAIN = Wanted()
HIGH = Wanted("high", again=True)


class Strict(NamedTuple):
    """The strict provider while it runs, and the folder with the portal's key."""

    issuer: str
    folder: Path


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    """Run the strict provider once for all tests of this process."""
    folder = tmp_path_factory.mktemp("provider")
    with strict_provider(folder) as issuer:
        yield Strict(issuer, folder)


@pytest.fixture(scope="session")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderSettings]:
    """Run the mock once for all tests of this process: no PAR, RS256, a client secret."""
    secret = tmp_path_factory.mktemp("mock") / "secret"
    secret.write_text("of the tests: with : and %\n")
    with mock_provider() as issuer:
        yield ProviderSettings(
            issuer=issuer,
            name="Mock",
            client_id="samspil",
            secret=secret,
            municipalities=frozenset({TENANT}),
            people=frozenset({"citizen"}),
            unstated="substantial",
        )


class Client:
    """The portal's side of a sign-in, with the browser of a person."""

    def __init__(self, session: aiohttp.ClientSession, browser: Browser) -> None:
        """Use the portal's session and a browser's."""
        self._session = session
        self.browser = browser

    def provider(self, settings: ProviderSettings) -> Provider:
        """Return a provider on the loopback address."""
        return Provider(settings, self._session, plain=True)

    async def sign_in(self, settings: ProviderSettings, wanted: Wanted = PLAIN, **person: Any) -> Identity:
        """Sign in from the beginning to the end."""
        provider, attempt = self.provider(settings), new_attempt(TENANT)
        url = await begin(provider, attempt, BACK, wanted)
        answer = await self.browser.visit(url, **{"who": "anna", **person})
        assert answer["state"] == attempt.state
        return await finish(provider, attempt, BACK, wanted, answer)

    async def answered(self, settings: ProviderSettings) -> tuple[Provider, Attempt, dict[str, str]]:
        """Sign in as far as the answer that the browser brings back."""
        provider, attempt = self.provider(settings), new_attempt(TENANT)
        answer = await self.browser.visit(await begin(provider, attempt, BACK, PLAIN), who="anna")
        return provider, attempt, answer


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Lend the portal's side and a browser without cookies."""
    async with aiohttp.ClientSession() as session, a_browser() as browser:
        yield Client(session, browser)


@pytest.mark.parametrize("algorithm", CLIENTS)
async def test_a_person_signs_in_at_the_strict_provider(
    client: Client, strict: Strict, algorithm: str
) -> None:
    """By a pushed request, PKCE and a signed assertion; whatever the provider signs with is verified."""
    identity = await client.sign_in(strict_settings(*strict, algorithm))

    assert (identity.issuer, identity.subject, identity.level) == (strict.issuer, "anna", "substantial")
    assert identity.national_number == "31129956715"
    assert "anna" not in repr(identity)


async def test_a_person_signs_in_at_the_mock(client: Client, mock: ProviderSettings) -> None:
    """Without PAR and with a client secret in the header, and in the body."""
    for settings in (mock, mock.model_copy(update={"secret_in": "body"})):
        identity = await client.sign_in(settings)
        assert (identity.issuer, identity.subject, identity.level) == (mock.issuer, "anna", "substantial")


async def test_a_stronger_sign_in_is_asked_for_and_proven_anew(client: Client, strict: Strict) -> None:
    """Who is signed in at the provider must prove it again, at the level that was asked for."""
    settings = strict_settings(*strict)
    first = await client.sign_in(settings)
    stronger = await client.sign_in(settings, HIGH, acr="high")

    assert (first.level, stronger.level) == ("substantial", "high")
    assert stronger.signed_in_at >= first.signed_in_at


async def test_a_weaker_sign_in_than_asked_for_is_refused(client: Client, strict: Strict) -> None:
    """What the provider says of the level counts, not what was asked of it."""
    with pytest.raises(AssuranceTooLow):
        await client.sign_in(strict_settings(*strict), HIGH, acr="substantial")


async def test_an_unlisted_level_counts_as_none(client: Client, strict: Strict) -> None:
    """A level that the settings do not know is no level, however high it sounds."""
    with pytest.raises(AssuranceTooLow):
        await client.sign_in(strict_settings(*strict, assurance={"high": "high"}), acr="substantial")


async def test_who_stops_is_told_so(client: Client, strict: Strict) -> None:
    """To stop at the provider is no failure."""
    provider, attempt = client.provider(strict_settings(*strict)), new_attempt(TENANT)
    url = await begin(provider, attempt, BACK, PLAIN)
    answer = await client.browser.visit(url, who="anna", stop=True)

    with pytest.raises(SignInCancelled):
        await finish(provider, attempt, BACK, PLAIN, answer)


async def test_a_code_is_used_once(client: Client, strict: Strict) -> None:
    """A replayed code is refused by the provider, and the portal signs nobody in."""
    provider, attempt, answer = await client.answered(strict_settings(*strict))
    await finish(provider, attempt, BACK, PLAIN, answer)

    with pytest.raises(SignInFailed, match="token"):
        await finish(provider, attempt, BACK, PLAIN, answer)


WRONG: dict[str, Any] = {
    "another verifier": lambda a: Attempt(a.state, a.nonce, "x" * 43, a.begun_at),
    "another nonce": lambda a: Attempt(a.state, "another", a.verifier, a.begun_at),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_stolen_code_signs_nobody_in(client: Client, strict: Strict, what: str) -> None:
    """A code belongs to the verifier and the nonce of the browser that began."""
    provider, attempt, answer = await client.answered(strict_settings(*strict))

    with pytest.raises(SignInFailed, match="nonce" if "nonce" in what else "token"):
        await finish(provider, WRONG[what](attempt), BACK, PLAIN, answer)


@pytest.mark.parametrize("issuer", [None, "https://attacker.example"])
async def test_the_answer_of_another_provider_is_refused(
    client: Client, strict: Strict, issuer: str | None
) -> None:
    """A provider that names itself in its answers must do so, and be the one that was asked (RFC 9207)."""
    provider, attempt, answer = await client.answered(strict_settings(*strict))
    mixed_up = without(answer, "iss") | ({"iss": issuer} if issuer else {})

    with pytest.raises(SignInFailed, match="issuer"):
        await finish(provider, attempt, BACK, PLAIN, mixed_up)


async def test_a_client_that_is_unknown_or_has_another_key_is_refused(
    client: Client, strict: Strict, tmp_path: Path
) -> None:
    """The pushed request itself is refused: no browser is sent anywhere."""
    (tmp_path / "client.json").write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))
    for settings in (
        strict_settings(*strict, client_id="unknown"),
        strict_settings(strict.issuer, tmp_path),
    ):
        with pytest.raises(ProblemError) as refused:
            await begin(client.provider(settings), new_attempt(TENANT), BACK, PLAIN)
        assert isinstance(refused.value, SignInFailed)


async def test_signing_out_ends_the_session_of_the_provider_too(client: Client, strict: Strict) -> None:
    """The address names the client and where to come back; a provider without one has none."""
    provider = client.provider(strict_settings(*strict))

    url = await logout_url(provider, "http://127.0.0.1:8080/sign-in")

    assert url is not None
    assert url.startswith(f"{strict.issuer}/session/end?client_id=samspil-ES256&post_logout_redirect_uri=")
