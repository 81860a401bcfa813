"""Operator's calls of one service: health and lag, parked events, take up again, drop by two operators."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from msgspec import Struct

from contracts.event import SERVICES, Code, topic_of
from services.kernel.decider.operation import Operation
from services.kernel.decider.service import Service
from services.kernel.http.own_commands import own_rows
from services.kernel.http.requests import RequestContext, request_context
from services.kernel.operations.drop_proposals import propose, require_other, withdraw
from services.kernel.operations.health import health_of
from services.kernel.operations.operator_requests import Operating, bind_operating, operating
from services.kernel.operations.operator_views import (
    LARGEST,
    DropBody,
    Dropped,
    ParkedEventView,
    ParkedPage,
    ServiceHealth,
    TakenUp,
    TakeUpBody,
)
from services.kernel.operations.operators import ROLE
from services.kernel.operations.parked_events import discard_parked, replay_parked
from services.kernel.operations.shown_events import parked_events, shown
from services.kernel.postgres.connections import Tx

_SOURCES: Final = "^({})$".format("|".join(SERVICES))

Operator = Annotated[Operating, Depends(operating)]
ParkedId = Annotated[int, Path(ge=1, le=LARGEST)]
Number = Annotated[int | None, Query(ge=0, le=LARGEST)]


async def service_health(at: Operator) -> ServiceHealth:
    """Say whether the service is well, how far it lags, and how many events are parked."""
    return await health_of(at.runtime, at.context)


async def parked_page(
    at: Operator,
    *,
    reason: Code | None = None,
    stream_id: UUID | None = None,
    source: Annotated[str | None, Query(pattern=_SOURCES)] = None,
    partition: Number = None,
    offset: Number = None,
    cursor: Annotated[
        str | None, Query(pattern="^[0-9]{1,18}$", description="the page before's `next`")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ParkedPage:
    """List the municipality's parked events, oldest first; where there are some, it is put on record."""
    where = None
    if source is not None and partition is not None and offset is not None:
        where = (topic_of(source), partition, offset)
    rows = await at.context.query(
        parked_events,
        reason=reason,
        stream_id=stream_id,
        position=where,
        after=int(cursor or 0),
        limit=limit + 1,
    )
    if rows:
        await at.on_record("parked_list")
    items = [shown(at.service, row, at.actor.id) for row in rows[:limit]]
    return ParkedPage(items=items, next=str(items[-1].id) if len(rows) > limit else None)


async def parked_event(parked_id: ParkedId, at: Operator) -> ParkedEventView:
    """Show one parked event: ids, codes and what waits with it; it is put on record."""
    found = await at.view(parked_id)
    await at.on_record("parked_show")
    return found


async def take_up_all(body: TakeUpBody, at: Operator) -> TakenUp:
    """Take up again the municipality's parked events, each stream in order."""

    async def work() -> TakenUp:
        await at.on_record("parked_replay")
        done = await replay_parked(at.runtime, tenant=at.actor.tenant, reason=body.reason)
        return TakenUp(applied=done["applied"], left=done["left"])

    return await at.context.once(TakenUp, work)


async def take_up(parked_id: ParkedId, at: Operator) -> TakenUp:
    """Take one parked event up again, after those before it in its stream."""

    async def work() -> TakenUp:
        await at.parked(parked_id)
        await at.on_record("parked_replay")
        done = await replay_parked(at.runtime, parked_id=parked_id)
        return TakenUp(applied=done["applied"], left=done["left"])

    return await at.context.once(TakenUp, work)


async def propose_drop(parked_id: ParkedId, body: DropBody, at: Operator) -> ParkedEventView:
    """Propose to discard an event, for a reason; another operator confirms it."""

    async def work() -> ParkedEventView:
        row = await at.parked(parked_id)

        async def keep(tx: Tx) -> bool:
            return await propose(tx, at.actor.tenant, parked_id, body.why, at.actor.id)

        await at.on_record("parked_drop_proposed", row["stream_id"], keep)
        return await at.view(parked_id)

    return await at.context.once(ParkedEventView, work)


async def withdraw_drop(parked_id: ParkedId, at: Operator) -> ParkedEventView:
    """Withdraw the proposal to discard an event; any operator may."""

    async def work() -> ParkedEventView:
        row = await at.parked(parked_id)

        async def remove(tx: Tx) -> bool:
            return await withdraw(tx, at.actor.tenant, parked_id)

        await at.on_record("parked_drop_withdrawn", row["stream_id"], remove)
        return await at.view(parked_id)

    return await at.context.once(ParkedEventView, work)


async def confirm_drop(parked_id: ParkedId, body: DropBody, at: Operator) -> Dropped:
    """Discard an event for the reason that another operator has proposed; the trail names both."""

    async def work() -> Dropped:
        await at.parked(parked_id)
        async with own_rows(at.runtime, at.actor.tenant, readonly=True) as tx:
            other = await require_other(tx, at.actor.tenant, parked_id, body.why, at.actor.id)
        done = await discard_parked(
            at.runtime,
            parked_id,
            why=body.why,
            by=at.actor.id,
            tenant=at.actor.tenant,
            proposed_by=other,
        )
        return Dropped(
            dropped=parked_id, recorded_in=done["recorded_in"], left_in_stream=done["left_in_stream"]
        )

    return await at.context.once(Dropped, work)


class _Call(Struct, frozen=True):
    """One call: method, path below `/operations`, what answers it, and its id with the service's name."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    id: str


_CALLS: Final = (
    _Call("GET", "/health", service_health, "read{}Health"),
    _Call("GET", "/parked", parked_page, "list{}Parked"),
    # before the path with a number, which else would answer for its methods
    _Call("POST", "/take-up", take_up_all, "takeUp{}Parked"),
    _Call("GET", "/parked/{parked_id}", parked_event, "read{}Parked"),
    _Call("POST", "/parked/{parked_id}/take-up", take_up, "takeUp{}Event"),
    _Call("POST", "/parked/{parked_id}/propose-drop", propose_drop, "propose{}Drop"),
    _Call("POST", "/parked/{parked_id}/withdraw-drop", withdraw_drop, "withdraw{}Drop"),
    _Call("POST", "/parked/{parked_id}/confirm-drop", confirm_drop, "confirm{}Drop"),
)


def operable(service: Service) -> Service:
    """Return a service with the operator's calls beside its own; the role of them all is `operator`."""
    name = service.name
    declared = {
        call.endpoint.__name__: Operation(call.id.format(name.capitalize()), (ROLE,)) for call in _CALLS
    }
    if twice := declared.keys() & service.operations.keys():
        raise TypeError(f"{name}: an operator's call has this name already: {sorted(twice)}")
    routes = APIRouter()
    routes.include_router(service.routes)
    routes.include_router(_routes(name))
    return replace(service, routes=routes, operations={**service.operations, **declared})


def _routes(service: str) -> APIRouter:
    async def bind(
        request: Request, context: Annotated[RequestContext, Depends(request_context(service))]
    ) -> None:
        bind_operating(request, context)

    router = APIRouter(prefix=f"/{service}/operations", tags=[service], dependencies=[Depends(bind)])
    for call in _CALLS:
        router.add_api_route(call.path, call.endpoint, methods=[call.method])
    return router
