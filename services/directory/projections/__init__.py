"""Projections of the directory: which tables a batch of changed streams writes."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, assert_never

from msgspec.structs import astuple

from contracts.event import AccessChanged
from services.directory.domain.states import (
    Account,
    Administrators,
    FamilyCase,
    Identity,
    Invitation,
    Machine,
    Municipality,
    Offer,
    Organisation,
    Person,
    State,
    WrongCodes,
)
from services.directory.projections.accounts import (
    DELETE_PEOPLE,
    KEEP_ACCOUNTS,
    KEEP_IDENTITIES,
    KEEP_INVITATIONS,
    KEEP_MEMBERSHIPS,
    KEEP_PEOPLE,
    account_row,
    identity_row,
    invitation_row,
    membership_rows,
    person_rows,
)
from services.directory.projections.catalogue import (
    KEEP_OFFERS,
    KEEP_ORGANISATIONS,
    offer_row,
    organisation_row,
)
from services.kernel.decider.revocations import KEEP_REVOCATIONS, revocation_of
from services.kernel.decider.service import ProjectionWriter, StreamChange

_ORDER: Final = (
    KEEP_ORGANISATIONS,
    KEEP_OFFERS,
    KEEP_REVOCATIONS,
    KEEP_ACCOUNTS,
    KEEP_MEMBERSHIPS,
    KEEP_INVITATIONS,
    KEEP_IDENTITIES,
    DELETE_PEOPLE,
    KEEP_PEOPLE,
)
"""The statements, in the order in which they are written."""

_Rows = defaultdict[str, list[tuple[Any, ...]]]


async def project(tx: ProjectionWriter, changes: Sequence[StreamChange]) -> None:
    """Write the rows of all streams that a batch has changed."""
    rows: _Rows = defaultdict(list)
    for change in changes:
        _add_state(rows, change)
        rows[KEEP_REVOCATIONS] += _revocations(change)
    for statement in _ORDER:
        if rows[statement]:
            await tx.execute(statement, *(list(column) for column in zip(*rows[statement], strict=True)))


def _add_state(rows: _Rows, change: StreamChange) -> None:
    state: State | None = change.state
    match state:
        case Organisation():
            rows[KEEP_ORGANISATIONS].append(organisation_row(change, state))
        case Offer():
            rows[KEEP_OFFERS].append(offer_row(change, state))
        case Account() | Machine():
            rows[KEEP_ACCOUNTS].append(account_row(change, state))
            rows[KEEP_MEMBERSHIPS] += membership_rows(change, state)
        case Invitation():
            rows[KEEP_INVITATIONS].append(invitation_row(change, state))
        case Identity():
            rows[KEEP_IDENTITIES].append(identity_row(change, state.account_id))
        case FamilyCase():
            before, after = person_rows(change, change.before), person_rows(change, state)
            kept = {row[:3] for row in after}
            rows[DELETE_PEOPLE] += {row[:3] for row in before} - kept
            rows[KEEP_PEOPLE] += after - before
        case Municipality() | Person() | Administrators() | WrongCodes():
            pass
        case None:
            pass  # the stream of one person's accesses holds events alone
        case _:
            assert_never(state)


def _revocations(change: StreamChange) -> list[tuple[Any, ...]]:
    """Return who is let in no more, or again, for the sign-in of this service itself."""
    return [
        astuple(revocation_of(change.tenant, event.body, event.time))
        for event in change.events
        if isinstance(event.body, AccessChanged)
    ]
