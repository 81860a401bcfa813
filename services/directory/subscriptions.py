"""Subscriptions of the directory: which events it consumes, and what for."""

from typing import Final

from contracts import consent, referral
from contracts.event import Event

SUBSCRIBES_TO: Final[tuple[type[Event], ...]] = (
    referral.CaseOpened,  # the department whose caseworkers let a family in
    consent.CustodyRecorded,  # who belongs to the family
    consent.CustodyConfirmed,  # that a second employee has looked it up, before anybody is let in
)
