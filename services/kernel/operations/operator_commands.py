"""Commands of operators: a command of a service's own, given on its database in an operator's name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from services.kernel.decider.decision import Actor
from services.kernel.ids import new_id
from services.kernel.operations.operators import ROLE
from services.kernel.postgres.connections import Tx
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope


async def execute_for(runtime: Runtime, operator: Actor, tenant: str, stream_id: UUID, command: Any) -> Any:
    """Execute a command for a municipality as an operator; return the state of its stream after it.

    Raises `NotFound` where an operator may not give it, and its refusal. The server's relay sends the events.
    """
    actor, cause = Actor(operator.id, ROLE, tenant), str(new_id())
    envelope = Envelope(stream_id, tenant, command, actor, runtime.clock.now(), cause, cause)
    async with runtime.pool.acquire() as tx:
        result = await runtime.processor.process(tx, [envelope])
    return result.streams[envelope.stream_key].state


async def keyed_digest_for(runtime: Runtime, tenant: str, purpose: str, text: str) -> bytes:
    """Return the HMAC-SHA256 of a text under a municipality's key for a purpose, as its requests do."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[Tx]:
        async with runtime.pool.acquire() as tx, tx.transaction():
            yield tx

    return await runtime.keyed_digests.digest(transaction, tenant, text.encode(), purpose)
