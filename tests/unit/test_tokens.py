"""Tokens: whose are taken, for which municipality and how long, and which are not (findings 6 and 14)."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from services.kernel.decider.decision import Actor
from services.kernel.http.authentication import (
    SignInUnverifiable,
    TokenInvalid,
    TokenVerifier,
    TrustedIssuer,
    trusted,
)
from services.kernel.http.issuer_keys import IssuerKeys
from services.kernel.issuer_settings import DEFAULT_ROLES, IssuerSettings
from tests.issuers import AUDIENCE, LEVELS, PERSON, SIGN_IN, authenticated, key_set, sign, trusting

KEY, OTHER = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
RSA = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")
CITIZENS = "https://citizens.test"
INVALID = "its signature or its claims are not as agreed"


def verifier(*issuers: TrustedIssuer) -> TokenVerifier:
    """Return a verifier that trusts one issuer with one key, unless others are given."""
    return TokenVerifier(issuers or [trusting(KEY)], AUDIENCE)


def refusal(token: str, *issuers: TrustedIssuer) -> str:
    """Return why a token is refused."""
    with pytest.raises(TokenInvalid) as said:
        authenticated(verifier(*issuers), token)
    return said.value.detail


@pytest.mark.parametrize(
    ("key", "algorithm"), [(KEY, "Ed25519"), (EC, "ES256"), (RSA, "RS256"), (RSA, "PS256")]
)
@pytest.mark.parametrize("names_key", [True, False])
def test_a_token_of_each_algorithm_is_taken(key: Any, algorithm: str, *, names_key: bool) -> None:
    """An issuer may have keys of several kinds; a token that names none is taken where only one fits."""
    key.ensure_kid()
    token = sign(key, algorithm, {"kid": key.kid} if names_key else None)

    actor = authenticated(verifier(trusting(KEY, EC, RSA)), token)

    assert actor == Actor(PERSON, "caseworker", "0440", assurance="high")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_the_older_name_of_ed25519_is_taken() -> None:
    """Many sign-in services still write EdDSA."""
    assert authenticated(verifier(), sign(KEY, "EdDSA")).id == PERSON


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS512"])
def test_another_algorithm_is_refused(algorithm: str) -> None:
    """The signature may be right: what is not listed is not taken."""
    assert refusal(sign(RSA, algorithm), trusting(RSA)) == INVALID


@pytest.mark.parametrize("head", [{"crit": ["b64"], "b64": True}, {"b64": True}, {"kid": "elsewhere"}])
def test_a_header_that_asks_for_more_is_refused(head: dict[str, object]) -> None:
    """No extension is understood, and a key that the issuer does not have verifies nothing."""
    assert refusal(sign(KEY, "Ed25519", head)) in {INVALID, "its key is none of its issuer's"}


def test_a_token_that_names_no_key_is_refused_where_several_fit() -> None:
    """Which key is meant is not tried out."""
    assert refusal(sign(KEY, "Ed25519"), trusting(KEY, OTHER)) == "its key is none of its issuer's"


def test_finding_6_an_issuer_speaks_for_its_municipalities_only() -> None:
    """A key of one municipality's sign-in service signs nobody in elsewhere."""
    ours = trusting(KEY, municipalities=frozenset({"0440", "0461"}))

    assert authenticated(verifier(ours), sign(KEY, "Ed25519", tenant="0461")).tenant == "0461"
    assert refusal(sign(KEY, "Ed25519", tenant="0751"), ours) == (
        "its issuer does not speak for this municipality"
    )


def test_an_issuer_speaks_with_its_roles_only() -> None:
    """Only an issuer that is given the role of the portal finds out who somebody is."""
    listed = IssuerSettings(issuer=SIGN_IN, keys="jwks.json", municipalities=frozenset({"0440"}))
    portals = IssuerSettings(
        issuer=SIGN_IN, keys="jwks.json", municipalities=frozenset({"0440"}), roles=frozenset({"portal"})
    )
    roles = [trusted(one, trusting(KEY).keys).roles for one in (listed, portals)]
    found = [trusting(KEY, roles=some) for some in roles]
    refused = "its issuer does not speak with this role"

    assert roles == [DEFAULT_ROLES, {"portal"}]
    assert authenticated(verifier(found[0]), sign(KEY, "Ed25519", role="bridge_builder")).id == PERSON
    assert refusal(sign(KEY, "Ed25519", role="portal"), found[0]) == refused
    assert authenticated(verifier(found[1]), sign(KEY, "Ed25519", role="portal")).role == "portal"
    assert refusal(sign(KEY, "Ed25519"), found[1]) == refused


def test_finding_6_the_keys_of_another_issuer_are_never_tried() -> None:
    """A token that names one issuer and is signed by another is refused, whatever its municipality."""
    ours, citizens = trusting(KEY), trusting(OTHER, name=CITIZENS)
    OTHER.ensure_kid()

    for head in ({}, {"kid": OTHER.kid}):
        assert refusal(sign(OTHER, "Ed25519", head), ours, citizens) in {
            INVALID,
            "its key is none of its issuer's",
        }
    assert authenticated(verifier(ours, citizens), sign(OTHER, "Ed25519", iss=CITIZENS)).id == PERSON


def test_two_issuers_may_speak_for_one_municipality() -> None:
    """Employees and citizens may sign in at different services, where both are listed."""
    both = frozenset({"0440"})
    listed = (
        trusting(KEY, municipalities=both),
        trusting(OTHER, name=CITIZENS, municipalities=both),
    )

    assert authenticated(verifier(*listed), sign(KEY, "Ed25519")).tenant == "0440"
    assert authenticated(verifier(*listed), sign(OTHER, "Ed25519", iss=CITIZENS)).tenant == "0440"


@pytest.mark.parametrize("issuer", [None, "", 7, ["https://sign-in.test"], "https://sign-in.test/", CITIZENS])
def test_finding_6_a_token_of_no_trusted_issuer_is_refused(issuer: object) -> None:
    """The issuer is compared exactly; without one no key is chosen."""
    assert refusal(sign(KEY, "Ed25519", iss=issuer)) in {INVALID, "its issuer is not trusted here"}


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_a_token_for_access_is_taken(kind: str) -> None:
    """The type is a media type, of which case and prefix say nothing (RFC 7515, 4.1.9)."""
    assert authenticated(verifier(), sign(KEY, "Ed25519", {"typ": kind})).id == PERSON


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "dpop+jwt", ""])
def test_finding_14_a_token_of_another_type_is_refused(kind: str) -> None:
    """What was signed for something else signs nobody in (RFC 8725, 3.11)."""
    assert refusal(sign(KEY, "Ed25519", {"typ": kind})) == INVALID


Times = dict[str, object]

TIMES: dict[str, Callable[[int], Times]] = {
    "that ends after all time": lambda _: {"exp": 1e308},
    "that ends after all time, counted": lambda _: {"exp": 10**400},
    "that ends in the year 10000": lambda _: {"exp": 253_402_300_800},
    "that ends at no number": lambda _: {"exp": "1e9"},
    "that is always true": lambda _: {"exp": True},
    "that lives for longer than an hour": lambda now: {"exp": now + 3602, "iat": now},
    "that lives longer, and does not say since when": lambda now: {"exp": now + 3700, "iat": None},
    "that was issued long before it ends": lambda now: {"exp": now + 60, "iat": now - 3600},
    "that was issued in the future": lambda now: {"exp": now + 3900, "iat": now + 3600},
    "that was issued before all time": lambda _: {"iat": -1},
    "that begins at no number": lambda _: {"nbf": "now"},
    "that has an empty id": lambda _: {"jti": ""},
    "that has a number as its id": lambda _: {"jti": 7},
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES.keys())
def test_finding_14_a_token_of_impossible_times_is_refused(times: Callable[[int], Times]) -> None:
    """A token lives for an hour at most, and says so in numbers."""
    assert refusal(sign(KEY, "Ed25519", None, **times(int(time.time()))))


def test_the_longest_lifetime_is_a_setting() -> None:
    """A municipality that wants shorter sessions sets less."""
    short, now = TokenVerifier([trusting(KEY)], AUDIENCE, longest_seconds=120), int(time.time())

    assert authenticated(short, sign(KEY, "Ed25519", exp=now + 100, iat=now)).id == PERSON
    with pytest.raises(TokenInvalid, match="longer than 120 seconds"):
        authenticated(short, sign(KEY, "Ed25519", exp=now + 121, iat=now))


@pytest.mark.parametrize(
    ("acr", "assurance"),
    [
        ("high", "high"),
        ("low", "low"),
        ("HIGH", "none"),
        ("urn:loa:4", "none"),
        ("none", "none"),
        (None, "none"),
    ],
)
def test_finding_14_an_unknown_level_of_assurance_is_none(acr: str | None, assurance: str) -> None:
    """What the installation has no word for says nothing of the person."""
    assert authenticated(verifier(), sign(KEY, "Ed25519", acr=acr)).assurance == assurance


def test_an_issuer_has_its_own_words_for_assurance() -> None:
    """Where the words are listed, no others count."""
    issuer = trusting(KEY, assurance={"idporten-loa-high": LEVELS["high"]})

    said = [
        authenticated(verifier(issuer), sign(KEY, "Ed25519", acr=acr)).assurance
        for acr in ("idporten-loa-high", "high")
    ]
    assert said == ["high", "none"]


class Source:
    """Document of keys that changes, and a clock that is moved."""

    def __init__(self, *keys: OKPKey) -> None:
        """Begin with some keys."""
        self.keys = keys
        self.broken = False
        self.now = 0.0
        self.reads = 0

    async def read(self) -> bytes:
        """Return the keys of now."""
        self.reads += 1
        if self.broken:
            raise ConnectionRefusedError
        return key_set(*self.keys)


async def authenticate(one: TokenVerifier, token: str) -> Actor:
    """Return the actor of a token."""
    return await one.authenticate(f"Bearer {token}")


def by(source: Source) -> tuple[TokenVerifier, IssuerKeys]:
    """Return a verifier of one issuer with the keys of a source."""
    keys = IssuerKeys(source.read, monotonic=lambda: source.now)
    return TokenVerifier([TrustedIssuer(SIGN_IN, keys, None, LEVELS)], AUDIENCE), keys


def named(key: OKPKey) -> str:
    """Return a token that names its key."""
    key.ensure_kid()
    return sign(key, "Ed25519", {"kid": key.kid})


async def test_a_key_that_is_removed_verifies_no_more() -> None:
    """Also for a token that was taken before: what it was verified by is gone."""
    source = Source(KEY, OTHER)
    one, keys = by(source)
    await keys.refresh()
    token = named(KEY)
    assert (await authenticate(one, token)).id == PERSON
    source.keys = (OTHER,)
    await keys.refresh()

    with pytest.raises(TokenInvalid, match="none of its issuer's"):
        await authenticate(one, token)


async def test_a_new_key_is_fetched_when_a_token_names_it() -> None:
    """At most once a minute, so that made-up names cost the issuer nothing."""
    source = Source(KEY)
    one, keys = by(source)
    await keys.refresh()
    source.keys = (KEY, OTHER)

    assert (await authenticate(one, named(OTHER))).id == PERSON
    assert source.reads == 2
    for number in range(20):
        with pytest.raises(TokenInvalid):
            await authenticate(one, sign(KEY, "Ed25519", {"kid": f"made up {number}"}))
    assert source.reads == 2
    source.now = 60.0
    with pytest.raises(TokenInvalid):
        await authenticate(one, sign(KEY, "Ed25519", {"kid": "made up"}))
    assert source.reads == 3


async def test_the_last_keys_are_kept_for_an_hour() -> None:
    """While the issuer's address does not answer its tokens are taken, but not without end."""
    source = Source(KEY)
    one, keys = by(source)
    await keys.refresh()
    source.broken = True
    token = named(KEY)
    source.now = 3600.0
    await keys.refresh_quietly(SIGN_IN)
    assert (await authenticate(one, token)).id == PERSON

    source.now = 3601.0
    with pytest.raises(SignInUnverifiable):
        await authenticate(one, token)
    source.broken = False
    await keys.refresh_quietly(SIGN_IN)
    assert (await authenticate(one, token)).id == PERSON


async def test_tokens_wait_for_the_first_keys() -> None:
    """A service that was started while the issuer is away says so, and reads its keys once it is back."""
    source = Source(KEY)
    source.broken = True
    one, _ = by(source)
    with pytest.raises(SignInUnverifiable):
        await authenticate(one, named(KEY))
    source.broken, source.now = False, 60.0

    assert (await authenticate(one, named(KEY))).id == PERSON
