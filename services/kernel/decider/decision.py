"""What a rule is given and what it answers: the frozen values between the kernel and a domain."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from contracts.event import Event
from contracts.model import CollaborationModel

SYSTEM: Final = UUID(int=0)


class Actor(Struct, frozen=True):
    """Who acts: a person by a random id, in one role; or the system itself."""

    id: UUID = SYSTEM
    role: str = "system"
    tenant: str = ""
    organisation_id: UUID | None = None
    department_id: UUID | None = None
    assurance: str = "none"


class Context(Struct, frozen=True):
    """What a rule may know besides the state and the input.

    `now` is the clock's time for a command or a timer, and the event's own time for an event, so that a
    decision does not depend on when an event happened to arrive. `others` holds the states of the further
    streams that the service asked for; `private` the opened texts of this stream, for inputs that need them.
    `consents_fresh` is false when what this service remembers of consents is too old to be trusted.
    """

    now: datetime
    stream_id: UUID
    tenant: str
    actor: Actor
    models: Mapping[str, CollaborationModel]
    others: Mapping[UUID, Any] = {}
    private: Mapping[str, Any] = {}
    consents_fresh: bool = True


class TimerFired(Struct, frozen=True):
    """A time that this stream asked to be woken at has come."""

    kind: str
    ref: UUID
    due_at: datetime


class ReadRequest(Struct, frozen=True):
    """Somebody wants to see what a stream holds; `what` names the parts."""

    what: tuple[str, ...]


class Timer(Struct, frozen=True):
    """Wake this stream at a time; the same (kind, ref) again replaces it, and no time takes it back."""

    kind: str
    ref: UUID
    due_at: datetime | None


class PrivateValue(Struct, frozen=True):
    """Keep a private value under the key of the person whom it is about; the same name again replaces it."""

    subject: UUID
    name: str
    value: Any


class Effect(Struct, frozen=True):
    """Do something in the world after the commit; the key makes a repetition recognisable."""

    key: UUID
    kind: str
    about: Mapping[str, str]


class Decision(Struct, frozen=True):
    """The state after the input, what others must hear, and what is to be kept, woken and done."""

    state: Any
    events: tuple[Event, ...] = ()
    timers: tuple[Timer, ...] = ()
    private_values: tuple[PrivateValue, ...] = ()
    effects: tuple[Effect, ...] = ()
    others: Mapping[UUID, "Decision"] = {}


Decide = Callable[[Any, Any, Context], Decision]
"""`(state or None, command or event or TimerFired, given) -> Decision`; pure."""
