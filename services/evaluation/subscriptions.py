"""Events that the evaluation service consumes, and why."""

from typing import Final

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, ConsentTicked, CustodyRecorded
from contracts.event import Event
from contracts.referral import CaseOpened

SUBSCRIBES_TO: Final[tuple[type[Event], ...]] = (
    CaseOpened,  # the case's department may act and read
    CustodyRecorded,  # guardians may read and speak for their own child
    ConsentGranted,  # the organisation may read and speak, until a time
    ConsentLost,  # sharing stops at once
    ConsentTicked,  # how far back the two before may be trusted
    AgreementInForce,  # evaluations are planned by it; it names referral, organisation, goals and rhythm
    AgreementEnded,  # nothing more is held; the last measurement is waited for
)
