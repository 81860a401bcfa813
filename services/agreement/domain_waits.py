"""What waits for whom in a case: the rows of everybody's work list; pure."""

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from services.agreement.domain_states import (
    Agreement,
    Case,
    Ended,
    InForce,
    Invited,
    Met,
    Party,
    Proposal,
    Proposed,
)

_ONE_DAY: Final = timedelta(days=1)


class Wait(Struct, frozen=True):
    """Something that waits for somebody: a department, an organisation or a person, by their role.

    It is shown from a day on; an organisation sees it `until` its consent ends.
    """

    role: str
    whose: UUID
    agreement_id: UUID
    what: str
    shown_from: date
    due_on: date | None
    until: datetime | None = None


def waits_of(case: Case) -> tuple[Wait, ...]:
    """Return what waits for whom in a case."""
    return tuple(
        wait
        for agreement_id, agreement in case.agreements.items()
        for what, party, shown_from, due_on in _open_ends(case, agreement)
        for wait in _addressed(case, agreement_id, agreement, (what, party, shown_from, due_on))
    )


_OpenEnd = tuple[str, Party, date, date | None]


def _open_ends(case: Case, agreement: Agreement) -> tuple[_OpenEnd, ...]:
    match agreement:
        case Invited():
            since, due = agreement.about.invited_on, agreement.meeting_by
            return tuple(("meeting", party, since, due) for party in case.parties)
        case Met():
            return (("proposal", "municipality", agreement.held_on, None),)
        case Proposed():
            return _unsigned(case, agreement.proposal, agreement.held_on)
        case InForce():
            due = agreement.expected.due_on
            chase: _OpenEnd = ("progress_missing", "municipality", due + _ONE_DAY, due)
            report: _OpenEnd = ("progress", "organisation", agreement.in_force_on, due)
            return (chase, report, *_adjustment(case, agreement))
        case Ended():
            return ()


def _adjustment(case: Case, agreement: InForce) -> tuple[_OpenEnd, ...]:
    if agreement.proposal is not None:
        return _unsigned(case, agreement.proposal, agreement.in_force_on)
    return (("proposal", "municipality", agreement.in_force_on, None),) if agreement.adjustable else ()


def _unsigned(case: Case, proposal: Proposal, since: date) -> tuple[_OpenEnd, ...]:
    signed = {one.party for one in case.standing(proposal.signed)}
    due = proposal.terms.starts_on
    # where the last name is needed no longer, the municipality's said again brings it into force
    missing = [party for party in case.parties if party not in signed] or ["municipality"]
    return tuple(("signature", party, since, due) for party in missing)


def _addressed(case: Case, agreement_id: UUID, agreement: Agreement, open_end: _OpenEnd) -> tuple[Wait, ...]:
    """Return one row for each who can answer; none for a party that is not known yet, or may not see it."""
    what, party, shown_from, due_on = open_end
    until = case.consents.get(agreement.about.referral_id) if party == "organisation" else None
    return tuple(
        Wait(role, whose, agreement_id, what, shown_from, due_on, until)
        for role, whose in _answering(case, agreement, party)
        if whose is not None and (role != "coordinator" or until is not None)
    )


def _answering(case: Case, agreement: Agreement, party: Party) -> tuple[tuple[str, UUID | None], ...]:
    match party:
        case "municipality":
            return (("caseworker", case.department_id),)
        case "organisation":
            return (("coordinator", agreement.about.organisation_id),)
        case "young_person":
            return (("young_person", case.young_person_id),)
        case "family":
            role = "guardian" if case.guardians else "young_person"
            return tuple((role, person) for person in case.family)
