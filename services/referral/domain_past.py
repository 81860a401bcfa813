"""What the events of a case tell of the steps that its referrals took, and when; pure."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct

from contracts import referral as told
from contracts.event import Event

STEPS: Final[Mapping[type[Event], int]] = {
    told.ConsentAwaited: 0,
    told.ReferralReady: 1,
    told.ReferralSent: 2,
    told.ReferralSeen: 3,
    told.ReferralAccepted: 4,
    told.ReferralDeclined: 4,
    told.ReferralUnderWay: 5,
    told.ReferralClosed: 6,
    told.ReferralRecalled: 6,
    told.ReferralWithdrawn: 6,
    told.ReferralExpired: 6,
    told.DeletionConfirmed: 7,
}
"""Which step of a referral an event tells of, in the order of the columns that hold its time."""

_ZONE: Final = ZoneInfo("Europe/Copenhagen")
"""Where the day of an answer counts; Norway's clocks go alike."""


class Past(Struct):
    """One referral's way: as what it was drafted, and when it first took each step."""

    drafted: told.ReferralDrafted
    drafted_at: datetime
    taken_at: list[datetime | None]
    answer_by: date | None = None
    in_time: bool | None = None


def pasts_of(events: Iterable[tuple[datetime, Event | None]]) -> dict[UUID, Past]:
    """Return the way of each referral of a case, from all events of the case in order, with their times."""
    pasts: dict[UUID, Past] = {}
    for at, event in events:
        if isinstance(event, told.ReferralDrafted):
            pasts[event.referral_id] = Past(event, at, [None] * (max(STEPS.values()) + 1))
            continue
        step = STEPS.get(type(event)) if event is not None else None
        if step is None:
            continue
        past = pasts[event.referral_id]  # type: ignore[union-attr]  # each of these names one
        past.taken_at[step] = past.taken_at[step] or at
        if isinstance(event, told.ReferralSent):
            past.answer_by = event.answer_by
        elif isinstance(event, told.ReferralAccepted) and past.answer_by is not None:
            past.in_time = event.accepted_at.astimezone(_ZONE).date() <= past.answer_by
    return pasts
