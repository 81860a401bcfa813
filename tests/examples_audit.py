"""Sample data for the audit service: what services said, as it is heard with its place and its actor."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from contracts.consent import ConsentAccessRefused
from contracts.event import Event, service_of
from contracts.referral import CaseLooked, CaseOpened, ViewsNoted
from services.kernel.decider.decision import Actor, Context
from services.kernel.decider.service import EventMetadata, RecordedEvent, StreamChange

TENANT = "0440"
CASE = UUID("0198d000-0000-7000-8000-000000000001")
CASEWORKER = UUID("0198d000-0000-7000-8000-000000000002")
DEPARTMENT = UUID("0198d000-0000-7000-8000-000000000003")
STRANGER = UUID("0198d000-0000-7000-8000-000000000004")
AUDITOR = UUID("0198d000-0000-7000-8000-000000000005")
LOOKS_OF_CASEWORKER = UUID("0198d000-0000-7000-8000-000000000006")
LOOKS_OF_STRANGER = UUID("0198d000-0000-7000-8000-000000000007")
COMMAND = UUID("0198d000-0000-7000-8000-000000000008")

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def minute(number: int) -> datetime:
    """Return a minute after the beginning."""
    return NOW + timedelta(minutes=number)


def an_auditor() -> Actor:
    """Return the municipality's auditor."""
    return Actor(AUDITOR, "auditor", TENANT)


def given(actor: Actor | None = None, now: datetime = NOW) -> Context:
    """Return what a rule may know."""
    return Context(now, CASE, TENANT, actor or Actor(), {})


def case_opened() -> CaseOpened:
    """Return the opening of the case."""
    return CaseOpened(department_id=DEPARTMENT, caseworker_id=CASEWORKER, model="kerteminde", model_version=1)


def views_noted() -> ViewsNoted:
    """Return the noting of the child's and the family's view."""
    return ViewsNoted(child="heard", family="heard")


def looked() -> CaseLooked:
    """Return a look at the child's part of the case."""
    return CaseLooked(case_id=CASE, what=("child", "views"), purpose="casework")


def refused() -> ConsentAccessRefused:
    """Return a look that was refused."""
    return ConsentAccessRefused(case_id=CASE, wanted="look", slug="not_allowed")


def heard(
    event: Event, number: int, *, seq: int = 1, actor: UUID = CASEWORKER, role: str = "caseworker"
) -> RecordedEvent:
    """Return an event as it was heard; the number gives it an id and a time of its own."""
    event_id = UUID(int=(0x0198D001 << 96) + number)
    meta = EventMetadata(minute(number), str(actor), role, str(COMMAND), str(COMMAND))
    return RecordedEvent(event_id, service_of(event.type), seq, event.type, event, meta)


def saved(stream_id: UUID, *events: RecordedEvent, tenant: str = TENANT) -> StreamChange:
    """Return a stream as it was saved after it heard events."""
    return StreamChange(stream_id, tenant, 1, None, None, (), events)


def a_life() -> list[StreamChange]:
    """Return a case that was opened and noted on, looked at by one person and refused to another."""
    return [
        saved(CASE, heard(case_opened(), 1), heard(views_noted(), 2, seq=2)),
        saved(LOOKS_OF_CASEWORKER, heard(looked(), 3)),
        saved(LOOKS_OF_STRANGER, heard(refused(), 4, actor=STRANGER, role="coordinator")),
    ]
