"""Sessions: who is signed in, in which role and until when, as rows under the digest of a secret."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from contracts.portal import WhySignedOut
from services.kernel.clock import wall_time
from services.kernel.decider.decision import Actor
from services.kernel.http.own_commands import commit_command, own_rows
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Tx
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings
from services.portal.domain.commands import SignIn, SignOut
from services.portal.sign_in.cookies import Secret

_FAMILY: Final = frozenset({"guardian", "young_person"})
_SEEN_SECONDS: Final = 60.0
"""How exactly it is kept when a session was last used: a row is not written at each page."""


class Membership(Struct, frozen=True):
    """One role of an account, as the directory says it; `sub` is the id by which the services know it."""

    role: str
    sub: UUID
    membership_id: UUID | None = None
    department_id: UUID | None = None
    organisation_id: UUID | None = None
    label: str = ""


class Proof(Struct, frozen=True):
    """How somebody has proven who they are: the method, where, how sure that is, and when."""

    method: str
    issuer: str
    assurance: str
    proven_at: datetime
    provider_session: bytes | None = None


class Session(Struct, frozen=True):
    """One session, as its owner sees it; the secret stands nowhere."""

    tenant: str
    session_id: UUID
    account_id: UUID
    membership_id: UUID | None
    role: str
    sub: UUID
    department_id: UUID | None
    organisation_id: UUID | None
    assurance: str
    method: str
    issuer: str
    browser: str
    proven_at: datetime
    begun_at: datetime
    seen_at: datetime
    ends_at: datetime
    sealed_name: bytes | None = None

    @property
    def actor(self) -> Actor:
        """Who signs in and out, for the trail."""
        return Actor(
            self.account_id, self.role, self.tenant, self.organisation_id, self.department_id, self.assurance
        )


class Sessions:
    """The sessions of all municipalities; each transaction sees one of them."""

    def __init__(self, runtime: Runtime) -> None:
        """Keep them in the portal's own schema."""
        self._runtime = runtime
        self._settings = runtime.settings

    async def begin(
        self,
        tenant: str,
        account_id: UUID,
        membership: Membership,
        proof: Proof,
        *,
        name: str = "",
        browser: str = "",
        replaces: Secret | None = None,
    ) -> Secret:
        """Begin a session under a new secret, and end the one that it replaces; the trail has both."""
        secret, now = Secret.new(tenant), wall_time()
        if replaces is not None and (old := await self.find(replaces)) is not None:
            await self.end(old, old.session_id, WhySignedOut.REPLACED)
        session = Session(
            tenant, new_id(), account_id, membership.membership_id, membership.role, membership.sub,
            membership.department_id, membership.organisation_id, proof.assurance, proof.method,
            proof.issuer, browser, proof.proven_at, now, now,
            now + timedelta(hours=self._settings.session_hours), secret.sealed(name) if name else None,
        )  # fmt: skip

        async def write(tx: Tx) -> None:
            await tx.execute(_DELETE_ENDED, tenant, now)
            await tx.execute(_INSERT, tenant, secret.digest, *_columns(session), proof.provider_session)

        command = SignIn(session.role, session.assurance, session.method)
        await commit_command(self._runtime, session.actor, account_id, command, write)
        return secret

    async def find(self, secret: Secret) -> Session | None:
        """Return the session of a secret; None where it has ended, was idle too long, or was revoked."""
        now = wall_time()
        async with own_rows(self._runtime, secret.tenant) as tx:
            row = await tx.fetchrow(_FIND, secret.tenant, secret.digest)
            if row is None:
                return None
            session = _session(row)
            idle = timedelta(minutes=idle_minutes(session.role, self._settings))
            if row["revoked"] or now >= session.ends_at or now - session.seen_at > idle:
                await tx.execute(_DELETE, secret.tenant, session.session_id)
                return None
            if (now - session.seen_at).total_seconds() >= _SEEN_SECONDS:
                await tx.execute(_SEEN, secret.tenant, session.session_id, now)
        return session

    async def of_account(self, session: Session) -> list[Session]:
        """Return all sessions of a session's account, the one that was used last first."""
        async with own_rows(self._runtime, session.tenant, readonly=True) as tx:
            rows = await tx.fetch(_OF_ACCOUNT, session.tenant, session.account_id, wall_time())
        return [_session(row) for row in rows]

    async def end(self, by: Session, session_id: UUID, why: WhySignedOut) -> bool:
        """End a session of the same account; return whether there was one. The trail has it."""
        found = [one for one in await self.of_account(by) if one.session_id == session_id]
        for one in found:

            async def delete(tx: Tx, ended: UUID = one.session_id) -> None:
                await tx.execute(_DELETE, by.tenant, ended)

            command = SignOut(one.role, why)
            await commit_command(self._runtime, one.actor, one.account_id, command, delete)
        return bool(found)

    async def end_all(self, by: Session) -> list[UUID]:
        """End every session of an account, this one too; return their ids."""
        found = await self.of_account(by)
        for one in found:
            own = one.session_id == by.session_id
            await self.end(by, one.session_id, WhySignedOut.OWN_WISH if own else WhySignedOut.ELSEWHERE)
        return [one.session_id for one in found]

    async def end_at_provider(self, tenants: frozenset[str], provider_session: bytes) -> int:
        """End the sessions that rest on one session of a provider, which has ended; return how many."""
        ended = await asyncio.gather(*(self._end_one(tenant, provider_session) for tenant in sorted(tenants)))
        return sum(ended)

    async def _end_one(self, tenant: str, provider_session: bytes) -> int:
        async with own_rows(self._runtime, tenant, readonly=True) as tx:
            rows = await tx.fetch(_OF_PROVIDER, tenant, provider_session)
        for one in map(_session, rows):
            await self.end(one, one.session_id, WhySignedOut.AT_PROVIDER)
        return len(rows)


def idle_minutes(role: str, settings: Settings) -> float:
    """Return after how many minutes without a page a session in a role ends."""
    return settings.idle_family_minutes if role in _FAMILY else settings.idle_staff_minutes


def _columns(session: Session) -> tuple[Any, ...]:
    """Return a session's columns in their order, without the municipality."""
    return tuple(getattr(session, name) for name in Session.__struct_fields__[1:])


def _session(row: Any) -> Session:
    return Session(*(row[name] for name in Session.__struct_fields__))


_NAMES: Final = ", ".join(Session.__struct_fields__)

_INSERT: Final = f"""
insert into sessions (tenant, secret, {", ".join(Session.__struct_fields__[1:])}, provider_session)
values ($1, $2, {", ".join(f"${n}" for n in range(3, 2 + len(Session.__struct_fields__)))},
        ${2 + len(Session.__struct_fields__)})
"""  # noqa: S608  names of our own columns

_FIND: Final = f"""
select {_NAMES}, exists (
  select from revocations r
  where r.tenant = s.tenant and r.revoked
    and r.subject in (s.account_id::text, s.sub::text, s.membership_id::text)
) as revoked
from sessions s where tenant = $1 and secret = $2
"""  # noqa: S608  the same

_OF_ACCOUNT: Final = f"""
select {_NAMES} from sessions where tenant = $1 and account_id = $2 and ends_at > $3
order by seen_at desc, session_id
"""  # noqa: S608  the same

_OF_PROVIDER: Final = f"""
select {_NAMES} from sessions where tenant = $1 and provider_session = $2
"""  # noqa: S608  the same

_SEEN: Final = "update sessions set seen_at = $3 where tenant = $1 and session_id = $2 and seen_at < $3"
_DELETE: Final = "delete from sessions where tenant = $1 and session_id = $2"
_DELETE_ENDED: Final = "delete from sessions where tenant = $1 and ends_at <= $2"
