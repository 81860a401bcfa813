"""Steps of the portal: note what happened in a case, sign in and out; pure."""

from typing import Final

from msgspec.structs import replace

from contracts.event import Event
from contracts.portal import PortalSignedIn, PortalSignedOut
from contracts.referral import CaseClosed, CaseOpened
from services.kernel.decider.decision import Decision
from services.portal.domain.commands import SignIn, SignOut
from services.portal.domain.states import Account, Case, Entry
from services.portal.domain.transition import Transition

_MOST_ENTRIES: Final = 500
"""Entries of one case that are kept, the latest; the whole course stands in the audit trail."""

_ABOUT: Final = ("referral_id", "agreement_id", "evaluation_id")


def note(transition: Transition, before: Case | None, event: Event) -> Decision:
    """Add one entry; the order is that of time, in whichever order the topics are consumed."""
    case = before or Case()
    entry = Entry(transition.context.now, event.type, transition.context.actor.role, _about(event))
    entries = tuple(sorted((*case.entries, entry))[-_MOST_ENTRIES:])
    match event:
        case CaseOpened(department_id=department_id, caseworker_id=caseworker_id):
            case = replace(case, department_id=department_id, caseworker_id=caseworker_id)
        case CaseClosed():
            case = replace(case, closed=True)
    return Decision(replace(case, entries=entries))


def sign_in(transition: Transition, _before: Account | None, command: SignIn) -> Decision:
    """Put on record who has signed in, in which role and how surely."""
    context = transition.context
    signed_in = PortalSignedIn(
        account_id=context.stream_id, role=command.role, assurance=command.assurance, method=command.method
    )
    return Decision(Account(context.now), (signed_in,))


def sign_out(transition: Transition, before: Account, command: SignOut) -> Decision:
    """Put on record that a session was ended, and why."""
    account_id = transition.context.stream_id
    return Decision(
        before, (PortalSignedOut(account_id=account_id, role=command.role, reason=command.reason),)
    )


def _about(event: Event) -> str:
    return next((str(getattr(event, name)) for name in _ABOUT if getattr(event, name, None)), "")
