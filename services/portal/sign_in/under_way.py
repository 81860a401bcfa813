"""Sign-ins under way: what was asked, by which browser, and who came back, sealed under its secret."""

import secrets
from datetime import datetime, timedelta
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from services.kernel.clock import wall_time
from services.kernel.http.own_commands import own_rows
from services.kernel.issuer_settings import Level
from services.kernel.runtime.runtime import Runtime
from services.portal.sign_in.claims import Identity
from services.portal.sign_in.cookies import Secret

MINUTES: Final = 10
_NONCE_BYTES: Final = 12
_PURPOSE: Final = "identity"


class UnderWay(Struct, frozen=True):
    """One sign-in under way; `return_path` is the page that was asked for."""

    tenant: str
    issuer: str
    nonce: str
    verifier: str
    level: Level
    again: bool
    return_path: str
    begun_at: datetime


class SignInsUnderWay:
    """The sign-ins of all municipalities that are under way, each for ten minutes and for one browser.

    Who came back is sealed under the browser's secret, which is nowhere in the database: the identity is
    needed again when the person types an invitation's code or chooses a role, and is stored for nobody else.
    """

    def __init__(self, runtime: Runtime) -> None:
        """Keep them in the portal's own schema."""
        self._runtime = runtime

    async def begin(self, state: Secret, browser: Secret, sign_in: UnderWay) -> None:
        """Keep a sign-in, and forget those whose time is over."""
        async with own_rows(self._runtime, sign_in.tenant) as tx:
            await tx.execute(_FORGET, sign_in.tenant, wall_time() - timedelta(minutes=MINUTES))
            await tx.execute(
                _BEGIN, sign_in.tenant, state.digest, browser.digest, sign_in.issuer, sign_in.nonce,
                sign_in.verifier, sign_in.level, sign_in.again, sign_in.return_path, sign_in.begun_at,
            )  # fmt: skip

    async def take(self, state: Secret, browser: Secret) -> UnderWay | None:
        """Return a sign-in of this browser by its state, once; None for every other."""
        async with own_rows(self._runtime, state.tenant) as tx:
            row = await tx.fetchrow(_TAKE, state.tenant, state.digest, browser.digest, _oldest())
        return UnderWay(*(row[name] for name in UnderWay.__struct_fields__)) if row else None

    async def keep_identity(self, browser: Secret, sign_in: UnderWay, identity: Identity) -> None:
        """Keep who came back, for this browser alone, until a session begins or the time is over."""
        state, nonce = Secret.new(sign_in.tenant), secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(browser.derived(_PURPOSE))
        sealed = nonce + cipher.encrypt(nonce, msgspec.json.encode(identity), sign_in.tenant.encode())
        async with own_rows(self._runtime, sign_in.tenant) as tx:
            await tx.execute(_DROP, sign_in.tenant, browser.digest)
            await tx.execute(
                _KEEP, sign_in.tenant, state.digest, browser.digest, sign_in.issuer, sign_in.level,
                sign_in.again, sign_in.return_path, sealed, wall_time(),
            )  # fmt: skip

    async def identity_of(self, browser: Secret) -> tuple[UnderWay, Identity] | None:
        """Return who came back in this browser, and to which page; None where nobody did in time."""
        async with own_rows(self._runtime, browser.tenant, readonly=True) as tx:
            row = await tx.fetchrow(_IDENTITY, browser.tenant, browser.digest, _oldest())
        if row is None:
            return None
        sealed, cipher = row["identity"], AESGCM(browser.derived(_PURPOSE))
        try:
            opened = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], browser.tenant.encode())
        except InvalidTag:  # another row under the same digest cannot be; whoever wrote it had not the secret
            return None
        sign_in = UnderWay(*(row[name] for name in UnderWay.__struct_fields__))
        return sign_in, msgspec.json.decode(opened, type=Identity)

    async def forget(self, browser: Secret) -> None:
        """Forget every sign-in of a browser."""
        async with own_rows(self._runtime, browser.tenant) as tx:
            await tx.execute(_DROP, browser.tenant, browser.digest)


def _oldest() -> datetime:
    return wall_time() - timedelta(minutes=MINUTES)


_NAMES: Final = ", ".join(UnderWay.__struct_fields__)

_BEGIN: Final = """
insert into sign_ins (tenant, state, browser, issuer, nonce, verifier, level, again, return_path, begun_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

_TAKE: Final = f"""
delete from sign_ins where tenant = $1 and state = $2 and browser = $3 and begun_at > $4 and identity is null
returning {_NAMES}
"""  # noqa: S608  names of our own columns

_KEEP: Final = """
insert into sign_ins
  (tenant, state, browser, issuer, nonce, verifier, level, again, return_path, identity, begun_at)
values ($1, $2, $3, $4, '', '', $5, $6, $7, $8, $9)
"""

_IDENTITY: Final = f"""
select {_NAMES}, identity from sign_ins
where tenant = $1 and browser = $2 and begun_at > $3 and identity is not null
"""  # noqa: S608  the same

_FORGET: Final = "delete from sign_ins where tenant = $1 and begun_at <= $2"
_DROP: Final = "delete from sign_ins where tenant = $1 and browser = $2"
