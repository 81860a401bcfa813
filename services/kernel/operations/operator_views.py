"""Answers of the operator's calls over HTTP: ids, codes, numbers and dates; nothing of an event's body."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.event import Code, WhyDropped

LARGEST: Final = 2**63 - 1
"""The largest number that the database counts with."""


class ServiceHealth(BaseModel):
    """How one service does: what is not well, how far it lags, and what of the municipality is parked.

    The numbers but for `parked` are of the whole installation, as this process has last measured them.
    """

    service: Code
    ready: bool
    unready: list[Code]
    lag: int
    pending: int
    pending_seconds: float
    timers_due: int
    effects_waiting: int
    effects_tried: int
    parked: dict[Code, int]
    parked_unassigned: int


class DropProposal(BaseModel):
    """An operator's proposal to discard a parked event; another one confirms it."""

    why: Code
    proposed_by: UUID
    proposed_at: AwareDatetime
    mine: bool


class ParkedEventView(BaseModel):
    """One parked event: where it came from, why it waits, and what waits with it."""

    id: Annotated[int, Field(ge=1, le=LARGEST)]
    service: Code
    stream_id: UUID | None
    source: Code
    kafka_partition: int
    kafka_offset: int
    seq: int | None
    event_id: UUID | None
    type: str | None
    reason: Code
    attempts: int
    parked_at: AwareDatetime
    taken_last: int | None
    waiting_with_it: int
    proposal: DropProposal | None


class ParkedPage(BaseModel):
    """A page of parked events, oldest first; `next` leads to the later ones."""

    items: list[ParkedEventView]
    next: str | None


class TakenUp(BaseModel):
    """What became of parked events that were taken up again."""

    applied: int
    left: int


class Dropped(BaseModel):
    """A parked event was discarded: the stream that records it, and how many of it still wait."""

    dropped: int
    recorded_in: UUID
    left_in_stream: int


class DropBody(BaseModel):
    """Why an event is to be discarded; who confirms repeats the reason that was proposed."""

    model_config = ConfigDict(extra="forbid")

    why: WhyDropped


class TakeUpBody(BaseModel):
    """Which parked events are taken up again: those with a reason, or all."""

    model_config = ConfigDict(extra="forbid")

    reason: Code | None = None
