"""History of a case's referrals: when each of them first took each step, by its events; pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from contracts import referral as events
from contracts.event import Event

STEPS: Final[Mapping[type[Event], int]] = {
    events.ConsentAwaited: 0,
    events.ReferralReady: 1,
    events.ReferralSent: 2,
    events.ReferralSeen: 3,
    events.ReferralAccepted: 4,
    events.ReferralDeclined: 4,
    events.ReferralUnderWay: 5,
    events.ReferralClosed: 6,
    events.ReferralRecalled: 6,
    events.ReferralWithdrawn: 6,
    events.ReferralExpired: 6,
    events.DeletionConfirmed: 7,
}
"""The step of a referral that an event stands for, in the order of the columns that hold its time."""


class ReferralHistory(Struct, frozen=True):
    """One referral: its draft, and when it first took each step."""

    drafted: events.ReferralDrafted
    drafted_at: datetime
    taken_at: list[datetime | None]


def histories_of(log: Iterable[tuple[datetime, Event | None]]) -> dict[UUID, ReferralHistory]:
    """Return the history of each referral of a case, from the case's events in order, with their times."""
    histories: dict[UUID, ReferralHistory] = {}
    for at, event in log:
        if isinstance(event, events.ReferralDrafted):
            histories[event.referral_id] = ReferralHistory(event, at, [None] * (max(STEPS.values()) + 1))
            continue
        step = STEPS.get(type(event)) if event is not None else None
        if step is None:
            continue
        taken_at = histories[event.referral_id].taken_at  # type: ignore[union-attr]  # each of these names one
        taken_at[step] = taken_at[step] or at
    return histories
