"""A service is a value: its rules, what it hears, what it answers, what it keeps."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from fastapi import APIRouter
from msgspec import Struct

from contracts.event import AccessRefused, Event, EventDropped, Looked, Ticked, service_of
from services.kernel.decider.decision import Context, Decide, Effect
from services.kernel.ids import as_uuid
from services.kernel.settings import Settings


class ProjectionWriter(Protocol):
    """What a projection writes through: statements for the service's own tables, and nothing to read."""

    async def execute(self, statement: str, /, *columns: Any) -> Any:
        """Write rows: each argument of the statement is a column with one value a row."""
        ...


class Tx(ProjectionWriter, Protocol):
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
    """One stream as it was just saved, for a service's own tables; who hears all learns what was heard."""

    stream_id: UUID
    tenant: str
    version: int
    before: Any
    state: Any
    events: tuple["RecordedEvent", ...]
    consumed: tuple["RecordedEvent", ...]


class RecordedEvent(Struct, frozen=True, gc=False):
    """One event with its place, time and actor, as it stands in the log or was heard."""

    event_id: UUID
    source: str
    seq: int
    type: str
    body: Event | None
    metadata: EventMetadata

    @property
    def time(self) -> datetime:
        """When it happened."""
        return self.metadata.time

    @property
    def actor(self) -> UUID:
        """Who did it."""
        return as_uuid(self.metadata.actor)

    @property
    def role(self) -> str:
        """In which role."""
        return self.metadata.role

    @property
    def correlation(self) -> UUID:
        """The command that all of this began with."""
        return as_uuid(self.metadata.correlation)

    @property
    def causation(self) -> UUID:
        """The command or event that this follows from."""
        return as_uuid(self.metadata.causation)


Projection = Callable[[ProjectionWriter, Sequence[StreamChange]], Awaitable[None]]
"""Write what queries need, in the transaction that saves the streams, by `execute` alone.

Each argument of a statement is a column with one value a row. Of a large batch some streams come at a time:
what the same statement writes for all of them is written at once, in the order of the statements.
"""


EffectSettings: TypeAlias = Settings
"""The settings of the process, for its side effects."""


class EffectContext(Protocol):
    """What a side effect may reach for while it is performed, outside every transaction."""

    settings: EffectSettings

    async def read(self, stream_id: UUID) -> tuple[Any, Mapping[str, Any]]:
        """Return a stream's state (None where there is none) and its opened private values by name."""
        ...

    async def consents_fresh(self, stream_id: UUID) -> bool:
        """Return whether what this service remembers of a stream's consents is fresh and whole."""
        ...


EffectHandler = Callable[[Effect, EffectContext], Awaitable[Any]]
"""Do one thing in the world; return the input that tells the stream how it went, or None.

Raises whatever went wrong: it is tried again with a growing pause, under the same key.
"""


@dataclass(frozen=True)
class Service:
    """One stage of the collaboration.

    `state` is the type of a stream's document, a msgspec struct or a tagged union of them. `allows` says
    whether `given.actor` may take a step or a `Look`; refused is the default. `also` names the further
    streams of this service that a decision needs. `opens` lists the inputs for which private texts are
    unsealed. `project` writes the service's own tables. `perform` does side effects by their kind. `dropped`
    tells of an event that was given up; whoever hears anything has it. `rebuild` writes the own tables anew
    from whole streams, each with its state and all its events; `tables` names them in the order in which
    `project` writes them, each with the column that holds the stream. `hearers` names the services that hear
    this one, where whoever runs it knows them all.
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

    @property
    def sources(self) -> frozenset[str]:
        """The services whose topics this one reads."""
        return frozenset(service_of(event.type) for event in self.subscribes_to)
