"""Custody: who must be asked as a child grows and as parental responsibility passes."""

from dataclasses import replace as with_fields
from datetime import UTC, date, datetime

import pytest
from msgspec.structs import replace

from contracts import consent as events
from services.consent.domain import refusals
from services.consent.domain.commands import RecordCustody
from services.consent.domain.states import Case, Granted, Lost, name_key
from services.kernel.decider.decision import Timer
from services.kernel.errors import NotFound, Refused
from tests import examples_consent as ex
from tests.examples_consent import (
    ASKED,
    BIRTHDAY,
    CASE,
    FATHER,
    LATER,
    MOTHER,
    YOUNG_PERSON,
    custody,
    recorded,
)
from tests.invariants import Step
from tests.story import Story
from tests.subject_consent import SUBJECT, a_case

pytestmark = pytest.mark.req("K3")
WAITING = (ex.opened(), ex.awaited())


def holders_of(story: Story[Case]) -> list[object]:
    """Return whom the records of custody name that were just published."""
    return [event.holder_ids for event in story.events if isinstance(event, events.CustodyRecorded)]


def test_custody_can_pass_after_a_case_is_closed(story: Story[Case]) -> None:
    """A former holder must not go on reading what the case holds; nobody is asked anew."""
    story.waive("age").given(*ASKED, ex.closed()).when(recorded(ex.the_mother(), at=LATER))

    assert holders_of(story) == [(MOTHER,)]
    story.then(events.CustodyRecorded)


def test_at_eighteen_the_parents_are_no_longer_named_in_a_closed_case_either(story: Story[Case]) -> None:
    """What the municipality holds of somebody of age is theirs alone to see."""
    story.given(ex.opened(), recorded(born=ex.EIGHTEEN_SOON, young=YOUNG_PERSON)).when(ex.closed()).timers()
    story.until(BIRTHDAY).waive("age")

    assert holders_of(story) == [()]
    story.then(events.CustodyRecorded)


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        (replace(custody(), holders=()), refusals.HolderMissing),
        (custody(ex.the_mother(), ex.the_mother()), refusals.PersonNamedTwice),
        (custody(born=date(2026, 3, 4)), refusals.BirthAhead),
        (custody(born=ex.FIFTEEN), refusals.YoungPersonMissing),
        (custody(born=ex.GROWN_UP), refusals.YoungPersonMissing),
    ],
)
def test_custody_names_somebody_who_may_consent(
    story: Story[Case], wrong: RecordCustody, refusal: type[Refused]
) -> None:
    """A record of custody that would ask nobody, or one person twice, or is about the future, is refused."""
    story.refused(recorded(), NotFound)
    story.given(ex.opened()).refused(Step(wrong, ex.a_caseworker(), ex.RECORDED_AT), refusal)
    story.subject = with_fields(SUBJECT, models={})
    story.refused(recorded(), refusals.ModelMissing)


def test_from_fifteen_the_young_person_is_asked_too(story: Story[Case]) -> None:
    """Both parents and the young person must say yes, each to the text meant for them."""
    story.waive("age").given(*WAITING).when(recorded(born=ex.FIFTEEN, young=YOUNG_PERSON))

    asked = [event for event in story.events if isinstance(event, events.ConsentRequested)]
    assert [event.holder_id for event in asked] == [MOTHER, FATHER, YOUNG_PERSON]
    assert asked[-1].text_sha256 == ex.sha256_of("young_person")
    story.then(events.CustodyRecorded, *[events.ConsentRequested] * 3)
    assert ex.custody_of(story.state).quorum == "young_person_and_holders"


def test_from_eighteen_only_the_young_person_is_asked(story: Story[Case]) -> None:
    """Nobody holds parental responsibility for somebody of age: no parent is asked, named or kept."""
    story.given(*WAITING).when(recorded(born=ex.GROWN_UP, young=YOUNG_PERSON))

    assert holders_of(story) == [()]
    assert ex.custody_of(story.state).quorum == "young_person"
    assert {subject for subject, _name in story.private_values} == {YOUNG_PERSON}
    story.then(events.CustodyRecorded, events.ConsentRequested).timers(Timer("age", CASE, None))
    story.where(ex.statuses, {YOUNG_PERSON: "requested"})


def test_on_the_fifteenth_birthday_an_open_question_goes_to_the_young_person_too(story: Story[Case]) -> None:
    """Age is checked again, not only when custody is recorded."""
    story.given(*WAITING, recorded(born=ex.FIFTEEN_SOON, young=YOUNG_PERSON))
    story.when(ex.a_birthday_check()).then().timers(Timer("age", CASE, BIRTHDAY))
    story.until(BIRTHDAY).then(events.CustodyRecorded, events.ConsentRequested).timers("age")
    story.where(ex.statuses, dict.fromkeys((MOTHER, FATHER, YOUNG_PERSON), "requested"))


def test_on_the_fifteenth_birthday_a_permission_without_the_young_person_is_lost(story: Story[Case]) -> None:
    """What the parents alone permitted does not go on behind the back of somebody who must be asked."""
    story.waive("age", "expiry").given(*WAITING, recorded(born=ex.FIFTEEN_SOON, young=YOUNG_PERSON))
    story.given(ex.mother.yes(), ex.father.yes()).until(BIRTHDAY)
    story.then(events.CustodyRecorded, events.ConsentLost)
    story.where(ex.permission_of, Lost(ex.permission_of(story.state).scope, "invalidated", BIRTHDAY))


def test_on_the_eighteenth_birthday_the_parents_answers_no_longer_count(story: Story[Case]) -> None:
    """From then on it is the young person's own matter; what all three permitted goes on by their own yes."""
    story.waive("age").given(*WAITING, recorded(born=ex.EIGHTEEN_SOON, young=YOUNG_PERSON))
    story.given(ex.mother.yes(), ex.father.yes(), ex.young_person.yes())
    story.until(BIRTHDAY).then(events.CustodyRecorded).timers("expiry", "expiry")
    story.where(ex.permission_type, Granted)
    story.where(ex.statuses, {MOTHER: "invalidated", FATHER: "invalidated", YOUNG_PERSON: "given"})

    assert ex.custody_of(story.state).holders == {}


def test_a_change_of_custody_asks_the_new_holder_and_no_longer_the_former(story: Story[Case]) -> None:
    """A question goes to those who hold parental responsibility now, and again where they get it back."""
    story.waive("age").given(*WAITING, recorded(ex.the_mother())).when(recorded(ex.the_father(), at=LATER))
    story.then(events.CustodyRecorded, events.ConsentRequested)
    story.where(ex.statuses, {MOTHER: "invalidated", FATHER: "requested"})
    story.when(recorded(at=LATER)).then(events.CustodyRecorded, events.ConsentRequested)
    story.where(ex.statuses, {MOTHER: "requested", FATHER: "requested"})


def test_a_change_of_custody_loses_what_the_former_holder_permitted(story: Story[Case]) -> None:
    """It is not asked for again: the permission is lost."""
    story.waive("age").given(*WAITING, recorded(ex.the_mother()), ex.mother.yes())
    story.when(recorded(ex.the_father(), at=LATER)).timers("expiry")
    story.then(events.CustodyRecorded, events.ConsentLost)


def test_a_parent_who_drops_out_may_leave_all_the_answers_that_are_needed(story: Story[Case]) -> None:
    """Where the one who is left has said yes already, the permission is granted."""
    story.waive("age").given(*ASKED, ex.mother.yes()).when(recorded(ex.the_mother(), at=LATER))
    story.then(events.CustodyRecorded, events.ConsentGranted).timers("lapse")


def test_an_erased_birth_date_ends_the_checks_and_a_missing_model_delays_them(story: Story[Case]) -> None:
    """What cannot be learnt is not waited for; a model may be installed tomorrow, by UTC until then."""
    at = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
    context = SUBJECT.context(ex.a_caseworker(), at, {f"born:{CASE}": "2016-05-10"}, models={})
    delayed = SUBJECT.decide(a_case(*ASKED), ex.a_birthday_check(at).trigger, context)
    story.given(*ASKED).private.clear()
    story.changes_nothing(ex.a_birthday_check())

    assert delayed.timers == (Timer("age", CASE, datetime(2026, 4, 2, 0, 0, tzinfo=UTC)),)
    assert (delayed.events, delayed.state.custody.checked_on) == ((), at.date())


def test_no_name_and_no_birth_date_leaves_the_private_values(story: Story[Case]) -> None:
    """What is stored openly or sent holds ids, dates and codes only: each step of a story is checked."""
    story.given(*WAITING, recorded(born=ex.FIFTEEN, young=YOUNG_PERSON), ex.mother.yes(), ex.father.yes())
    story.given(ex.young_person.yes(), ex.mother.withdrawal())

    assert story.private_values == {
        (MOTHER, name_key(MOTHER)): ex.MOTHERS_NAME,
        (FATHER, name_key(FATHER)): ex.FATHERS_NAME,
        (YOUNG_PERSON, name_key(YOUNG_PERSON)): ex.CHILDS_NAME,
        (YOUNG_PERSON, f"born:{YOUNG_PERSON}"): ex.FIFTEEN.isoformat(),
    }
    assert {*map(str, story.private_values.values())} <= {*SUBJECT.markers}


def test_a_young_person_who_is_named_without_an_id_is_the_child_of_the_case() -> None:
    """The referral service knows the child already; where it does not, they get an id here."""
    unnamed = Step(custody(born=ex.FIFTEEN, name=ex.CHILDS_NAME), ex.a_caseworker(), ex.RECORDED_AT)
    unknown = ex.a_case_opened().model_copy(update={"child_id": None})

    assert ex.custody_of(a_case(ex.opened(), unnamed)).young_person_id == ex.CHILD
    assert ex.custody_of(a_case(Step(unknown), unnamed)).young_person_id == ex.MADE


def test_an_id_that_this_municipality_was_never_given_is_refused(story: Story[Case]) -> None:
    """Whose id it is elsewhere, or whether it is anybody's, the answer is the same."""
    strange = replace(custody(), unknown=frozenset({MOTHER}))
    story.given(ex.opened()).refused(Step(strange, ex.a_caseworker(), LATER), refusals.PersonUnknown)
