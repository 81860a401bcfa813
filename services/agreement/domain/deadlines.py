"""Deadlines of an agreement: what each state waits for, and the timers and work items made of it; pure."""

from datetime import date, timedelta
from typing import Final, assert_never
from uuid import UUID

from contracts.model import CollaborationModel
from services.agreement.domain.states import (
    Agreement,
    Case,
    Ended,
    InForce,
    Invited,
    Met,
    Proposal,
    Proposed,
)
from services.kernel.decider.deadlines import Waiting
from services.kernel.decider.decision import Timer
from services.kernel.decider.escalation import DUE, escalation_steps
from services.kernel.decider.work_items import Owner, Subject, WorkItem, work_items
from services.kernel.decider.working_days import calendar_of

MEETING: Final = "meeting"
PROGRESS: Final = "progress"
END: Final = "end"

NOBODY: Final = "nobody"
"""The party of a wait that ends by itself."""

NO_DEADLINE: Final = "no_deadline_in_the_model"

_WITHOUT: Final = frozenset({DUE})
_ONE_DAY: Final = timedelta(days=1)


def waiting(case: Case, agreement: Agreement) -> tuple[Waiting, ...]:
    """Return what an agreement waits for; nothing once it is over."""
    match agreement:
        case Invited():
            since, until = agreement.about.invited_on, agreement.meeting_by
            return tuple(Waiting(MEETING, party, since, until, then="no_meeting") for party in case.parties)
        case Met():
            return (_unwritten(agreement.held_on),)
        case Proposed():
            return _unsigned(case, agreement.proposal, agreement.held_on)
        case InForce():
            return _in_force(case, agreement)
        case Ended():
            return ()
        case _:
            assert_never(agreement)


def _in_force(case: Case, agreement: InForce) -> tuple[Waiting, ...]:
    due, last, since = agreement.expected.due_on, agreement.terms.ends_on, agreement.in_force_on
    then = "missed" if due < last else ""
    adjustment: tuple[Waiting, ...] = ()
    if agreement.proposal is not None:
        adjustment = _unsigned(case, agreement.proposal, since)
    elif agreement.adjustable:
        adjustment = (_unwritten(since),)
    return (
        Waiting("progress_missing", "municipality", due + _ONE_DAY, due),
        Waiting(PROGRESS, "organisation", since, due, then),
        *adjustment,
        Waiting(END, NOBODY, since, last, then="completed"),
    )


def _unwritten(since: date) -> Waiting:
    return Waiting("proposal", "municipality", since, None, open_ended=NO_DEADLINE)


def _unsigned(case: Case, proposal: Proposal, since: date) -> tuple[Waiting, ...]:
    signed = {one.party for one in case.standing(proposal.signed)}
    # where the last name is needed no longer, the municipality signs again and brings it into force
    missing = [party for party in case.parties if party not in signed] or ["municipality"]
    return tuple(Waiting("signature", party, since, proposal.terms.starts_on) for party in missing)


def timers_of(
    case: Case, agreement_id: UUID, agreement: Agreement, model: CollaborationModel
) -> tuple[Timer, ...]:
    """Return the timers of a state: one escalation for each day after which something follows by itself."""
    due = {one.what: one.until for one in waiting(case, agreement) if one.then and one.until}
    return tuple(timer for what, day in due.items() for timer in _timers(what, agreement_id, day, model))


def _timers(what: str, agreement_id: UUID, day: date, model: CollaborationModel) -> tuple[Timer, ...]:
    calendar = calendar_of(model)
    if what == END:
        return (Timer(END, agreement_id, calendar.morning(day)),)
    steps = escalation_steps(calendar, model.ladder, day, without=_WITHOUT)
    return tuple(Timer(f"{what}:{step}", agreement_id, at) for step, at in steps)


def work_items_of(case: Case) -> tuple[WorkItem, ...]:
    """Return the work items of a case: one for each who can end a wait."""
    return tuple(
        item
        for agreement_id, agreement in case.agreements.items()
        for one in waiting(case, agreement)
        for item in work_items(
            one,
            Subject(agreement_id, agreement_id, agreement.about.model),
            _owners(case, agreement, one.party),
        )
    )


def _owners(case: Case, agreement: Agreement, party: str) -> tuple[Owner, ...]:
    match party:
        case "municipality":
            return (Owner("caseworker", case.department_id),)
        case "organisation":
            until = case.consents.get(agreement.about.referral_id)
            return (Owner("coordinator", agreement.about.organisation_id, until),)
        case "young_person":
            return (Owner("young_person", case.young_person_id),)
        case "family":
            role = "guardian" if case.guardians else "young_person"
            return tuple(Owner(role, person) for person in case.family)
        case _:
            return ()
