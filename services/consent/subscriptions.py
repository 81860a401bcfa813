"""Events that consent subscribes to, each with the reason."""

from typing import Final

from contracts.event import Event
from contracts.referral import (
    CaseClosed,
    CaseOpened,
    ConsentAwaited,
    ReferralClosed,
    ReferralDeclined,
    ReferralExpired,
    ReferralRecalled,
    ReferralWithdrawn,
)

SUBSCRIBES_TO: Final[tuple[type[Event], ...]] = (
    CaseOpened,  # whose department may record custody, and which model's rule counts
    ConsentAwaited,  # whom to ask for which facts
    ReferralDeclined,  # the questions about it are over
    ReferralRecalled,  # the same
    ReferralExpired,  # the same
    ReferralWithdrawn,  # the same
    ReferralClosed,  # what was given for it is used up
    CaseClosed,  # nobody is asked any more
)
