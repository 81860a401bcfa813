"""Subscriptions: the events that this service consumes, and why."""

from typing import Final

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, ConsentTicked, CustodyRecorded
from contracts.directory import (
    CapacityChanged,
    DepartmentRegistered,
    ModelAdopted,
    OfferPublished,
    OrganisationJoined,
    OrganisationLeft,
)
from contracts.event import Event

SUBSCRIPTIONS: Final[tuple[type[Event], ...]] = (
    ModelAdopted,  # a case is opened under the model that its municipality follows
    DepartmentRegistered,  # public help is that of a department of the municipality
    OrganisationJoined,  # nothing is sent to an organisation that has not accepted the terms
    OrganisationLeft,  # nor to one that takes part no longer
    OfferPublished,  # a referral is for one offer, and must fit its ages, area and theme
    CapacityChanged,  # two cannot take the last place
    CustodyRecorded,  # guardians may see their own child
    ConsentGranted,  # the gate opens
    ConsentLost,  # the gate closes at once
    ConsentTicked,  # the watermark: up to when the consents on record are complete
    AgreementInForce,  # a referral has done its work
    AgreementEnded,  # its place is free again
)
