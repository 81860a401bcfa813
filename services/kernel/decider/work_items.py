"""Work list: what waits for a person, a department or an organisation, made of the waits of a state; pure."""

from collections.abc import Iterable
from datetime import date, datetime
from uuid import UUID

from msgspec import Struct

from services.kernel.decider.deadlines import Waiting
from services.kernel.decider.decision import Actor
from services.kernel.errors import NotAllowed


class WorkItem(Struct, frozen=True):
    """One row of a work list: what waits for somebody in a role, about which thing of an agreement.

    It is shown from a local day on, by the calendar of `model`; an organisation sees it `until` its consent
    ends.
    """

    role: str
    owner_id: UUID
    agreement_id: UUID
    about: UUID
    model: str
    what: str
    shown_from: date
    due_on: date | None
    until: datetime | None = None


class Subject(Struct, frozen=True):
    """What a work item is about: a thing of an agreement, which began under a version of a model."""

    agreement_id: UUID
    about: UUID
    model: str


class Owner(Struct, frozen=True):
    """Who can end a wait: a department, an organisation or a person, by their role.

    `until` is when an organisation's consent ends; without one an organisation has no work items.
    """

    role: str
    owner_id: UUID | None
    until: datetime | None = None


def work_items(waiting: Waiting, subject: Subject, owners: Iterable[Owner]) -> tuple[WorkItem, ...]:
    """Return one work item for each owner who is there and may see it."""
    return tuple(
        WorkItem(
            owner.role,
            owner.owner_id,
            subject.agreement_id,
            subject.about,
            subject.model,
            waiting.what,
            waiting.since or date.min,
            waiting.until,
            owner.until,
        )
        for owner in owners
        if owner.owner_id is not None and (owner.role != "coordinator" or owner.until is not None)
    )


def owner_of(actor: Actor) -> UUID:
    """Return whose work list an actor reads; raise `NotAllowed` where there is none."""
    owners = {
        "caseworker": actor.department_id,
        "coordinator": actor.organisation_id,
        "guardian": actor.id,
        "young_person": actor.id,
    }
    owner_id = owners.get(actor.role)
    if owner_id is None:
        raise NotAllowed
    return owner_id
