"""Guards of roles: which place a role needs, and who may not be given one; pure."""

from datetime import date
from typing import Final
from uuid import UUID

from services.directory.domain.refusals import (
    CustodyUnconfirmed,
    DaysReversed,
    DepartmentMissing,
    OrganisationMissing,
    OwnRole,
    PersonBoundAlready,
    PositionIncomplete,
    RoleNotForMachines,
    RoleOfAnother,
)
from services.directory.domain.states import Bound, FamilyCase, Joined, Organisation, Person, Position
from services.directory.domain.transition import Transition

FAMILY: Final = frozenset({"guardian", "young_person"})
"""Roles of somebody whom a case names; their caseworkers invite them."""

_FOR_PEOPLE: Final = FAMILY | {"administrator"}
"""Roles that no program has."""

_NEEDS: Final = {"caseworker": "department", "coordinator": "organisation"}
_MAY_HAVE: Final = {"leader": "department", "bridge_builder": "department"}


def require_place(transition: Transition, position: Position) -> None:
    """Refuse a role without the place that it needs, or in one that does not take part."""
    named = {
        kind
        for kind, one in (
            ("department", position.department_id),
            ("organisation", position.organisation_id),
            ("person", position.person_id),
        )
        if one is not None
    }
    needed = {_NEEDS[position.role]} if position.role in _NEEDS else set()
    if not needed <= named <= needed | {_MAY_HAVE.get(position.role, "")}:
        raise PositionIncomplete(", ".join(sorted(needed)))
    if position.department_id not in {None, *transition.municipality.departments}:
        raise DepartmentMissing
    if position.organisation_id is not None:
        organisation = transition.context.others.get(position.organisation_id)
        if not isinstance(organisation, Organisation) or not isinstance(organisation.membership, Joined):
            raise OrganisationMissing


def require_for_machines(position: Position) -> None:
    """Refuse a program the roles that are for people alone."""
    if position.role in _FOR_PEOPLE:
        raise RoleNotForMachines


def require_family(transition: Transition, position: Position) -> None:
    """Refuse whom no confirmed custody names in this role, and who can sign in already.

    So nobody alone can put somebody on record, let them in and have them answer for a child.
    """
    person_id = position.person_id
    if person_id is None or position.role not in roles_of(transition, person_id):
        raise RoleOfAnother
    if position.role not in roles_of(transition, person_id, confirmed=True):
        raise CustodyUnconfirmed
    require_unbound(transition.context.others.get(person_id))


def roles_of(transition: Transition, person_id: UUID, *, confirmed: bool = False) -> list[str]:
    """Return the roles in which cases name a person; with `confirmed` of cases whose custody is."""
    cases = [one for one in transition.context.others.values() if isinstance(one, FamilyCase)]
    found = [one.role_of(person_id) for one in cases if one.is_confirmed or not confirmed]
    return [role for role in found if role is not None]


def require_unbound(person: object) -> None:
    """Refuse a person who can sign in already."""
    if isinstance(person, Person) and isinstance(person.binding, Bound):
        raise PersonBoundAlready


def require_days(since: date, until: date | None, today: date) -> None:
    """Refuse days that count backwards, or that have passed."""
    if until is not None and until < max(since, today):
        raise DaysReversed


def require_another(giver: UUID, account_id: UUID) -> None:
    """Refuse to give a role to oneself."""
    if giver == account_id:
        raise OwnRole
