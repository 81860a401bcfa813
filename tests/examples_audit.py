"""Sample data for the audit service: events of other services, as they are consumed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from contracts.consent import ConsentAccessRefused
from contracts.event import Event, Ticked, service_of
from contracts.golden import schema_of
from contracts.referral import CaseLooked, CaseOpened, ViewsNoted
from contracts.registry import EVENTS
from contracts.samples import sample_of
from services.audit.domain.states import Trail
from services.kernel.decider.decision import Actor, Context
from services.kernel.decider.service import EventMetadata, RecordedEvent, StreamChange

TENANT = "0440"
CASE = UUID("0198d000-0000-7000-8000-000000000001")
CASEWORKER = UUID("0198d000-0000-7000-8000-000000000002")
DEPARTMENT = UUID("0198d000-0000-7000-8000-000000000003")
STRANGER = UUID("0198d000-0000-7000-8000-000000000004")
AUDITOR = UUID("0198d000-0000-7000-8000-000000000005")
READINGS_OF_CASEWORKER = UUID("0198d000-0000-7000-8000-000000000006")
READINGS_OF_STRANGER = UUID("0198d000-0000-7000-8000-000000000007")
COMMAND = UUID("0198d000-0000-7000-8000-000000000008")

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def minute(number: int) -> datetime:
    """Return a minute after the beginning."""
    return NOW + timedelta(minutes=number)


def an_auditor() -> Actor:
    """Return the municipality's auditor."""
    return Actor(AUDITOR, "auditor", TENANT)


def context(actor: Actor | None = None, now: datetime = NOW) -> Context:
    """Return the context of a step."""
    return Context(now, CASE, TENANT, actor or Actor(), {})


def case_opened() -> CaseOpened:
    """Return the opening of the case."""
    return CaseOpened(department_id=DEPARTMENT, caseworker_id=CASEWORKER, model="kerteminde", model_version=1)


def views_noted() -> ViewsNoted:
    """Return the record of the child's and the family's view."""
    return ViewsNoted(child="heard", family="heard")


def was_read() -> CaseLooked:
    """Return a reading of the child's part of the case."""
    return CaseLooked(case_id=CASE, what=("child", "views"), purpose="casework")


def refused() -> ConsentAccessRefused:
    """Return a reading that was refused."""
    return ConsentAccessRefused(case_id=CASE, wanted="look", slug="not_allowed")


def consumed(
    event: Event, number: int, *, seq: int = 1, actor: UUID = CASEWORKER, role: str = "caseworker"
) -> RecordedEvent:
    """Return an event as it was consumed; the number gives it an id and a time of its own."""
    event_id = UUID(int=(0x0198D001 << 96) + number)
    metadata = EventMetadata(minute(number), str(actor), role, str(COMMAND), str(COMMAND))
    return RecordedEvent(event_id, service_of(event.type), seq, event.type, event, metadata)


def saved(stream_id: UUID, *events: RecordedEvent, tenant: str = TENANT) -> StreamChange:
    """Return a stream as it was saved after it consumed events."""
    return StreamChange(stream_id, tenant, 1, None, None, (), events)


def a_life() -> list[StreamChange]:
    """Return a case with its views on record, read by one person and refused to another."""
    return [
        saved(CASE, consumed(case_opened(), 1), consumed(views_noted(), 2, seq=2)),
        saved(READINGS_OF_CASEWORKER, consumed(was_read(), 3)),
        saved(READINGS_OF_STRANGER, consumed(refused(), 4, actor=STRANGER, role="coordinator")),
    ]


def events() -> tuple[Event, ...]:
    """Return an example of every event that the trail keeps."""
    kinds = (kind for kind in EVENTS.values() if not issubclass(kind, Ticked))
    return tuple(kind.model_validate(sample_of(schema_of(kind), kind.type)) for kind in kinds)


def states() -> tuple[Trail, ...]:
    """Return an example of every state."""
    return (Trail(1, minute(0)), Trail(4, minute(5)))
