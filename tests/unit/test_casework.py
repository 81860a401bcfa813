"""What a caseworker is told of a case: its stage, what happens next, its steps and its timeline."""

from datetime import date
from typing import Any, Final, get_args

import pytest

from contracts import agreement, consent, evaluation, referral
from contracts.event import Event
from services.agreement.domain.states import Agreement
from services.consent.domain.states import Consent, Permission
from services.evaluation.domain.states import Evaluation
from services.portal.casework import stages
from services.portal.casework.actions import allows
from services.portal.casework.known import YOU, Known
from services.portal.casework.next_step import next_step
from services.portal.casework.tasks import tasks_of
from services.portal.casework.timeline import EVENTS
from services.portal.domain.lifecycle import NOTED
from services.portal.service_client import SILENT
from services.referral.domain.states import Referral

_MODULES: Final = (referral, consent, agreement, evaluation)


def _tags(union: Any) -> set[str]:
    return {str(kind.__struct_config__.tag) for kind in get_args(union)}


def _case(status: str = "", *, eligible: bool | None = True, closed: bool = False) -> dict[str, Any]:
    one = {"referral_id": "r", "status": status, "organisation_id": "o", "due_on": "2027-01-04"}
    return {
        "closed": closed,
        "views": None if eligible is None and not closed else {"child": "heard"},
        "eligibility": None if eligible is None else {"eligible": eligible},
        "referrals": [one] if status else [],
    }


def _agreement(status: str, *, signed: tuple[str, ...] = (), **more: object) -> dict[str, Any]:
    terms = {"signed": [{"party": party} for party in signed], "starts_on": "2027-01-10"}
    one = {
        "agreement_id": "a",
        "referral_id": "r",
        "organisation_id": "o",
        "status": status,
        "meeting_by": "2027-01-08",
        "held_on": None if status == "invited" else "2027-01-05",
        "in_force_on": "2027-01-09" if status in {"in_force", "ended"} else None,
        "must_sign": ["municipality", "organisation", "family"],
        "proposal": terms if status == "proposed" else None,
        "adjustable": False,
        "next_update": {"due_on": "2027-02-09"},
        **more,
    }
    return {"agreements": [one]}


def _consent(*statuses: str, custody: bool = True) -> dict[str, Any]:
    people = [{"person_id": str(n), "name": f"Parent {n}"} for n, _ in enumerate(statuses)]
    return {
        "custody": {"holders": people, "young_person": None} if custody else None,
        "consents": [
            {"referral_id": "r", "person_id": str(n), "status": status, "confirm_by": "2027-01-03"}
            for n, status in enumerate(statuses)
        ],
    }


def test_every_state_has_a_word_for_its_stage() -> None:
    """A case is never shown with a code in place of a word."""
    assert stages.OF_REFERRAL.keys() == _tags(Referral)
    assert stages.OF_CONSENT.keys() == _tags(Consent)
    assert stages.OF_PERMISSION.keys() == _tags(Permission)
    assert stages.OF_AGREEMENT.keys() == _tags(Agreement)
    assert stages.OF_EVALUATION.keys() == _tags(Evaluation)


def test_every_event_that_is_noted_has_a_sentence_or_is_no_news() -> None:
    """The log of a case leaves nothing out but what is reckoned from something else."""
    noted = {kind.type for kind in NOTED if issubclass(kind, Event)}

    assert EVENTS.keys() <= noted
    assert noted - EVENTS.keys() == {
        "evaluation.outcome_reckoned.v1",
        "consent.custody_confirmation_awaited.v1",
    }


@pytest.mark.req("K4")
@pytest.mark.parametrize(
    ("known", "rest", "who"),
    [
        (Known(_case(eligible=None)), "/views", YOU),
        (Known({**_case(eligible=None), "views": {"child": "heard"}}), "/eligibility", YOU),
        (Known(_case(eligible=False)), "/close", YOU),
        (Known(_case(), _consent(custody=False)), "/custody", YOU),
        (Known(_case(), _consent()), "/offers", YOU),
        (Known(_case("declined"), _consent()), "/offers", YOU),
        (Known(_case("drafted"), _consent("x")), "/referral/r/ask", YOU),
        (Known(_case("awaiting_consent"), _consent("given", "requested")), "/consent", "Parent 1"),
        (Known(_case("awaiting_consent"), _consent("minuted")), "/consent", "A colleague in the department"),
        (Known(_case("awaiting_consent"), SILENT), "/consent", "The family"),
        (Known(_case("ready")), "/referral", YOU),
        (Known(_case("sent"), organisations={"o": "Link"}), "/referral", "Link"),
        (Known(_case("seen"), organisations={"o": "Link"}), "/referral", "Link"),
        (Known(_case("accepted")), "/agreement", YOU),
        (Known(_case("accepted"), agreements=SILENT), "/agreement", YOU),
        (Known(_case("accepted"), agreements=_agreement("invited")), "/agreement/a/meeting", YOU),
        (Known(_case("accepted"), agreements=_agreement("met")), "/agreement/a/proposal", YOU),
        (Known(_case("accepted"), agreements=_agreement("proposed")), "/agreement", YOU),
        (
            Known(
                _case("accepted"), agreements=_agreement("proposed", signed=("municipality", "organisation"))
            ),
            "/agreement",
            "The family",
        ),
        (
            Known(_case("under_way"), agreements=_agreement("in_force"), organisations={"o": "Link"}),
            "/agreement",
            "Link",
        ),
        (
            Known(_case("under_way"), agreements=_agreement("in_force", adjustable=True)),
            "/agreement/a/proposal",
            YOU,
        ),
    ],
)
def test_the_next_step_says_what_where_and_who(known: Known, rest: str, who: str) -> None:
    """At every stage one sentence says what happens next, who does it, and where that is done."""
    step = next_step(known)

    assert step is not None
    assert step.text
    assert step.rest == rest
    assert step.link
    assert (", ".join(step.names) or step.who) == who


def test_an_evaluation_that_is_due_comes_before_the_next_update() -> None:
    """Hearing the child and the family is not put off."""
    held = {
        "collaborations": [{"agreement_id": "a", "evaluations": [{"status": "due", "due_on": "2027-03-01"}]}]
    }
    step = next_step(Known(_case("under_way"), agreements=_agreement("in_force"), evaluations=held))

    assert step is not None
    assert step.rest == "/evaluation"
    assert step.by == date(2027, 3, 1)


def test_a_closed_case_has_no_next_step() -> None:
    """Nobody is told to do something in a case that is closed."""
    assert next_step(Known(_case(closed=True))) is None


def test_steps_that_cannot_be_taken_yet_have_no_link() -> None:
    """A new case leads to the views, and to its end; nothing else can be done yet."""
    tasks = tasks_of(Known(_case(eligible=None)))

    assert [task.rest for task in tasks if task.rest] == ["/views", "/close"]
    assert {task.status for task in tasks} == {"not_started"}


def test_steps_of_a_case_outside_the_target_group_are_not_relevant() -> None:
    """What is not for this case says so, and is not shown as left undone."""
    statuses = [task.status for task in tasks_of(Known(_case(eligible=False)))]

    assert statuses == ["done", "done", *["not_relevant"] * 8, "not_started"]


def test_steps_follow_the_case() -> None:
    """What others have to do is shown as waiting, what is behind as done."""
    asked = tasks_of(Known(_case("awaiting_consent"), _consent("requested")))
    signing = tasks_of(Known(_case("accepted"), _consent("given"), _agreement("proposed")))
    running = tasks_of(Known(_case("under_way"), _consent("given"), _agreement("in_force")))

    assert [task.status for task in asked][3:6] == ["done", "waiting", "not_started"]
    assert [task.status for task in signing][4:9] == ["done", "done", "done", "waiting", "not_started"]
    assert [task.status for task in running][7:9] == ["done", "in_progress"]
    assert running[-1].rest is None


@pytest.mark.parametrize(
    ("shown", "offered"),
    [
        ({}, True),
        ({"allowed_actions": None}, True),
        ({"allowed_actions": []}, False),
        ({"allowed_actions": ["send_referral"]}, True),
    ],
)
def test_the_owner_of_a_case_says_what_a_page_offers(shown: dict[str, Any], *, offered: bool) -> None:
    """Where a service names what it would take, a page offers that and nothing else."""
    assert allows(shown, "send_referral", otherwise=True) == offered
