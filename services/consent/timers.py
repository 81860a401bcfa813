"""What falls due in a case: a question that nobody answers, a yes that runs out, a child that grows older."""

from datetime import UTC, date, datetime, time
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from services.kernel.decider.decision import Timer
from services.kernel.decider.working_days import Calendar

LAPSE: Final = "lapse"
EXPIRY: Final = "expiry"
AGE: Final = "age"

# Only the local day is asked of it; Oslo keeps the same clock as Copenhagen.
LOCAL: Final = Calendar(country="DK", closed=(), timezone="Europe/Copenhagen")


def lapses(referral_id: UUID, day: date) -> Timer:
    """Stop waiting for answers on the morning of a day."""
    return Timer(LAPSE, referral_id, LOCAL.morning(day))


def lapses_no_more(referral_id: UUID) -> Timer:
    """Forget the end of the waiting."""
    return Timer(LAPSE, referral_id, None)


def expires(consent_id: UUID, at: datetime) -> Timer:
    """End a yes when its time is over."""
    return Timer(EXPIRY, consent_id, at)


def expires_no_more(consent_id: UUID) -> Timer:
    """Forget the end of a yes."""
    return Timer(EXPIRY, consent_id, None)


def looks_at_age(case_id: UUID, day: date | None) -> Timer:
    """Hold the rule against the child's age again as a day begins, or never again."""
    if day is None:
        return Timer(AGE, case_id, None)
    midnight = datetime.combine(day, time(), ZoneInfo(LOCAL.timezone))
    return Timer(AGE, case_id, midnight.astimezone(UTC))
