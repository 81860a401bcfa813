"""Service definition: rules, subscriptions, routes, projections and effects of one service, as a value."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import UUID

from fastapi import APIRouter, FastAPI
from msgspec import Struct

from contracts.event import AccessChanged, AccessRefused, Event, EventDropped, Looked, Ticked, service_of
from services.kernel.decider.decision import Context, Decide, Effect
from services.kernel.decider.operation import Operation
from services.kernel.ids import as_uuid
from services.kernel.settings import Settings

T = TypeVar("T")


class ProjectionWriter(Protocol):
    """What a projection writes through: statements for the service's own tables, and nothing to read."""

    async def execute(self, statement: str, /, *columns: Any) -> Any:
        """Write rows: each argument of the statement is a column with one value a row."""
        ...


class QueryConnection(ProjectionWriter, Protocol):
    """A connection as a service's queries see it; every statement is part of the transaction of its owner."""

    async def fetch(self, query: str, /, *parameters: Any) -> list[Any]:
        """Return all rows."""
        ...

    async def fetchrow(self, query: str, /, *parameters: Any) -> Any:
        """Return the first row, or None."""
        ...

    async def fetchval(self, query: str, /, *parameters: Any) -> Any:
        """Return the first value of the first row, or None."""
        ...


class EventMetadata(Struct, frozen=True, array_like=True, gc=False):
    """Metadata of an event: what the log keeps besides position, type and body; ids as text."""

    time: datetime
    actor: str
    role: str
    correlation: str
    causation: str
    traceparent: str = ""


class StreamChange(Struct, frozen=True, gc=False):
    """Change of one stream, for the projection; `consumed` is for services that subscribe to all."""

    stream_id: UUID
    tenant: str
    version: int
    before: Any
    state: Any
    events: tuple["RecordedEvent", ...]
    consumed: tuple["RecordedEvent", ...]


class RecordedEvent(Struct, frozen=True, gc=False):
    """Recorded event: an event with its position, time and actor, from the log or from a topic."""

    event_id: UUID
    source: str
    seq: int
    type: str
    body: Event | None
    metadata: EventMetadata

    @property
    def time(self) -> datetime:
        """Time at which it happened."""
        return self.metadata.time

    @property
    def actor(self) -> UUID:
        """Id of the actor."""
        return as_uuid(self.metadata.actor)

    @property
    def role(self) -> str:
        """Role in which the actor did it."""
        return self.metadata.role

    @property
    def correlation(self) -> UUID:
        """Id of the command that started the chain of events."""
        return as_uuid(self.metadata.correlation)

    @property
    def causation(self) -> UUID:
        """Id of the command or event that caused this one."""
        return as_uuid(self.metadata.causation)


Projection = Callable[[ProjectionWriter, Sequence[StreamChange]], Awaitable[None]]
"""Projection of a service: writes the tables for its queries, in the transaction that saves the streams.

It is called once a chunk of a large batch; what the same statement writes for several chunks is written at
once, in the order of the statements.
"""


EffectSettings: TypeAlias = Settings
"""The settings of the process, for its side effects."""


class EffectContext(Protocol):
    """Context of a side effect while it is performed, outside every transaction."""

    settings: EffectSettings

    async def read(self, stream_id: UUID) -> tuple[Any, Mapping[str, Any]]:
        """Return a stream's state (None where there is none) and its decrypted private values by name."""
        ...

    async def query(self, query: Callable[..., Awaitable[T]], **parameters: Any) -> T:
        """Return what a query of the service's projections finds for the municipality of the side effect."""
        ...

    async def consents_fresh(self, stream_id: UUID) -> bool:
        """Return whether this service's copy of a stream's consents is fresh and whole."""
        ...


Site = Callable[[FastAPI, Any], AbstractAsyncContextManager[None]]
"""Site of a service with web pages: takes the application and the service's runtime."""


EffectHandler = Callable[[Effect, EffectContext], Awaitable[Any]]
"""Effect handler: performs one side effect, and returns the input for its stream with the outcome, or None.

An error it raises is retried with a growing pause, under the same key.
"""


@dataclass(frozen=True)
class Service:
    """Definition of one service, a stage of the collaboration.

    `state` is the type of a stream's document, a msgspec struct or a tagged union of them. `authorize` says
    whether `context.actor` may issue a command or a `ReadRequest`; the default is refusal. `related_streams`
    names the further streams of this service that a decision needs. `reads_private_for` lists the inputs for
    which private values are decrypted. `projection` writes the service's own tables. `effect_handlers`
    perform side effects by kind. `discarded_event` records an event that was discarded; each service with
    subscriptions has it. `rebuild` writes the own tables anew from whole streams, each with its state and all
    its events; `tables` names them in the order in which `projection` writes them, each with the column of
    the stream id. `subscribers` names the services that subscribe to this one, where the process knows all
    services. `access_events` are those that the kernel applies itself: whom the service lets in no more.
    `site` keeps open what its web pages need for as long as the application is served. `operations` declares
    each route that is in the OpenAPI document, by the name of its function.
    """

    name: str
    state: Any
    decide: Decide
    subscribes_to: tuple[type[Event], ...]
    authorize: Callable[[Any, Any, Context], bool]
    access_event: type[Looked]
    denied_event: type[AccessRefused]
    routes: APIRouter
    schema: Path
    related_streams: Callable[[Any, Any], tuple[UUID, ...]] | None = None
    reads_private_for: frozenset[type] = frozenset()
    projection: Projection | None = None
    effect_handlers: Mapping[str, EffectHandler] = field(default_factory=dict)
    watermark_event: type[Ticked] | None = None
    discarded_event: type[EventDropped] | None = None
    rebuild: Projection | None = None
    tables: Mapping[str, str] = field(default_factory=dict)
    subscribes_to_all: bool = False
    subscribers: frozenset[str] | None = None
    access_events: tuple[type[AccessChanged], ...] = ()
    site: Site | None = None
    operations: Mapping[str, Operation] = field(default_factory=dict)

    @property
    def sources(self) -> frozenset[str]:
        """The services whose topics this one reads."""
        return frozenset(service_of(event.type) for event in (*self.subscribes_to, *self.access_events))
