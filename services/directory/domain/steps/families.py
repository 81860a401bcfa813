"""Steps of families: which department a case has, and who belongs to the family; pure."""

from msgspec.structs import replace

from contracts.consent import CustodyConfirmed, CustodyRecorded
from contracts.referral import CaseOpened
from services.directory.domain.states import FamilyCase
from services.directory.domain.transition import Transition
from services.kernel.decider.decision import Decision


def note_case(_transition: Transition, before: FamilyCase | None, event: CaseOpened) -> Decision:
    """Note the department and the child of a case."""
    case = before or FamilyCase()
    return Decision(replace(case, department_id=event.department_id, child_id=event.child_id))


def note_custody(_transition: Transition, before: FamilyCase | None, event: CustodyRecorded) -> Decision:
    """Note who holds parental responsibility; who is named no more can be invited no more."""
    case = before or FamilyCase()
    return Decision(
        replace(
            case,
            holder_ids=frozenset(event.holder_ids),
            young_person_id=event.young_person_id,
            custody_recorded_at=event.recorded_at,
        )
    )


def note_confirmation(
    _transition: Transition, before: FamilyCase | None, event: CustodyConfirmed
) -> Decision:
    """Note which record of custody a second employee has confirmed."""
    return Decision(replace(before or FamilyCase(), custody_confirmed=event.recorded_at))
