"""The CloudEvents 1.0 attributes that travel as Kafka headers (binary content mode)."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from contracts.event import Code, Facts, Tenant

CONTENT_TYPE: Final = "application/json"
PREFIX: Final = "ce_"

Sequence = Annotated[str, StringConstraints(pattern=r"^[0-9]{10}$")]
"""The event's number in its stream, 1, 2, 3 …, padded so that text sorts as numbers do."""

Traceparent = Annotated[str, StringConstraints(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]
"""W3C Trace Context, version 00."""


Timeline = Annotated[str, StringConstraints(pattern=r"^[0-9]{13}$")]
"""Start of a timeline of the source, in milliseconds since 1970."""


class Attributes(Facts):
    """Identity, origin, sequence and cause of one event; each travels as the header `ce_<name>`."""

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[UUID, Field(description="UUIDv7; the same however often the event is sent.")]
    source: Annotated[str, StringConstraints(pattern=r"^urn:samspil:[a-z]+$")]
    type: Annotated[str, StringConstraints(pattern=r"^[a-z]+\.[a-z_]+\.v[1-9][0-9]*$")]
    subject: Annotated[UUID, Field(description="The stream: a case, an organisation, an offer, a person.")]
    partitionkey: Annotated[UUID, Field(description="The stream again; equal to the Kafka key.")]
    time: Annotated[AwareDatetime, Field(description="When it happened, by the clock of the service.")]
    sequence: Annotated[
        Sequence | None,
        Field(description="Per source and subject, without holes; watermarks have none."),
    ] = None
    tenant: Annotated[Tenant, Field(description="The municipality's official code.")]
    correlationid: Annotated[UUID, Field(description="The command at the beginning of the chain of causes.")]
    causationid: Annotated[UUID, Field(description="The command or event that is the direct cause.")]
    actor: Annotated[UUID, Field(description="Who did it: a random id of a person, or of the system.")]
    role: Annotated[Code, Field(description="In which role the actor did it.")]
    dataschema: Annotated[str, StringConstraints(pattern=r"^urn:samspil:schema:[a-z0-9_.]+$")]
    traceparent: Traceparent | None = None
    timeline: Annotated[
        Timeline | None,
        Field(
            description="Start, in milliseconds since 1970, of the timeline of the source's database: it was"
            " restored, or a standby was promoted. Absent before any such fork. The same sequence number in a"
            " later timeline is another event."
        ),
    ] = None


def source_of(service: str) -> str:
    """Return the CloudEvents source of a service."""
    return f"urn:samspil:{service}"


def dataschema_of(event_type: str) -> str:
    """Return the name of the JSON Schema that describes an event type's body."""
    return f"urn:samspil:schema:{event_type}"
