"""A service's own tables and commands, where no request of a program gives them: pages, sessions."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar
from uuid import UUID

from services.kernel.decider.decision import Actor
from services.kernel.http.tenant_writes import POOL_WAIT_SECONDS, commit_for
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Tx, tenant_transaction
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from services.kernel.streams.handler import BatchResult

T = TypeVar("T")


def own_rows(runtime: Runtime, tenant: str, *, readonly: bool = False) -> AbstractAsyncContextManager[Tx]:
    """Begin a transaction that sees one municipality's rows of the service's own tables."""
    return tenant_transaction(runtime.api_pool, tenant, readonly=readonly, wait_seconds=POOL_WAIT_SECONDS)


async def commit_command(
    runtime: Runtime, actor: Actor, stream_id: UUID, command: Any, beside: Callable[[Tx], Awaitable[T]]
) -> T:
    """Commit a command, and what `beside` writes, in one transaction of the actor's municipality.

    `beside` runs again where another writer was faster. Raises what the command's rule raises.
    """
    cause = str(new_id())
    envelope = Envelope(stream_id, actor.tenant, command, actor, runtime.clock.now(), cause, cause)

    async def work(tx: Tx) -> tuple[BatchResult, T]:
        result = await beside(tx)
        return await runtime.processor.process_once(tx, [envelope]), result

    return await commit_for(runtime, actor.tenant, work)
