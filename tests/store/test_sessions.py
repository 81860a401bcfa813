"""Sessions: begun, found, idle, revoked and ended, each by the digest of a secret that is stored nowhere."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.portal import WhySignedOut
from services.kernel.clock import wall_time
from services.kernel.runtime.runtime import Runtime
from services.portal.app import SERVICE
from services.portal.sessions import Membership, Proof, Session, Sessions
from services.portal.sign_in.claims import Identity
from services.portal.sign_in.cookies import Secret, secret_of
from services.portal.sign_in.under_way import SignInsUnderWay, UnderWay
from tests.tally import running

TENANT, OTHER = "0440", "0461"
ACCOUNT = UUID("0199a000-0000-7000-8000-0000000000a1")
PERSON = UUID("0199a000-0000-7000-8000-0000000000b1")
STAFF = Membership("caseworker", ACCOUNT, department_id=UUID("0199a000-0000-7000-8000-0000000000d1"))
MEMBERSHIP = UUID("0199a000-0000-7000-8000-0000000000c1")
GUARDIAN = Membership("guardian", PERSON, MEMBERSHIP)


@pytest.fixture
async def portal(postgres_dsn: str) -> AsyncIterator[Runtime]:
    """Run the portal's own part, without pages."""
    async with running(postgres_dsn, "", "none", SERVICE) as runtime:
        yield runtime


@pytest.fixture
def sessions(portal: Runtime) -> Sessions:
    """Return the sessions of the portal."""
    return Sessions(portal)


async def begun(
    sessions: Sessions, membership: Membership = STAFF, *, tenant: str = TENANT, **more: Any
) -> Secret:
    """Begin a session."""
    proof = Proof("oidc", "https://sign-in.test", "substantial", wall_time(), more.pop("at_provider", None))
    return await sessions.begin(tenant, ACCOUNT, membership, proof, browser="Firefox", **more)


async def found(sessions: Sessions, secret: Secret) -> Session:
    """Return a session that is there."""
    session = await sessions.find(secret)
    assert session is not None
    return session


async def events(portal: Runtime) -> list[tuple[str, str, str]]:
    """Return type, role and reason of the events in the log."""
    rows = await portal.pool.fetch("select type, data from event_log order by id")
    said = [(row["type"].split(".")[1], json.loads(row["data"])) for row in rows]
    return [(kind, data["role"], data.get("reason", "")) for kind, data in said]


async def rewind(portal: Runtime, column: str, minutes: float) -> None:
    """Let a moment of every session be earlier."""
    statement = f"update sessions set {column} = {column} - $1::interval"  # noqa: S608  of the test
    await portal.pool.execute(statement, timedelta(minutes=minutes))


async def test_a_session_is_found_by_its_secret(portal: Runtime, sessions: Sessions) -> None:
    """It holds who acts in which role; the database has neither the secret nor anything to make it from."""
    secret = await begun(sessions)
    session = await found(sessions, secret)

    assert (session.account_id, session.role, session.sub) == (ACCOUNT, "caseworker", ACCOUNT)
    assert session.department_id == STAFF.department_id
    assert session.ends_at - session.begun_at == timedelta(hours=10)
    assert secret.text not in str(await portal.pool.fetch("select sessions::text from sessions"))
    assert await events(portal) == [("signed_in", "caseworker", "")]


@pytest.mark.parametrize(
    "text", ["", "0440", "0440.", "0440." + "x" * 42, "044." + "x" * 43, "0440." + "é" * 43, "0440.x\0"]
)
def test_a_text_that_is_no_secret_is_none(text: str) -> None:
    """Whatever a browser sends as its cookie."""
    assert secret_of(text) is None


async def test_an_unknown_secret_and_another_municipality_find_nothing(sessions: Sessions) -> None:
    """The same secret with another municipality's code is another session, which does not exist."""
    secret = await begun(sessions)

    assert await sessions.find(Secret.new(TENANT)) is None
    assert await sessions.find(Secret(OTHER, secret.text)) is None


async def test_a_new_sign_in_has_a_new_secret_and_ends_the_old(portal: Runtime, sessions: Sessions) -> None:
    """Whoever has fixed or learned the old secret has nothing (session fixation)."""
    old = await begun(sessions)
    new = await begun(sessions, GUARDIAN, replaces=old)

    assert new.text != old.text
    assert await sessions.find(old) is None
    assert (await found(sessions, new)).role == "guardian"
    assert await events(portal) == [
        ("signed_in", "caseworker", ""),
        ("signed_out", "caseworker", "replaced"),
        ("signed_in", "guardian", ""),
    ]


@pytest.mark.parametrize(("membership", "minutes"), [(STAFF, 30), (GUARDIAN, 15)])
async def test_an_idle_session_ends(
    portal: Runtime, sessions: Sessions, membership: Membership, minutes: float
) -> None:
    """After half an hour for employees, a quarter for families, who may share a computer."""
    secret = await begun(sessions, membership)
    await rewind(portal, "seen_at", minutes - 1)
    assert await sessions.find(secret) is not None  # which is a use: the time begins anew
    await rewind(portal, "seen_at", minutes - 1)
    assert await sessions.find(secret) is not None

    await rewind(portal, "seen_at", minutes + 1)
    assert await sessions.find(secret) is None
    assert await portal.pool.fetchval("select count(*) from sessions") == 0


async def test_a_session_in_use_ends_too(portal: Runtime, sessions: Sessions) -> None:
    """After ten hours at most."""
    secret = await begun(sessions)
    await rewind(portal, "ends_at", 601)

    assert await sessions.find(secret) is None


@pytest.mark.parametrize("subject", [ACCOUNT, PERSON, MEMBERSHIP])
async def test_the_session_of_who_is_revoked_ends(portal: Runtime, sessions: Sessions, subject: UUID) -> None:
    """A person, an account or a membership: at the next page, in that municipality only."""
    secret, elsewhere = await begun(sessions, GUARDIAN), await begun(sessions, GUARDIAN, tenant=OTHER)
    await portal.pool.execute(
        "insert into revocations (tenant, subject, revoked, changed_at) values ($1, $2, true, now())",
        TENANT,
        str(subject),
    )

    assert await sessions.find(secret) is None
    assert await sessions.find(elsewhere) is not None


async def test_somebody_sees_and_ends_their_own_sessions_only(portal: Runtime, sessions: Sessions) -> None:
    """One of them, and then all; another account's session cannot be named."""
    own, second = await begun(sessions), await begun(sessions, GUARDIAN)
    stranger = Membership("leader", PERSON)
    proof = Proof("oidc", "https://sign-in.test", "high", wall_time())
    others = await sessions.begin(TENANT, PERSON, stranger, proof)
    session, foreign = await found(sessions, own), await found(sessions, others)

    listed = await sessions.of_account(session)
    assert {one.role for one in listed} == {"caseworker", "guardian"}
    assert not await sessions.end(session, foreign.session_id, WhySignedOut.ELSEWHERE)

    ended = await sessions.end_all(session)
    assert set(ended) == {one.session_id for one in listed}
    assert [await sessions.find(secret) for secret in (own, second)] == [None, None]
    assert await sessions.find(others) is not None
    assert sorted((await events(portal))[3:]) == [
        ("signed_out", "caseworker", "own_wish"),
        ("signed_out", "guardian", "elsewhere"),
    ]


async def test_a_provider_s_ended_session_ends_ours(sessions: Sessions) -> None:
    """By back-channel logout, in every municipality that the provider is of."""
    secret = await begun(sessions, at_provider=b"one")
    other = await begun(sessions, GUARDIAN, at_provider=b"another")

    assert await sessions.end_at_provider(frozenset({TENANT, OTHER}), b"one") == 1
    assert await sessions.find(secret) is None
    assert await sessions.find(other) is not None


async def test_ended_sessions_are_deleted_by_the_next_sign_in(portal: Runtime, sessions: Sessions) -> None:
    """No list of who was here when stays in the table: the trail has what is kept."""
    await begun(sessions)
    await rewind(portal, "ends_at", 601)
    await begun(sessions)

    assert await portal.pool.fetchval("select count(*) from sessions") == 1


ANNA = Identity("https://sign-in.test", "anna", "high", 1, "31129956715")


def under_way() -> UnderWay:
    """Return a sign-in that has just begun."""
    return UnderWay(
        tenant=TENANT,
        issuer="https://sign-in.test",
        nonce="nonce",
        verifier="verifier",
        level="high",
        again=True,
        return_path="/cases",
        begun_at=wall_time(),
    )


async def test_a_sign_in_is_taken_once_and_by_its_browser(portal: Runtime) -> None:
    """Another browser neither gets it nor uses it up (login CSRF); a repeated answer finds nothing."""
    store, state, browser = SignInsUnderWay(portal), Secret.new(TENANT), Secret.new(TENANT)
    await store.begin(state, browser, under_way())

    assert await store.take(state, Secret.new(TENANT)) is None
    assert await store.take(Secret.new(TENANT), browser) is None
    assert (taken := await store.take(state, browser)) is not None
    assert (taken.nonce, taken.return_path, taken.again) == ("nonce", "/cases", True)
    assert await store.take(state, browser) is None


async def test_a_sign_in_is_over_after_ten_minutes(portal: Runtime) -> None:
    """The next one deletes it."""
    store, state, browser = SignInsUnderWay(portal), Secret.new(TENANT), Secret.new(TENANT)
    await store.begin(state, browser, under_way())
    await portal.pool.execute("update sign_ins set begun_at = begun_at - interval '11 minutes'")

    assert await store.take(state, browser) is None
    await store.begin(Secret.new(TENANT), browser, under_way())
    assert await portal.pool.fetchval("select count(*) from sign_ins") == 1


async def test_an_identity_opens_for_its_browser_alone(portal: Runtime) -> None:
    """The database cannot show it: neither the subject nor the national number, nor a key to them."""
    store, browser = SignInsUnderWay(portal), Secret.new(TENANT)
    await store.keep_identity(browser, under_way(), ANNA)

    stored = await portal.pool.fetchrow("select * from sign_ins")
    assert stored is not None
    assert b"anna" not in stored["identity"]
    assert b"31129956715" not in stored["identity"]
    assert (await store.identity_of(browser) or (None, None))[1] == ANNA
    assert await store.identity_of(Secret.new(TENANT)) is None

    await portal.pool.execute("update sign_ins set browser = $1", (forged := Secret.new(TENANT)).digest)
    assert await store.identity_of(forged) is None


async def test_an_identity_is_forgotten_in_time_and_when_asked(portal: Runtime) -> None:
    """After ten minutes, and once a session has begun."""
    store, browser = SignInsUnderWay(portal), Secret.new(TENANT)
    await store.keep_identity(browser, under_way(), ANNA)
    await store.forget(browser)
    assert await store.identity_of(browser) is None

    await store.keep_identity(browser, under_way(), ANNA)
    await portal.pool.execute("update sign_ins set begun_at = begun_at - interval '11 minutes'")
    assert await store.identity_of(browser) is None
