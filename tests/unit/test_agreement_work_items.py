"""Work items of agreements: what waits for whom, from which day on, and by when."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.agreement.domain.deadlines import work_items_of
from services.agreement.domain.states import Case
from services.kernel.decider.decision import Actor
from services.kernel.decider.work_items import WorkItem, owner_of
from services.kernel.errors import NotAllowed
from tests.examples_agreement import (
    AGREEMENT,
    CASEWORKER,
    COORDINATOR,
    DEPARTMENT,
    FATHER,
    GUARDIAN,
    MEETING_BY,
    MOTHER,
    NEXT_YEAR,
    ORGANISATION,
    REFERRAL,
    STARTS,
    TENANT,
    TODAY,
    UPDATE_DUE,
    YOUNG,
    YOUNG_PERSON,
    a_case,
    a_met,
    a_proposed,
    an_adjustable,
    an_ended,
    an_in_force,
    an_invited,
)


def rows(waits: Iterable[WorkItem]) -> list[tuple[str, UUID, str, Any]]:
    """Return what waits, for whom, and by when."""
    return [(wait.role, wait.owner_id, wait.what, wait.due_on) for wait in waits]


def to_all(what: str, due_on: Any) -> list[tuple[str, UUID, str, Any]]:
    """Return one thing that waits for all parties."""
    return [
        ("caseworker", DEPARTMENT, what, due_on),
        ("coordinator", ORGANISATION, what, due_on),
        ("guardian", MOTHER, what, due_on),
        ("guardian", FATHER, what, due_on),
    ]


def test_everybody_knows_what_waits_for_them() -> None:
    """Meeting and signature wait for all, the writing for the caseworker, an update for the club."""
    assert rows(work_items_of(a_case(an_invited()))) == to_all("meeting", MEETING_BY)
    assert rows(work_items_of(a_case(a_met()))) == [("caseworker", DEPARTMENT, "proposal", None)]
    assert rows(work_items_of(a_case(a_proposed()))) == to_all("signature", STARTS)
    assert rows(work_items_of(a_case(a_proposed("family")))) == to_all("signature", STARTS)[:2]
    assert rows(work_items_of(a_case(an_adjustable("family", "organisation")))) == [
        ("caseworker", DEPARTMENT, "progress_missing", UPDATE_DUE),
        ("coordinator", ORGANISATION, "progress", UPDATE_DUE),
        ("caseworker", DEPARTMENT, "signature", STARTS),
    ]
    assert rows(work_items_of(a_case(an_in_force(adjustable=True))))[2:] == [
        ("caseworker", DEPARTMENT, "proposal", None)
    ]
    assert work_items_of(a_case(an_ended())) == ()


@pytest.mark.req("N9")
def test_a_missing_update_is_shown_to_the_caseworker_only_once_it_is_missing() -> None:
    """The organisation sees its next update at once, the caseworker the day after it should have come."""
    chase, report = work_items_of(a_case(an_in_force()))

    assert (chase.role, chase.shown_from) == ("caseworker", UPDATE_DUE + timedelta(days=1))
    assert (report.role, report.shown_from, report.until) == ("coordinator", TODAY, NEXT_YEAR)


@pytest.mark.req("K3")
def test_a_list_shows_an_organisation_nothing_without_consent() -> None:
    """Not even an id waits in an organisation's list once the consent is lost, or before it arrives."""
    for consents in ({}, {REFERRAL: None}):
        waits = work_items_of(a_case(an_invited(), consents=consents))
        assert "coordinator" not in {wait.role for wait in waits}
    assert work_items_of(Case(agreements={AGREEMENT: an_invited()})) == ()


def test_a_young_person_finds_their_own_signature() -> None:
    """The young person signs besides the guardians, or, of age, instead of the family."""
    fifteen = a_case(
        a_proposed("municipality", "organisation", "family"),
        young_person_id=YOUNG,
        quorum="young_person_and_holders",
    )
    of_age = a_case(
        a_proposed("municipality", "organisation"), guardians=(), young_person_id=YOUNG, quorum="young_person"
    )

    assert rows(work_items_of(fifteen)) == rows(work_items_of(of_age))
    assert rows(work_items_of(of_age)) == [("young_person", YOUNG, "signature", STARTS)]


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
