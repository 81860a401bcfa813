"""Deadlines of a referral: reminders, escalation, expiry, and what each state waits for."""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts import referral as events
from services.kernel.decider.decision import Decision, Timer, TimerFired
from services.kernel.decider.escalation import AUTOMATIC, LEADER
from services.kernel.decider.working_days import calendar_of
from services.referral.domain.commands import AcceptReferral, ConfirmDeletion, SeeReferral
from services.referral.domain.deadlines import (
    DEADLINE,
    EXPIRES,
    escalation_of,
    schedule,
    waiting,
    waiting_of_case,
)
from services.referral.domain.lifecycle import decide
from services.referral.domain.states import Case, Ending, Expected, Open, Referral, Stopped
from tests.examples_referral import (
    KERTEMINDE,
    NOW,
    ORGANISATION,
    REFERRAL,
    a_case,
    a_consent,
    a_context,
    a_ready,
    a_recalled,
    a_seen,
    a_sent,
    a_withdrawn,
    an_accepted,
    an_awaiting,
    an_eligibility,
    an_expired,
    consent_of,
    lost,
    referrals,
)


def escalations(referral: Referral) -> list[tuple[date, str]]:
    """Let time pass until no timer is set any more, and return the step of each day."""
    case = a_case(referral, consent_of(referral))
    timer = timer_of(referral)
    escalated: list[tuple[date, str]] = []
    while timer.due_at:
        decision = decide(case, TimerFired(DEADLINE, REFERRAL, timer.due_at), a_context(now=timer.due_at))
        (event,) = decision.events
        rung = event.rung if isinstance(event, events.ReferralNudged) else type(event).__name__
        escalated.append((timer.due_at.date(), rung))
        case, (timer,) = decision.state, decision.timers
    return escalated


def timer_of(referral: Referral) -> Timer:
    """Return the timer that a referral in this state is set."""
    return schedule(REFERRAL, referral, KERTEMINDE, calendar_of(KERTEMINDE), NOW)


def at(day: date) -> datetime:
    """Return six o'clock of a winter's day in Copenhagen."""
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC)


def test_an_unanswered_referral_escalates_and_expires() -> None:
    """Two days before the answer is due a reminder, then the stand-in, the leader, and at last the expiry."""
    ladder = [
        (date(2026, 3, 9), "reminder"),
        (date(2026, 3, 11), "stand_in"),
        (date(2026, 3, 18), "leader"),
        (date(2026, 3, 25), "ReferralExpired"),
    ]

    assert escalations(a_sent()) == ladder
    assert escalations(a_seen()) == ladder


def test_a_consent_request_is_reminded_once_and_expires() -> None:
    """Those who must consent are reminded after five working days; after twenty the wait ends."""
    assert escalations(an_awaiting()) == [
        (date(2026, 3, 9), "reminder"),
        (date(2026, 3, 30), "ReferralExpired"),
    ]


def test_a_ready_referral_is_never_sent_by_a_timer() -> None:
    """A caseworker who does not send is reminded, then others are notified; a person must send it."""
    assert escalations(a_ready()) == [
        (date(2026, 3, 3), "reminder"),
        (date(2026, 3, 5), "stand_in"),
        (date(2026, 3, 12), "leader"),
    ]


@pytest.mark.parametrize("stopped", [a_recalled(), a_withdrawn()])
def test_an_unconfirmed_deletion_escalates(stopped: Referral) -> None:
    """The organisation is reminded on the fifth working day; on the eighth a leader is notified."""
    assert escalations(stopped) == [(date(2026, 3, 9), "stand_in"), (date(2026, 3, 12), "leader")]


def test_a_nudge_names_the_step_and_the_organisation() -> None:
    """A nudge names the step, the rung and the organisation, and leaves the state."""
    case = a_case(a_sent(), a_consent())

    decision = decide(case, TimerFired(DEADLINE, REFERRAL, at(date(2026, 3, 9))), a_context())

    assert decision == Decision(
        case,
        (
            events.ReferralNudged(
                referral_id=REFERRAL, organisation_id=ORGANISATION, step="sent", rung="reminder"
            ),
        ),
        timers=(Timer(DEADLINE, REFERRAL, at(date(2026, 3, 11))),),
    )


def test_a_postponed_step_is_not_skipped() -> None:
    """A timer that failed once and fires an hour late still stands for its own step."""
    late = at(date(2026, 3, 11)) + timedelta(hours=1)

    decision = decide(
        a_case(a_sent(), a_consent()), TimerFired(DEADLINE, REFERRAL, late), a_context(now=late)
    )

    assert [event.model_dump()["rung"] for event in decision.events] == ["stand_in"]


def test_a_timer_before_the_first_step_changes_nothing() -> None:
    """A timer that was set for an earlier state means nothing to a later one."""
    case = a_case(a_sent(), a_consent())

    assert decide(case, TimerFired(DEADLINE, REFERRAL, NOW), a_context()) == Decision(case)


def test_opening_a_referral_keeps_its_timer_and_answering_cancels_it() -> None:
    """The answer is due seven working days after the sending, whenever it was opened."""
    seen = decide(a_case(a_sent(), a_consent()), SeeReferral(REFERRAL), a_context())
    accepted = decide(seen.state, AcceptReferral(REFERRAL), a_context())

    assert seen.timers == ()
    assert accepted.timers == (Timer(DEADLINE, REFERRAL, None),)


def test_a_stop_sets_the_timer_of_the_deletion_and_the_confirmation_cancels_it() -> None:
    """A deletion has a deadline of its own, which replaces that of the answer."""
    stopped = decide(a_case(a_seen(), a_consent()), lost(), a_context())
    confirmed = decide(stopped.state, ConfirmDeletion(REFERRAL), a_context())

    assert stopped.timers == (Timer(DEADLINE, REFERRAL, at(date(2026, 3, 9))),)
    assert confirmed.timers == (Timer(DEADLINE, REFERRAL, None),)


def test_an_answer_after_the_day_counts_as_late() -> None:
    """An answer on the day itself is in time."""
    day = a_sent().answer_by
    case = a_case(a_sent(), a_consent())

    on_the_day = decide(case, AcceptReferral(REFERRAL), a_context(now=at(day)))
    later = decide(case, AcceptReferral(REFERRAL), a_context(now=at(day) + timedelta(days=1)))

    assert on_the_day.state.referrals[REFERRAL].in_time
    assert not later.state.referrals[REFERRAL].in_time


def test_only_waiting_referrals_have_a_timer() -> None:
    """Nothing falls due in a draft, an accepted or a finished referral."""
    with_timer = {
        str(referral.__struct_config__.tag) for referral in referrals() if timer_of(referral).due_at
    }

    assert with_timer == {"awaiting_consent", "ready", "sent", "seen", "recalled", "withdrawn"}
    assert timer_of(an_accepted()).due_at is None
    assert timer_of(an_expired()).due_at is None


@pytest.mark.parametrize("referral", referrals(), ids=lambda referral: str(referral.__struct_config__.tag))
def test_an_open_referral_waits_for_someone_until_a_day_or_for_a_named_reason(referral: Referral) -> None:
    """Each open state names its party, and its day or why it has none; a final state waits for nothing."""
    wait = waiting(referral)
    is_open = isinstance(referral, Open | Stopped)

    assert (wait is not None) == is_open
    if wait is not None:
        assert wait.party
        assert (wait.until is None) == bool(wait.open_ended)


@pytest.mark.parametrize("referral", referrals(), ids=lambda referral: str(referral.__struct_config__.tag))
def test_every_timer_has_its_wait(referral: Referral) -> None:
    """A timer follows from a wait with a day; the meeting alone is chased elsewhere, by the agreement."""
    wait = waiting(referral)
    what, steps = escalation_of(referral, KERTEMINDE, calendar_of(KERTEMINDE))
    names = [name for name, _ in steps]

    assert (timer_of(referral).due_at is not None) == bool(steps)
    assert bool(steps) == (wait is not None and wait.until is not None and wait.what != "meeting")
    if steps:
        assert wait is not None
        assert what == wait.what
        assert (AUTOMATIC in names) == (wait.then == EXPIRES)
        assert names[-1] == (AUTOMATIC if wait.then else LEADER)


def test_a_confirmed_deletion_is_waited_for_no_longer() -> None:
    """A stopped referral waits for its deletion where something was shared, until it is confirmed."""
    assert waiting(a_recalled(delete_by=None)) is None
    assert waiting(a_withdrawn(deleted_at=NOW)) is None


@pytest.mark.parametrize(
    ("case", "what"),
    [
        (Expected(), ["opening"]),
        (a_case(views=None), ["views"]),
        (a_case(eligibility=None), ["eligibility"]),
        (a_case(), ["referral"]),
        (a_case(eligibility=an_eligibility(eligible=False)), ["closing"]),
        (a_case(a_sent()), ["sent"]),
        (a_case(an_expired()), ["referral"]),
        (a_case(ending=Ending("family_moved", NOW)), []),
        (a_case(a_recalled(), ending=Ending("family_moved", NOW)), ["deletion"]),
    ],
)
def test_an_open_case_waits_for_its_next_step(case: Case | Expected, what: list[str]) -> None:
    """A case waits for its caseworker or with its referrals; a closed one for deletions only."""
    waits = waiting_of_case(case)

    assert [wait.what for wait in waits] == what
    assert all(wait.party and (wait.until is None) == bool(wait.open_ended) for wait in waits)
