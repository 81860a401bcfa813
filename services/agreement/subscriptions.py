"""Events that the agreement service consumes, and why."""

from typing import Final

from contracts.consent import ConsentGranted, ConsentLost, ConsentTicked, CustodyRecorded
from contracts.evaluation import EvaluationConcluded
from contracts.event import Event
from contracts.referral import CaseOpened, ReferralAccepted, ReferralRecalled, ReferralWithdrawn

SUBSCRIBES_TO: Final[tuple[type[Event], ...]] = (
    CaseOpened,  # the case's department may act and read
    ReferralAccepted,  # the parties are invited to a start-up meeting
    ReferralRecalled,  # the municipality took the referral back: what grew out of it ends
    ReferralWithdrawn,  # the same as a lost consent; whichever arrives first ends the agreement
    CustodyRecorded,  # guardians may read and sign for their own child
    ConsentGranted,  # the organisation may read and act, until a time
    ConsentLost,  # sharing stops at once
    ConsentTicked,  # how far back the two before may be trusted
    EvaluationConcluded,  # the agreement goes on, is adjusted or ends; goals were reached or not
)
