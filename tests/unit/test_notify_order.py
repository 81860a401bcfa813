"""In whichever order the services are heard, the same people have the same notices."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from contracts.event import service_of
from services.notify.domain.states import Case
from tests.examples_notify import (
    AUNT,
    FATHER,
    FATHERS_CONSENT,
    MOTHER,
    YOUNG_PERSON,
    Told,
    accepted,
    at,
    case_closed,
    case_opened,
    concluded,
    custody_recorded,
    declined,
    deletion_confirmed,
    due,
    ended,
    evaluation_nudged,
    expired,
    given_by,
    granted,
    hear,
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

LIFE: list[Told] = [
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
"""A life of a case in which nothing that was told turns out to have been meant for somebody else."""

TURNS: list[Told] = [
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
"""What may come between, so that notices lose their ground or gain it."""


@st.composite
def a_history(draw: st.DrawFn, *, turns: bool) -> list[Told]:
    """Draw some of what can happen, in the order of its time."""
    told = LIFE + TURNS if turns else LIFE
    kept = draw(st.lists(st.booleans(), min_size=len(told), max_size=len(told)))
    chosen = [one for one, keep in zip(told, kept, strict=True) if keep]
    return sorted(chosen, key=_time)


@st.composite
def a_shuffle(draw: st.DrawFn, *, turns: bool) -> tuple[list[Told], list[Told]]:
    """Draw a history, and one order in which its sources may be heard; each source keeps its own."""
    history = draw(a_history(turns=turns))
    sources = [service_of(event.type) for event, _ in history]
    left = {source: iter(_of(history, source)) for source in sources}
    return history, [next(left[source]) for source in draw(st.permutations(sources))]


@settings(deadline=None, max_examples=200, derandomize=True)
@drawn(a_shuffle(turns=True))
def test_no_order_of_the_services_leaves_a_trace(orders: tuple[list[Told], list[Told]]) -> None:
    """However the services are interleaved, the case and its notices end the same, and each was announced."""
    in_time, shuffled = orders

    expected, _ = hear(in_time)
    found, told = hear(shuffled)

    assert found == expected
    assert _notices(found) <= {notice.notice_id for notice in told}


@settings(deadline=None, max_examples=200, derandomize=True)
@drawn(a_shuffle(turns=False))
def test_the_same_notices_are_sent_in_every_order(orders: tuple[list[Told], list[Told]]) -> None:
    """Where nothing is taken back the very same notices are sent, each once, to the same people."""
    in_time, shuffled = orders

    expected, told_in_time = hear(in_time)
    found, told = hear(shuffled)

    assert found == expected
    assert sorted(map(repr, told)) == sorted(map(repr, told_in_time))
    assert _notices(found) == {notice.notice_id for notice in told}
    assert len(told) == len(_notices(found))


def test_the_whole_life_read_source_by_source() -> None:
    """Reading one topic after the other, in any order of topics, is one of the interleavings."""
    expected, _ = hear(LIFE)
    sources = ["evaluation", "agreement", "referral", "consent"]

    found, _ = hear([told for source in sources for told in _of(LIFE, source)])
    backwards, _ = hear([told for source in reversed(sources) for told in _of(LIFE, source)])

    assert found == expected == backwards


def _of(history: Sequence[Told], source: str) -> list[Told]:
    return [told for told in history if service_of(told[0].type) == source]


def _time(told: Told) -> datetime:
    return told[1]


def _notices(case: object) -> set[object]:
    return set(case.notices) if isinstance(case, Case) else set()
