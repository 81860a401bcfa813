"""Requests of an operator at one service: what they may see, and the record of what they do."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from fastapi import Request

from contracts.event import municipality_stream
from services.kernel.errors import NotFound
from services.kernel.http.request_trace import TRACEPARENT
from services.kernel.http.requests import RequestContext
from services.kernel.http.tenant_writes import commit_for
from services.kernel.operations.operator_views import ParkedEventView
from services.kernel.operations.shown_events import parked_events, shown
from services.kernel.postgres.connections import Tx
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.handler import BatchResult

_PURPOSE: Final = "operations"


class Operating:
    """One operator's request at one service; it concerns the municipality of their token alone.

    What names no municipality is for the command line, whose operator holds the service's own login.
    """

    def __init__(self, context: RequestContext, runtime: Runtime, traceparent: str) -> None:
        """Bind a request."""
        self.context = context
        self.actor = context.actor
        self.runtime = runtime
        self._traceparent = traceparent

    @property
    def service(self) -> str:
        """The name of the service."""
        return self.runtime.service.name

    async def parked(self, parked_id: int) -> Any:
        """Return the row of a parked event of the operator's municipality; raise `NotFound`."""
        rows = await self.context.query(parked_events, parked_id=parked_id)
        if not rows:
            raise NotFound
        return rows[0]

    async def view(self, parked_id: int) -> ParkedEventView:
        """Return a parked event as it is shown; raise `NotFound`."""
        return shown(self.service, await self.parked(parked_id), self.actor.id)

    async def on_record(
        self, what: str, case_id: UUID | None = None, beside: Callable[[Tx], Awaitable[bool]] | None = None
    ) -> None:
        """Put what the operator does on record, in one transaction with what `beside` writes.

        Where `beside` returns that nothing changes, nothing is recorded.
        """
        event = self.runtime.service.access_event(
            case_id=case_id or municipality_stream(self.actor.tenant), what=(what,), purpose=_PURPOSE
        )

        async def record(tx: Tx) -> tuple[BatchResult, None]:
            if beside is not None and not await beside(tx):
                return BatchResult({}), None
            appended = await self.runtime.access_log.append(
                tx, self.actor, event, traceparent=self._traceparent
            )
            return appended, None

        await commit_for(self.runtime, self.actor.tenant, record)


def bind_operating(request: Request, context: RequestContext) -> None:
    """Keep the operator's request for the call that is made."""
    runtime: Runtime = request.app.state.runtimes[request.scope["route"].tags[0]]
    request.state.operating = Operating(context, runtime, request.scope.get(TRACEPARENT, ""))


async def operating(request: Request) -> Operating:
    """Return the operator's request, as a dependency of a call."""
    found: Operating = request.state.operating
    return found
