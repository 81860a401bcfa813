"""In whichever order the topics are consumed, the same people have the same notices."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.event import service_of
from services.notify.domain.states import Case
from tests.examples_notify import (
    AUNT,
    FATHER,
    FATHERS_CONSENT,
    MOTHER,
    YOUNG_PERSON,
    TimedEvent,
    accepted,
    at,
    case_closed,
    case_opened,
    concluded,
    consume,
    custody_recorded,
    declined,
    deletion_confirmed,
    due,
    ended,
    evaluation_nudged,
    expired,
    given_by,
    granted,
    in_force,
    lost,
    meeting_invited,
    meeting_nudged,
    nudged,
    planned,
    progress_nudged,
    proposed,
    ready,
    recalled,
    refused_by,
    reported,
    requested,
    sent,
    withdrawn,
)

LIFE: list[TimedEvent] = [
    (event, at(day))
    for day, event in enumerate([
        case_opened(),
        custody_recorded(MOTHER, FATHER),
        requested(),
        requested(FATHER, FATHERS_CONSENT),
        nudged("awaiting_consent", "reminder"),
        nudged("awaiting_consent", "leader"),
        given_by(),
        given_by(FATHER, FATHERS_CONSENT),
        granted(),
        ready(),
        sent(),
        nudged("sent", "standin"),
        accepted(),
        meeting_invited(),
        meeting_nudged("reminder"),
        proposed(),
        in_force(),
        planned(),
        progress_nudged("reminder"),
        progress_nudged("leader"),
        reported(),
        due(),
        evaluation_nudged("standin"),
        concluded(),
        lost(),
        withdrawn(),
        ended("consent_lost"),
        nudged("deletion", "leader"),
        deletion_confirmed(),
        case_closed(),
    ])
]  # fmt: skip
"""Life of a case in which no notice turns out to have been meant for another person."""

CHANGES: list[TimedEvent] = [
    (custody_recorded(MOTHER, AUNT), at(2) + timedelta(hours=1)),
    (custody_recorded(MOTHER, AUNT, young_person=YOUNG_PERSON), at(9) + timedelta(hours=1)),
    (given_by(FATHER, FATHERS_CONSENT), at(3) + timedelta(hours=1)),
    (refused_by(), at(4) + timedelta(hours=1)),
    (recalled(), at(11) + timedelta(hours=1)),
    (declined(), at(12) + timedelta(hours=1)),
    (expired(), at(13) + timedelta(hours=1)),
    (lost("expired"), at(14) + timedelta(hours=1)),
    (granted(), at(15) + timedelta(hours=1)),
    (custody_recorded(FATHER), at(20) + timedelta(hours=1)),
]
"""What may come between, so that notices lose their reason or gain it."""


@st.composite
def a_history(draw: st.DrawFn, *, changes: bool) -> list[TimedEvent]:
    """Draw some of what can happen, in the order of its time."""
    events = LIFE + CHANGES if changes else LIFE
    kept = draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    chosen = [one for one, keep in zip(events, kept, strict=True) if keep]
    return sorted(chosen, key=_time)


@st.composite
def a_shuffle(draw: st.DrawFn, *, changes: bool) -> tuple[list[TimedEvent], list[TimedEvent]]:
    """Draw a history, and one order in which its topics may be consumed; each source keeps its own."""
    history = draw(a_history(changes=changes))
    sources = [service_of(event.type) for event, _ in history]
    left = {source: iter(_of(history, source)) for source in sources}
    return history, [next(left[source]) for source in draw(st.permutations(sources))]


@settings(deadline=None, max_examples=200, derandomize=True)
@given(a_shuffle(changes=True))
def test_no_order_of_the_services_leaves_a_trace(orders: tuple[list[TimedEvent], list[TimedEvent]]) -> None:
    """However the services are interleaved, the case and its notices end the same, and each was announced."""
    in_time, shuffled = orders

    expected, _ = consume(in_time)
    found, notices = consume(shuffled)

    assert found == expected
    assert _notices(found) <= {notice.notice_id for notice in notices}


@settings(deadline=None, max_examples=200, derandomize=True)
@given(a_shuffle(changes=False))
def test_the_same_notices_are_sent_in_every_order(orders: tuple[list[TimedEvent], list[TimedEvent]]) -> None:
    """Where nothing is taken back the very same notices are sent, each once, to the same people."""
    in_time, shuffled = orders

    expected, notices_in_time = consume(in_time)
    found, notices = consume(shuffled)

    assert found == expected
    assert sorted(map(repr, notices)) == sorted(map(repr, notices_in_time))
    assert _notices(found) == {notice.notice_id for notice in notices}
    assert len(notices) == len(_notices(found))


def test_the_whole_life_read_source_by_source() -> None:
    """Reading one topic after the other, in any order of topics, is one of the interleavings."""
    expected, _ = consume(LIFE)
    sources = ["evaluation", "agreement", "referral", "consent"]

    found, _ = consume([event for source in sources for event in _of(LIFE, source)])
    backwards, _ = consume([event for source in reversed(sources) for event in _of(LIFE, source)])

    assert found == expected == backwards


def _of(history: Sequence[TimedEvent], source: str) -> list[TimedEvent]:
    return [event for event in history if service_of(event[0].type) == source]


def _time(event: TimedEvent) -> datetime:
    return event[1]


def _notices(case: object) -> set[object]:
    return set(case.notices) if isinstance(case, Case) else set()
