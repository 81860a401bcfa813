"""Which events this service hears, and why."""

from typing import Final

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, ConsentTicked, CustodyRecorded
from contracts.event import Event
from contracts.referral import CaseOpened

HEARS: Final[tuple[type[Event], ...]] = (
    CaseOpened,  # the case's department may act and look
    CustodyRecorded,  # guardians may see and speak for their own child
    ConsentGranted,  # the organisation may see and speak, until a time
    ConsentLost,  # sharing stops at once
    ConsentTicked,  # how far back the two before may be trusted
    AgreementInForce,  # evaluations are planned by it; it names referral, organisation, goals and rhythm
    AgreementEnded,  # nothing more is held; the last measurement is asked for
)
