"""Proposals to discard a parked event: one operator proposes with a reason, another one confirms."""

from typing import Any, Final
from uuid import UUID

from contracts.event import WhyDropped
from services.kernel.errors import Refused
from services.kernel.postgres.connections import Tx


class SecondOperatorNeeded(Refused):
    """Somebody else must confirm this: it was you who proposed it."""


class DropNotProposed(Refused):
    """Nobody has proposed to drop this event for this reason: propose it, and let another one confirm."""


class DropProposed(Refused):
    """Somebody else has proposed already to drop this event: confirm it, or withdraw it first."""


async def propose(tx: Tx, tenant: str, parked_id: int, why: WhyDropped, by: UUID) -> bool:
    """Keep a proposal, and return whether it is new; raise `DropProposed` where another one stands."""
    if await tx.fetchval(_PROPOSE, tenant, parked_id, why, by) is not None:
        return True
    found = await tx.fetchrow(_READ, tenant, parked_id)
    if found is not None and (found["why"], found["proposed_by"]) != (why, by):
        raise DropProposed
    return False


async def withdraw(tx: Tx, tenant: str, parked_id: int) -> bool:
    """Take a proposal back, and return whether there was one."""
    return await tx.fetchval(_WITHDRAW, tenant, parked_id) is not None


async def require_other(tx: Tx, tenant: str, parked_id: int, why: WhyDropped, by: UUID) -> UUID:
    """Return who has proposed this; raise `DropNotProposed`, and `SecondOperatorNeeded` where `by` has."""
    found: Any = await tx.fetchrow(_READ, tenant, parked_id)
    if found is None or found["why"] != why:
        raise DropNotProposed
    proposed_by: UUID = found["proposed_by"]
    if proposed_by == by:
        raise SecondOperatorNeeded
    return proposed_by


_PROPOSE: Final = """
update parked_events set drop_why = $3, drop_by = $4, drop_at = now()
where tenant = $1 and id = $2 and drop_why is null returning id
"""

_READ: Final = (
    "select drop_why as why, drop_by as proposed_by from parked_events where tenant = $1 and id = $2"
)

_WITHDRAW: Final = """
update parked_events set drop_why = null, drop_by = null, drop_at = null
where tenant = $1 and id = $2 and drop_why is not null returning id
"""
