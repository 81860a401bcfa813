"""Operators: who gives a command on an installation, proved and not typed, and its entry in the trail."""

import getpass
import hmac
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from contracts.event import municipality_stream
from services.kernel.decider.decision import Actor
from services.kernel.errors import ProblemError
from services.kernel.http.server import token_verifier_of
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings

ROLE: Final = "operator"
_PURPOSE: Final = "operations"


class OperatorUnknown(ProblemError):
    """Say who you are: set SAMSPIL_OPERATOR_TOKEN_FILE to your token with the role operator."""


async def operator_of(settings: Settings) -> Actor:
    """Return the operator of this process; raise `OperatorUnknown`, `TokenInvalid` and `SettingsFault`.

    On an installation it is the person of a token of its sign-in service. On the data folder of `samspil up`
    it is the account of the machine, by a random-looking id that only the owner of the folder can compute.
    """
    if settings.mode == "embedded" and settings.kek is not None:
        return Actor(_account_id(settings), ROLE)
    token = settings.operator_token.get_secret_value()
    if not token:
        raise OperatorUnknown
    async with token_verifier_of(settings) as verifier:
        actor = await verifier.authenticate(f"Bearer {token}")
    if actor.role != ROLE:
        raise OperatorUnknown(f"the role of this token is {actor.role}")
    return actor


def _account_id(settings: Settings) -> UUID:
    """Return the id of the machine's account, keyed with the folder's key that signs its tokens."""
    if settings.kek is None:
        raise OperatorUnknown
    file = settings.kek.parent / "issuer.json"
    try:
        key = file.read_bytes()
    except OSError as fault:
        raise OperatorUnknown(f"{file} cannot be read: {fault.strerror}") from None
    return UUID(bytes=hmac.digest(key, f"operator:{getpass.getuser()}".encode(), "sha256")[:16], version=4)


async def record_operation(
    runtime: Runtime, operator: Actor, what: str, tenants: Iterable[str], stream_id: UUID | None = None
) -> None:
    """Record a command of an operator in the trail of each municipality that it concerns, before it is run.

    Its case is the stream that the command names, or the municipality.
    """
    async with runtime.pool.acquire() as tx:
        for tenant in sorted(set(tenants)):
            event = runtime.service.access_event(
                case_id=stream_id or municipality_stream(tenant), what=(what,), purpose=_PURPOSE
            )
            await runtime.access_log.append(tx, Actor(operator.id, ROLE, tenant), event)


async def tenants_with_parked(
    runtime: Runtime, *, stream_id: UUID | None = None, parked_id: int | None = None
) -> list[str]:
    """Return the municipalities that have parked events, of a stream or under an id where one is named."""
    return [row["tenant"] for row in await runtime.pool.fetch(_WITH_PARKED, stream_id, parked_id)]


async def tenants_here(runtime: Runtime) -> list[str]:
    """Return the municipalities that have streams in a service."""
    return [row["tenant"] for row in await runtime.pool.fetch(_HERE)]


_WITH_PARKED: Final = """
select distinct tenant from parked_events
where tenant ~ '^[0-9]{4}$' and ($1::uuid is null or stream_id = $1) and ($2::bigint is null or id = $2)
"""

# One look into the index for each municipality, however many streams it has.
_HERE: Final = """
with recursive found as (
  (select tenant from streams order by tenant limit 1)
  union all
  select (select s.tenant from streams s where s.tenant > found.tenant order by s.tenant limit 1)
  from found where found.tenant is not null
)
select tenant from found where tenant is not null
"""
