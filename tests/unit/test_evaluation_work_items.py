"""Work items of evaluations: what waits for whom, from which day on, and by when."""

from collections.abc import Iterable
from datetime import date, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.evaluation.domain.deadlines import work_items_of
from services.evaluation.domain.states import Case, Spoken
from services.kernel.decider.decision import Actor
from services.kernel.decider.work_items import WorkItem, owner_of
from services.kernel.errors import NotAllowed
from tests.examples_evaluation import (
    AGREEMENT,
    CASEWORKER,
    COORDINATOR,
    DEPARTMENT,
    DUE_ON,
    ENDS,
    FATHER,
    GUARDIAN,
    MOTHER,
    NEXT_YEAR,
    ORGANISATION,
    REFERRAL,
    TENANT,
    TODAY,
    YOUNG,
    YOUNG_PERSON,
    a_case,
    a_concluded,
    a_due,
    a_missed,
    a_running,
    an_over,
    measured,
    spoken,
)


def rows(waits: Iterable[WorkItem]) -> list[tuple[str, UUID, str, date | None]]:
    """Return what waits, for whom, and by when."""
    return [(wait.role, wait.owner_id, wait.what, wait.due_on) for wait in waits]


@pytest.mark.req("N12")
def test_everybody_knows_whose_voice_is_missing() -> None:
    """Each guardian and the young person speak for themselves, any coordinator for the organisation."""
    case = a_case(a_running(a_due(), measured=measured("start")), young_person_id=YOUNG)
    mother = a_due()
    mother = replace(
        mother, voices=(Spoken("family", "declined", MOTHER, "guardian", TODAY), *spoken("organisation"))
    )

    assert rows(work_items_of(case)) == [
        ("caseworker", DEPARTMENT, "conclusion", DUE_ON),
        ("guardian", MOTHER, "voice", DUE_ON),
        ("guardian", FATHER, "voice", DUE_ON),
        ("young_person", YOUNG, "voice", DUE_ON),
        ("coordinator", ORGANISATION, "voice", DUE_ON),
    ]
    assert rows(work_items_of(a_case(a_running(mother, measured=measured("start"))))) == [
        ("caseworker", DEPARTMENT, "conclusion", DUE_ON),
        ("guardian", FATHER, "voice", DUE_ON),
    ]


def test_an_evaluation_is_shown_in_time() -> None:
    """The caseworker sees it a month ahead, the others on its day, an organisation while it may."""
    waits = {
        wait.role: wait for wait in work_items_of(a_case(a_running(a_missed(), measured=measured("start"))))
    }

    assert waits["caseworker"].shown_from == DUE_ON - timedelta(days=30)
    assert waits["guardian"].shown_from == DUE_ON
    assert waits["coordinator"].until == NEXT_YEAR


@pytest.mark.req("K3")
def test_a_list_shows_an_organisation_nothing_without_consent() -> None:
    """Not even an id waits in an organisation's list once the consent is lost, or before it arrives."""
    for consents in ({}, {REFERRAL: None}):
        waits = work_items_of(a_case(a_running(a_due()), consents=consents))
        assert "coordinator" not in {wait.role for wait in waits}
    assert work_items_of(Case(collaborations={AGREEMENT: a_running()})) == ()


@pytest.mark.req("S2")
@pytest.mark.req("S4")
def test_what_was_not_measured_is_waited_for() -> None:
    """At the start, when it has ended, and half a year after where there is a start to compare with."""
    after_on = an_over().after_on

    assert rows(work_items_of(a_case(a_running(a_concluded())))) == [
        ("caseworker", DEPARTMENT, "measurement_start", TODAY)
    ]
    assert rows(work_items_of(a_case(an_over()))) == [("caseworker", DEPARTMENT, "measurement_end", ENDS)]
    assert rows(work_items_of(a_case(an_over(measured=measured("start", "end"))))) == [
        ("caseworker", DEPARTMENT, "measurement_after", after_on)
    ]
    assert work_items_of(a_case(an_over(measured=measured("start", "end", "after")))) == ()


def test_everybody_has_one_list() -> None:
    """A caseworker reads the department's, a coordinator the organisation's, a guardian their own."""
    assert [owner_of(actor) for actor in (CASEWORKER, COORDINATOR, GUARDIAN, YOUNG_PERSON)] == [
        DEPARTMENT,
        ORGANISATION,
        MOTHER,
        YOUNG,
    ]
    for actor in (Actor(MOTHER, "leader", TENANT), Actor(MOTHER, "caseworker", TENANT)):
        with pytest.raises(NotAllowed):
            owner_of(actor)
