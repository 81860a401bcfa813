"""What every event of Samspil has in common."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

SERVICES: Final = ("directory", "referral", "consent", "agreement", "evaluation", "notify", "audit")

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A word from an agreed list, no number and no sentence: readers must expect words that they do not know."""

Tenant = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
"""A municipality's official code: four digits in Denmark and Norway."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""The fingerprint of a text that lies elsewhere, in hexadecimal."""


class WhyDropped(StrEnum):
    """Why an operator gives an event up; readers must expect words that they do not know."""

    SENT_AGAIN = "sent_again"  # its sender has sent the true one
    NOT_OURS = "not_ours"  # somebody sent it who may not, or it belongs elsewhere
    UNTRUE = "untrue"  # it tells what did not happen
    WITHOUT_EFFECT = "without_effect"  # nothing here depends on it
    SETTLED_BY_HAND = "settled_by_hand"  # what it says was done by an ordinary command instead


class Facts(BaseModel):
    """A frozen value whose readers pass over fields that they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Facts):
    """Something that happened in one stream; its body holds ids, dates, codes and numbers only."""

    type: ClassVar[str]


class Looked(Event):
    """Somebody has looked at personal data; the stream is the person who looked."""

    case_id: UUID
    what: tuple[Code, ...]
    purpose: Code


class AccessRefused(Event):
    """Somebody was refused a look or a step; the stream is the person who tried."""

    case_id: UUID
    wanted: Code
    slug: Code


class EventDropped(Event):
    """An operator has given up an event that could not be taken: its reader goes on as if it were not there.

    The stream is that of the event. A message whose stream cannot be read counts to the stream that its key
    names, where there is one, and else to the operator's own.
    """

    source: Code
    kafka_partition: int
    kafka_offset: int
    sequence: int | None = None
    event_id: UUID | None = None
    what: Code | None = None
    parked_as: Code
    why: Code


class Ticked(Event):
    """All that a service committed before `at` stands before this event in its partition."""

    partition: int
    at: AwareDatetime


def service_of(event_type: str) -> str:
    """Return the service that owns an event type: its first word."""
    return event_type.partition(".")[0]


def topic_of(service: str) -> str:
    """Return the one topic on which a service speaks."""
    return f"samspil.{service}.v1"


_MUNICIPALITIES: Final = "53616d73-7069-8000-8000-00000000"
"""The beginning of every municipality's stream id: a UUIDv8 (RFC 9562) that ends in the official code."""


def municipality_stream(tenant: str) -> UUID:
    """Return the stream id of a municipality, made from its official code."""
    return UUID(_MUNICIPALITIES + tenant)


def municipality_of(stream_id: UUID) -> str | None:
    """Return the code of the municipality whose own stream this is; None for every other stream."""
    code = str(stream_id).removeprefix(_MUNICIPALITIES)
    return None if code == str(stream_id) else code
