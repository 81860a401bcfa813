"""What time does to a referral: whom it reminds, and where it ends a silence."""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts import referral as told
from services.kernel.decider.decision import Decision, Timer, TimerFired
from services.referral.domain import decide
from services.referral.domain.commands import AcceptReferral, ConfirmDeletion, SeeReferral
from services.referral.domain.states import Referral
from services.referral.timers import CLOCK, wound
from tests.examples_referral import (
    KERTEMINDE,
    NOW,
    ORGANISATION,
    REFERRAL,
    a_case,
    a_consent,
    a_ready,
    a_recalled,
    a_seen,
    a_sent,
    a_withdrawn,
    an_accepted,
    an_awaiting,
    an_expired,
    consent_of,
    given,
    lost,
    referrals,
)


def climb(referral: Referral) -> list[tuple[date, str]]:
    """Let time pass until nothing falls due any more, and return what was said on which day."""
    case = a_case(referral, consent_of(referral))
    clock = wound(REFERRAL, referral, KERTEMINDE, NOW)
    said: list[tuple[date, str]] = []
    while clock.due_at:
        decision = decide(case, TimerFired(CLOCK, REFERRAL, clock.due_at), given(now=clock.due_at))
        (event,) = decision.events
        rung = event.rung if isinstance(event, told.ReferralNudged) else type(event).__name__
        said.append((clock.due_at.date(), rung))
        case, (clock,) = decision.state, decision.timers
    return said


def at(day: date) -> datetime:
    """Return six o'clock of a winter's day in Copenhagen."""
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC)


def test_an_unanswered_referral_climbs_the_ladder_and_expires() -> None:
    """Two days before the answer is due a reminder, then the stand-in, the leader, and at last the clock."""
    ladder = [
        (date(2026, 3, 9), "reminder"),
        (date(2026, 3, 11), "stand_in"),
        (date(2026, 3, 18), "leader"),
        (date(2026, 3, 25), "ReferralExpired"),
    ]

    assert climb(a_sent()) == ladder
    assert climb(a_seen()) == ladder


def test_a_question_is_brought_to_mind_once_and_lapses() -> None:
    """Whoever must consent is reminded after five working days, and not waited for after twenty."""
    assert climb(an_awaiting()) == [(date(2026, 3, 9), "reminder"), (date(2026, 3, 30), "ReferralExpired")]


def test_a_ready_referral_is_never_sent_by_the_clock() -> None:
    """A caseworker who does not send is reminded, then others are told; a person must send it."""
    assert climb(a_ready()) == [
        (date(2026, 3, 3), "reminder"),
        (date(2026, 3, 5), "stand_in"),
        (date(2026, 3, 12), "leader"),
    ]


@pytest.mark.parametrize("stopped", [a_recalled(), a_withdrawn()])
def test_an_unconfirmed_deletion_is_chased(stopped: Referral) -> None:
    """The organisation is asked again on the fifth working day; on the eighth a leader hears of it."""
    assert climb(stopped) == [(date(2026, 3, 9), "stand_in"), (date(2026, 3, 12), "leader")]


def test_a_nudge_says_which_step_waits_for_whom() -> None:
    """A nudge names the step, the rung and the organisation, and changes nothing."""
    case = a_case(a_sent(), a_consent())

    decision = decide(case, TimerFired(CLOCK, REFERRAL, at(date(2026, 3, 9))), given())

    assert decision == Decision(
        case,
        (
            told.ReferralNudged(
                referral_id=REFERRAL, organisation_id=ORGANISATION, step="sent", rung="reminder"
            ),
        ),
        timers=(Timer(CLOCK, REFERRAL, at(date(2026, 3, 11))),),
    )


def test_a_rung_that_was_postponed_is_not_skipped() -> None:
    """A timer that broke once and fires an hour late still stands for its own rung."""
    late = at(date(2026, 3, 11)) + timedelta(hours=1)

    decision = decide(a_case(a_sent(), a_consent()), TimerFired(CLOCK, REFERRAL, late), given(now=late))

    assert [event.model_dump()["rung"] for event in decision.events] == ["stand_in"]


def test_a_time_before_the_first_rung_wakes_nobody() -> None:
    """A time that was set for an earlier step means nothing to a later one."""
    case = a_case(a_sent(), a_consent())

    assert decide(case, TimerFired(CLOCK, REFERRAL, NOW), given()) == Decision(case)


def test_opening_a_referral_does_not_stop_the_clock_and_answering_does() -> None:
    """The answer is due seven working days after the sending, whenever it was opened."""
    seen = decide(a_case(a_sent(), a_consent()), SeeReferral(REFERRAL), given())
    accepted = decide(seen.state, AcceptReferral(REFERRAL), given())

    assert seen.timers == ()
    assert accepted.timers == (Timer(CLOCK, REFERRAL, None),)


def test_a_stop_winds_the_clock_for_the_deletion_and_the_confirmation_stops_it() -> None:
    """What must be deleted has a clock of its own, which takes the place of the answer's."""
    stopped = decide(a_case(a_seen(), a_consent()), lost(), given())
    confirmed = decide(stopped.state, ConfirmDeletion(REFERRAL), given())

    assert stopped.timers == (Timer(CLOCK, REFERRAL, at(date(2026, 3, 9))),)
    assert confirmed.timers == (Timer(CLOCK, REFERRAL, None),)


def test_who_answers_after_the_day_is_counted_as_late() -> None:
    """An answer on the day itself is in time."""
    day = a_sent().answer_by
    case = a_case(a_sent(), a_consent())

    on_the_day = decide(case, AcceptReferral(REFERRAL), given(now=at(day)))
    later = decide(case, AcceptReferral(REFERRAL), given(now=at(day) + timedelta(days=1)))

    assert on_the_day.state.referrals[REFERRAL].in_time
    assert not later.state.referrals[REFERRAL].in_time


def test_only_who_waits_has_a_clock() -> None:
    """Nothing falls due in a draft, an accepted or a finished referral."""
    winding = {
        str(referral.__struct_config__.tag)
        for referral in referrals()
        if wound(REFERRAL, referral, KERTEMINDE, NOW).due_at
    }

    assert winding == {"awaiting_consent", "ready", "sent", "seen", "recalled", "withdrawn"}
    assert wound(REFERRAL, an_accepted(), KERTEMINDE, NOW).due_at is None
    assert wound(REFERRAL, an_expired(), KERTEMINDE, NOW).due_at is None
