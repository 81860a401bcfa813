"""The way through sign-in: sent to a provider, back, known or invited, in a role, and out again."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from fastapi import Request
from msgspec import Struct

from contracts.model_parts import Language
from contracts.portal import WhySignedOut
from services.kernel.runtime.runtime import Runtime
from services.kernel.sign_in_settings import People
from services.portal.person import Person
from services.portal.sessions import Membership, Proof, Session, Sessions
from services.portal.sign_in.claims import Identity
from services.portal.sign_in.client import Attempt, Wanted, begin, finish, new_attempt
from services.portal.sign_in.cookies import SESSION, SIGN_IN, Cookies, Secret, browser_of, secret_of
from services.portal.sign_in.directory import Account, Directory
from services.portal.sign_in.provider import Provider
from services.portal.sign_in.refusals import RoleMissing, SignInExpired, SignInFailed
from services.portal.sign_in.tokens import Tokens
from services.portal.sign_in.under_way import SignInsUnderWay, UnderWay

METHOD = "oidc"


class Arrived(Struct, frozen=True):
    """Somebody who has come back from a provider: signed in, or with a choice or a code still to give."""

    return_path: str
    session: Secret | None = None
    account: Account | None = None


class SignInProcedure:
    """Sign-in of all municipalities; it is also what pages ask who is signed in."""

    def __init__(
        self, runtime: Runtime, providers: Sequence[Provider], directory: Directory, tokens: Tokens
    ) -> None:
        """Take the providers of the settings, in their order."""
        self.sessions = Sessions(runtime)
        self.cookies = Cookies(runtime.settings.public_url)
        self.tokens = tokens
        self._providers = tuple(providers)
        self._directory = directory
        self._under_way = SignInsUnderWay(runtime)
        self._back = f"{runtime.settings.public_url.rstrip('/')}/sign-in/back"

    @property
    def municipalities(self) -> list[str]:
        """The municipalities in which somebody can sign in, in the order of their codes."""
        return sorted({code for one in self._providers for code in one.settings.municipalities})

    def providers_of(self, tenant: str) -> list[tuple[int, Provider]]:
        """Return the providers of a municipality, each with its number."""
        found = enumerate(self._providers)
        return [(number, one) for number, one in found if tenant in one.settings.municipalities]

    def provider_of(self, issuer: str) -> tuple[int, Provider] | None:
        """Return the provider of an issuer, with its number."""
        found = enumerate(self._providers)
        return next(((number, one) for number, one in found if one.settings.issuer == issuer), None)

    async def person_of(self, request: Request) -> Person | None:
        """Return who is signed in, or None where nobody is or the session has ended."""
        secret = self.cookies.read(request, SESSION)
        session = await self.sessions.find(secret) if secret is not None else None
        if secret is None or session is None:
            return None
        request.state.session = session
        return Person(
            tenant=session.tenant,
            account_id=session.account_id,
            role=session.role,
            sub=session.sub,
            department_id=session.department_id,
            organisation_id=session.organisation_id,
            name=secret.opened(session.sealed_name) if session.sealed_name else "",
            acr=session.assurance,
            secret=secret.derived("form"),
            session_id=session.session_id,
            membership_id=session.membership_id,
        )

    async def token_of(self, person: Person) -> str:
        """Return a token of the person's session that is valid for another minute at least."""
        return await self.tokens.of_person(person)

    async def start(self, tenant: str, number: int, wanted: Wanted, return_path: str) -> tuple[str, Secret]:
        """Return where the browser is sent, and its secret; raise `SignInFailed` for a foreign provider."""
        provider = dict(self.providers_of(tenant)).get(number)
        if provider is None:
            raise SignInFailed("provider")
        attempt, browser = new_attempt(tenant), Secret.new(tenant)
        state = secret_of(attempt.state)
        assert state is not None  # noqa: S101  it has just been made in this form
        url = await begin(provider, attempt, self._back, wanted)
        sign_in = UnderWay(
            tenant, provider.settings.issuer, attempt.nonce, attempt.verifier, wanted.level, wanted.again,
            return_path, datetime.fromtimestamp(attempt.begun_at, UTC),
        )  # fmt: skip
        await self._under_way.begin(state, browser, sign_in)
        return url, browser

    async def back(self, request: Request, answer: Mapping[str, str], language: Language) -> Arrived:
        """Return how far somebody is who has come back from a provider; raises the refusals of sign-in."""
        state, browser = secret_of(answer.get("state")), self.cookies.read(request, SIGN_IN)
        if state is None or browser is None:
            raise SignInExpired
        sign_in = await self._under_way.take(state, browser)
        found = self.provider_of(sign_in.issuer) if sign_in is not None else None
        if sign_in is None or found is None:
            raise SignInExpired
        attempt = Attempt(state.value, sign_in.nonce, sign_in.verifier, sign_in.begun_at.timestamp())
        wanted = Wanted(sign_in.level, sign_in.again)
        identity = await finish(found[1], attempt, self._back, wanted, answer)
        account = await self._directory.account_of(sign_in.tenant, identity, language)
        if account is None:
            await self._under_way.keep_identity(browser, sign_in, identity)
            return Arrived(sign_in.return_path)
        return await self._arrived(request, browser, sign_in, identity, account)

    async def redeem(self, request: Request, code: str, language: Language) -> Arrived:
        """Return how far somebody is who has typed an invitation's code; raises the directory's refusal."""
        browser, sign_in, identity = await self._came_back(request)
        account = await self._directory.redeem(browser, identity, code, language)
        return await self._arrived(request, browser, sign_in, identity, account)

    async def waiting(self, request: Request, language: Language) -> Account | None:
        """Return who has come back and is still to choose a role; None where they are not known yet."""
        browser, _, identity = await self._came_back(request)
        return await self._directory.account_of(browser.tenant, identity, language)

    async def choose(self, request: Request, number: int, language: Language) -> Arrived:
        """Begin a session in one of several roles; the directory is asked again what these are."""
        browser, sign_in, identity = await self._came_back(request)
        account = await self._directory.account_of(browser.tenant, identity, language)
        if account is None or not 0 <= number < len(account.memberships):
            raise RoleMissing
        one = Account(account.account_id, (account.memberships[number],), account.name)
        return await self._arrived(request, browser, sign_in, identity, one)

    async def end(self, session: Session, session_id: UUID) -> None:
        """End one of somebody's sessions; the token of it is used no more."""
        own = session_id == session.session_id
        await self.sessions.end(session, session_id, WhySignedOut.OWN_WISH if own else WhySignedOut.ELSEWHERE)
        self.tokens.drop(session_id)

    async def end_all(self, session: Session) -> None:
        """End all of somebody's sessions, this one too."""
        for session_id in await self.sessions.end_all(session):
            self.tokens.drop(session_id)

    async def _came_back(self, request: Request) -> tuple[Secret, UnderWay, Identity]:
        """Return who has come back in this browser; raise `SignInExpired` where nobody did in time."""
        browser = self.cookies.read(request, SIGN_IN)
        found = await self._under_way.identity_of(browser) if browser is not None else None
        if browser is None or found is None:
            raise SignInExpired
        return browser, *found

    async def _arrived(
        self, request: Request, browser: Secret, sign_in: UnderWay, identity: Identity, account: Account
    ) -> Arrived:
        """Begin a session where there is one role, or one is proven anew; else the person chooses."""
        before = self.cookies.read(request, SESSION)
        session = await self.sessions.find(before) if before is not None else None
        if not account.memberships:
            raise RoleMissing
        membership = _one_of(account, session if sign_in.again else None)
        if membership is None:
            await self._under_way.keep_identity(browser, sign_in, identity)
            return Arrived(sign_in.return_path, account=account)
        secret = await self.sessions.begin(
            sign_in.tenant,
            account.account_id,
            membership,
            _proof_of(identity),
            name=account.name,
            browser=browser_of(request),
            replaces=before,
        )
        if session is not None:
            self.tokens.drop(session.session_id)
        await self._under_way.forget(browser)
        return Arrived(sign_in.return_path, session=secret)


def _one_of(account: Account, session: Session | None) -> Membership | None:
    """Return the only role of an account, or the one that a session has already."""
    if len(account.memberships) == 1:
        return account.memberships[0]
    if session is None or session.account_id != account.account_id:
        return None
    same = (session.role, session.sub, session.department_id, session.organisation_id)
    found = account.memberships
    return next((m for m in found if (m.role, m.sub, m.department_id, m.organisation_id) == same), None)


def _proof_of(identity: Identity) -> Proof:
    at_provider = f"{identity.issuer}\0{identity.provider_session}".encode()
    return Proof(
        METHOD,
        identity.issuer,
        identity.level,
        datetime.fromtimestamp(identity.signed_in_at, UTC),
        hashlib.sha256(at_provider).digest() if identity.provider_session else None,
    )


def kinds_of(providers: Sequence[tuple[int, Provider]]) -> list[tuple[People, list[tuple[int, str]]]]:
    """Return number and name of providers by whom they are for: families first, as they come most seldom."""
    order: tuple[People, ...] = ("citizen", "organisation", "staff")
    return [
        (people, [(number, one.settings.name) for number, one in providers if people in one.settings.people])
        for people in order
        if any(people in one.settings.people for _, one in providers)
    ]
