"""What every event of Samspil has in common."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

SERVICES: Final = ("directory", "referral", "consent", "agreement", "evaluation", "notify", "audit", "portal")

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A word from an agreed list, no number and no sentence: readers must expect words that are new to them."""

Tenant = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
"""A municipality's official code: four digits in Denmark and Norway."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""The SHA-256 digest of a text that is kept elsewhere, in hexadecimal."""


class WhyDropped(StrEnum):
    """Why an operator discards an event; readers must expect words that are new to them."""

    SENT_AGAIN = "sent_again"  # its sender has sent the true one
    NOT_OURS = "not_ours"  # its sender had no right to, or it belongs elsewhere
    UNTRUE = "untrue"  # it states what did not happen
    WITHOUT_EFFECT = "without_effect"  # nothing here depends on it
    SETTLED_BY_HAND = "settled_by_hand"  # an ordinary command was used instead


class Facts(BaseModel):
    """A frozen value whose readers ignore unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Facts):
    """Something that happened in one stream; its body holds ids, dates, codes and numbers only."""

    type: ClassVar[str]


class Looked(Event):
    """Somebody has read personal data; the stream is the one of that person's readings.

    An operator's commands are among them, under the purpose `operations`.
    """

    case_id: UUID
    what: tuple[Code, ...]
    purpose: Code


class AccessRefused(Event):
    """Somebody was refused data or a step; the stream is the one of that person's refusals.

    Many refusals of one person have one entry a minute, with their number in `times`; where these were not
    all about one case, it counts to the municipality's stream and names what was wanted last.
    """

    case_id: UUID
    wanted: Code
    slug: Code
    times: Annotated[int, Field(ge=1)] = 1


class AccessChanged(Event):
    """A municipality has revoked or restored the access of one person, one membership, or one token.

    A token is named by the SHA-256 of its id.

    Each service applies it to whom it lets in; the latest about each of these counts.
    """

    revoked: ClassVar[bool]

    person_id: UUID | None = None
    token_sha256: Sha256 | None = None
    membership_id: UUID | None = None


class EventDropped(Event):
    """An operator has discarded an event that could not be applied; its consumer goes on without it.

    The stream is that of the event. A message whose stream cannot be read counts to the stream that its key
    names, where there is one, and else to the operator's own. `proposed_by` is another operator, who has
    proposed it; the event's actor has confirmed it then.
    """

    source: Code
    kafka_partition: int
    kafka_offset: int
    sequence: int | None = None
    event_id: UUID | None = None
    what: Code | None = None
    parked_as: Code
    why: Code
    proposed_by: UUID | None = None


class Ticked(Event):
    """Watermark: every event that a service committed before `at` precedes this one in its partition."""

    partition: int
    at: AwareDatetime


def service_of(event_type: str) -> str:
    """Return the service that owns an event type: its first word."""
    return event_type.partition(".")[0]


def topic_of(service: str) -> str:
    """Return the one topic to which a service publishes."""
    return f"samspil.{service}.v1"


_MUNICIPALITIES: Final = "53616d73-7069-8000-8000-00000000"
"""The beginning of every municipality's stream id: a UUIDv8 (RFC 9562) that ends in the official code."""


def municipality_stream(tenant: str) -> UUID:
    """Return the stream id of a municipality, made from its official code."""
    return UUID(_MUNICIPALITIES + tenant)


def municipality_of(stream_id: UUID) -> str | None:
    """Return the code of the municipality whose own stream this is; None for every other stream."""
    text = str(stream_id)
    return text.removeprefix(_MUNICIPALITIES) if text.startswith(_MUNICIPALITIES) else None
