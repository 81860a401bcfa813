"""Decision types: what a service's rules get and return, as frozen values."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from contracts.event import Event
from contracts.model import CollaborationModel

SYSTEM: Final = UUID(int=0)


class Actor(Struct, frozen=True):
    """Actor: a person by a random id, in one role; or the system itself."""

    id: UUID = SYSTEM
    role: str = "system"
    tenant: str = ""
    organisation_id: UUID | None = None
    department_id: UUID | None = None
    assurance: str = "none"


class Context(Struct, frozen=True):
    """Context of a decision: what a rule depends on besides the state and the input.

    `now` is the clock's time for a command or a timer, and the event's own time for an event, so that a
    decision does not depend on when an event happened to arrive. `others` holds the states of the further
    streams that `related_streams` names; `private` the decrypted texts of this stream, for inputs that need
    them. `consents_fresh` is false when this service's copy of the consents is too old to be trusted.
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
    """Input of a stream whose timer is due."""

    kind: str
    ref: UUID
    due_at: datetime


class ReadRequest(Struct, frozen=True):
    """Request to read a stream; `what` names the parts."""

    what: tuple[str, ...]


class Timer(Struct, frozen=True):
    """Timer of a stream; the same (kind, ref) again replaces it, and one without a time cancels it."""

    kind: str
    ref: UUID
    due_at: datetime | None


class PrivateValue(Struct, frozen=True):
    """Value to be encrypted under the key of the person it is about; the same name again replaces it."""

    subject: UUID
    name: str
    value: Any


class Effect(Struct, frozen=True):
    """Side effect to perform after the commit, such as a mail; its key makes a repetition recognisable."""

    key: UUID
    kind: str
    about: Mapping[str, str]


class Decision(Struct, frozen=True):
    """Decision of a rule: the state after the input, with events, timers, private values and effects."""

    state: Any
    events: tuple[Event, ...] = ()
    timers: tuple[Timer, ...] = ()
    private_values: tuple[PrivateValue, ...] = ()
    effects: tuple[Effect, ...] = ()
    others: Mapping[UUID, "Decision"] = {}


Decide = Callable[[Any, Any, Context], Decision]
"""Rule of a service: `(state or None, command or event or TimerFired, context) -> Decision`; pure."""
