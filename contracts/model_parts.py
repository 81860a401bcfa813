"""Parts of a collaboration model: frozen values with their bounds."""

import calendar
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Final, Literal, Protocol, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from contracts.event import Code

Language = Literal["da", "nb", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("da", "nb", "en")

Words = Annotated[str, StringConstraints(pattern=r"\S")]
"""Something to read: a text that is not blank."""

Age = Annotated[int, Field(ge=0, le=120, description="full years")]
Days = Annotated[int, Field(ge=0, le=366, description="a whole number of days")]
SomeDays = Annotated[int, Field(ge=1, le=366, description="a whole number of days, at least one")]

Quorum = Literal["all_holders", "residence_holder", "young_person_and_holders", "authority_decision"]
Side = Literal["family", "organisation", "municipality"]
Assurance = Literal["low", "substantial", "high"]

_LEAP_YEAR: Final = 2000


def _day_of_the_year(text: str) -> str:
    """Return the text if the calendar has such a day."""
    month, day = int(text[:2]), int(text[3:])
    if not (
        1 <= month <= len(calendar.month_name) - 1 and 1 <= day <= calendar.monthrange(_LEAP_YEAR, month)[1]
    ):
        raise ValueError("no such day; a month and a day, such as 12-24")
    return text


MonthDay = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}-[0-9]{2}$"), AfterValidator(_day_of_the_year)]
"""A day of every year, month first: `12-24`."""


def _existing_timezone(text: str) -> str:
    """Return the text if the time zone database has it."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise ValueError("no such time zone; a name such as Europe/Copenhagen") from unknown
    return text


Timezone = Annotated[str, AfterValidator(_existing_timezone)]


class Part(BaseModel):
    """A frozen piece of a model; unknown keys are refused and nothing is converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Text(Part):
    """The same words in each language."""

    da: Words
    nb: Words
    en: Words

    def said_in(self, language: Language) -> str:
        """Return the words in one language."""
        words: str = getattr(self, language)
        return words


class Word(Part):
    """A code of the model, and what a person reads for it."""

    code: Code
    text: Text


class Theme(Word):
    """What an offer is about, the kinds of measure it can be, and the purposes it serves."""

    measures: tuple[Code, ...]
    purposes: tuple[Code, ...]


class TargetGroup(Part):
    """Whom the model is for; `age_to` is the last full year, 17 is "before the 18th birthday"."""

    age_from: Age
    age_to: Age
    residence_required: bool
    conditions: tuple[Word, ...]
    factors: tuple[Word, ...]


class Criterion(Word):
    """One question of eligibility, who or what answers it, and the reason that stands for each answer.

    A `needed` criterion must hold; an `excluding` one must not.
    `by` says where the answer comes from: the child's age or residence against the target group, a
    condition of the target group that is lacking, the need against the offer, or a professional's own answer.
    """

    kind: Literal["needed", "excluding"]
    by: Literal["age", "residence", "condition", "offer", "answer"]
    holds: Word
    fails: Word
    statutory_channel: bool


class Fact(Word):
    """A kind of fact that may be shared, and from which step on the organisation sees it."""

    shown_from: Literal["sent", "accepted"]
    always: bool


class ConsentRule(Part):
    """Who must consent, from a day on, and by which law.

    `heard_from`: the child's own view is obtained; `party_from`: own party rights in listed cases;
    `young_person_from`: their consent is needed too; `own_from`: only theirs is.
    """

    code: Code
    valid_from: date
    quorum: Quorum
    heard_from: Age
    party_from: Age
    young_person_from: Age
    own_from: Age
    sources: tuple[Words, ...]


class ConsentText(Part):
    """The text shown to a person whose consent is requested; it never changes, a new one has a new id."""

    id: Code
    audience: Literal["guardian", "young_person", "child"]
    text: Text

    def sha256(self, language: Language) -> str:
        """Return the SHA-256 digest of the text in one language, in hexadecimal."""
        return _sha256(self.text.said_in(language))


@lru_cache(maxsize=256)
def _sha256(words: str) -> str:
    return sha256(words.encode()).hexdigest()


class ConsentTerms(Part):
    """How long a consent lasts at most, who gives it and how surely that is known, and what they are shown.

    `second_employee`: a yes that an employee minutes permits nothing until another one has confirmed it.
    `assurance`: the least level of a sign-in by which a person says yes themselves.
    """

    months: Annotated[int, Field(ge=1, le=12, description="whole months, 12 at most")]
    second_employee: bool = True
    assurance: Assurance = "high"
    rules: Annotated[tuple[ConsentRule, ...], Field(min_length=1)]
    texts: Annotated[tuple[ConsentText, ...], Field(min_length=1)]

    def rule_on(self, day: date) -> ConsentRule | None:
        """Return the rule in force on a day: the youngest that has begun; none before the first."""
        begun = [rule for rule in self.rules if rule.valid_from <= day]
        return max(begun, key=lambda rule: rule.valid_from, default=None)


class Deadlines(Part):
    """How long each step may take, in working days of the model's calendar."""

    dialogue: SomeDays
    consent_remind: SomeDays
    consent_lapse: SomeDays
    consent_confirm: SomeDays
    send: SomeDays
    seen: SomeDays
    answer: SomeDays
    information: SomeDays
    waitlist: SomeDays
    meeting: SomeDays
    delete_confirm: SomeDays
    delete_escalate: SomeDays
    pause_review: SomeDays


class Ladder(Part):
    """Escalation: who is notified and when, in working days before or after the day something is due."""

    reminder_before: SomeDays
    stand_in_after: Days
    leader_after: SomeDays
    move_after: SomeDays


class Rhythm(Part):
    """How often the parties report and meet, in calendar days and months."""

    update_days: SomeDays
    evaluation_days: SomeDays
    measurement_after_months: Annotated[int, Field(ge=1, le=24, description="whole months, 24 at most")]


class Calendar(Part):
    """Working days: all but weekends, a country's holidays and own closed days; and the time zone."""

    holidays: Annotated[
        str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(description="a country such as DK")
    ]
    closed_days: tuple[MonthDay, ...]
    timezone: Timezone


class Dimension(Word):
    """What is measured, from lowest to highest; a move of at least `threshold` is better or worse."""

    lowest: int
    highest: int
    threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Reason(Word):
    """Why something ended, and whose side the reason is on."""

    side: Side


class Association(Part):
    """A voluntary association that has agreed to the model."""

    code: Code
    name: Words


class _Coded(Protocol):
    @property
    def code(self) -> str: ...


C = TypeVar("C", bound=_Coded)


def by_code(parts: Iterable[C], code: str) -> C | None:
    """Return the part with a code, or None where the model has none."""
    return next((part for part in parts if part.code == code), None)
