"""Confirmation: what one employee puts on record for somebody else permits nothing before another confirms.

Finding 7: one caseworker alone could invent a holder, minute an oral yes, and send.
"""

from dataclasses import replace as with_fields
from datetime import date, datetime

import pytest
from msgspec.structs import replace

from contracts import consent as events
from services.consent.domain import refusals
from services.consent.domain.access import authorize
from services.consent.domain.commands import ConfirmCustody
from services.consent.domain.states import Awaited, Case, Granted, Minuted, Requested
from services.consent.views.cases import case_view
from services.consent.views.confirmation import to_confirm
from services.kernel.decider.decision import Actor, ReadRequest
from services.kernel.errors import InvalidTransition
from tests import examples_consent as ex
from tests.examples_consent import ANSWERED_AT, ASKED, CASE, LATER, father, mother
from tests.invariants import Step
from tests.story import Story
from tests.subject_consent import CALENDAR, CASES, SUBJECT

pytestmark = pytest.mark.req("K3")
CONFIRM_BY = date(2026, 3, 10)
STEPS = ("confirm:reminder", "confirm:due", "confirm:leader", "confirm:automatic")
MINUTED = (*ASKED, mother.minuted_yes(), father.minuted_yes())


def morning(day: int, month: int = 3) -> datetime:
    """Return the hour of a day at which work falls due."""
    return CALENDAR.morning(date(2026, month, day))


def test_finding_7_what_one_employee_alone_puts_on_record_permits_nothing(story: Story[Case]) -> None:
    """Holders, custody and every yes are invented by one caseworker: the permission waits for another."""
    story.waive("confirm:reminder").given(*ASKED).when(mother.minuted_yes(), father.minuted_yes())
    story.then(events.ConsentMinuted, events.ConsentMinuted).timers(*STEPS[1:], *STEPS[1:])
    story.where(ex.permission_type, Awaited).where(
        ex.statuses, dict.fromkeys((ex.MOTHER, ex.FATHER), "minuted")
    )
    alone = [Step(one, ex.a_caseworker(), LATER) for one in (ConfirmCustody(), ex.a_confirmation())]
    alone += [Step(one.trigger, ex.a_colleague("leader", ex.CASEWORKER), LATER) for one in alone]
    for step in alone:
        story.refused(step, refusals.SecondEmployeeMissing)
    story.refused(mother.confirmed(), refusals.CustodyUnconfirmed)


@pytest.mark.parametrize("role", ["caseworker", "bridge_builder", "leader"])
def test_a_second_employee_confirms_custody_and_each_yes(story: Story[Case], role: str) -> None:
    """Then it counts, from when it was said; the confirmation says how the parent was told of it."""
    by = ex.a_colleague(role)
    story.given(*MINUTED).when(Step(ConfirmCustody(), by, LATER)).then(
        events.CustodyConfirmed(recorded_at=ex.RECORDED_AT)
    )
    story.changes_nothing(ex.custody_confirmed(), Step(ConfirmCustody(), ex.a_caseworker(), LATER))
    story.when(mother.confirmed(by=by)).waive(*STEPS, "lapse", "expiry")
    (given,) = story.events
    story.then(events.ConsentGiven).when(father.confirmed(by=by))
    story.then(events.ConsentGiven, events.ConsentGranted).where(ex.permission_type, Granted)

    assert isinstance(given, events.ConsentGiven)
    assert (given.given_at, given.evidence, given.told_by) == (ANSWERED_AT, "oral_minuted", "letter")
    assert (
        given.expires_at
        == ex.consent_of(story.state).expires_at
        == datetime.fromisoformat("2027-03-05T19:30:00+00:00")
    )


def test_each_own_sign_in_needs_no_second_employee(story: Story[Case]) -> None:
    """Where all have signed in themselves, nobody needs to confirm who they are."""
    story.given(*ASKED, mother.yes(), father.yes()).where(ex.permission_type, Granted)

    assert ex.custody_of(story.state).confirmed is None


def test_one_minuted_yes_beside_an_own_one_needs_custody_confirmed(story: Story[Case]) -> None:
    """Custody that is put on record anew is to be confirmed anew before a minuted yes counts."""
    story.waive("age", *STEPS, "expiry", "lapse").given(*ASKED, mother.minuted_yes(), ex.custody_confirmed())
    story.given(mother.confirmed(), ex.recorded(at=LATER))
    story.when(father.yes(at=LATER)).then(
        events.ConsentGiven,
        events.CustodyConfirmationAwaited(referral_id=ex.REFERRAL, confirm_by=ex.LAPSE_ON),
    )
    story.where(ex.permission_type, Awaited).when(ex.custody_confirmed())
    story.then(events.CustodyConfirmed, events.ConsentGranted)


def test_a_yes_by_own_sign_in_counts_while_a_minuted_one_waits(story: Story[Case]) -> None:
    """The parent signs in meanwhile: then no colleague is needed for them."""
    story.given(*ASKED, mother.minuted_yes()).when(mother.yes(at=LATER)).then(events.ConsentGiven)
    story.timers(*STEPS, "expiry").when(father.yes(at=LATER)).waive("expiry", "lapse")
    story.then(events.ConsentGiven, events.ConsentGranted)


@pytest.mark.parametrize("no", [mother.no(), mother.withdrawal(), Step(ex.a_no(), ex.a_caseworker(), LATER)])
def test_a_no_never_waits_for_a_second_employee(story: Story[Case], no: Step) -> None:
    """Closing is done at once, by the parent or by one caseworker, whatever is being confirmed."""
    story.waive(*STEPS, "lapse").given(*MINUTED).when(no).then(events.ConsentRefused, events.ConsentLost)
    story.where(ex.statuses, {ex.MOTHER: "refused", ex.FATHER: "invalidated"})


def test_a_doubtful_yes_is_rejected_and_the_person_asked_anew(story: Story[Case]) -> None:
    """A colleague says why; the question stands open again, and can be minuted again."""
    story.given(*ASKED, mother.minuted_yes()).when(Step(ex.a_rejection(), ex.a_colleague(), LATER)).then(
        events.ConsentUnconfirmed(
            consent_id=ex.consent_id(), referral_id=ex.REFERRAL, holder_id=ex.MOTHER, reason="not_said"
        )
    )
    story.timers(*STEPS).where(lambda case: type(ex.consent_of(case)), Requested)
    story.refused(mother.confirmed(), InvalidTransition)
    story.given(mother.minuted_yes(at=LATER)).where(lambda case: type(ex.consent_of(case)), Minuted)


def test_a_confirmation_is_chased_and_then_the_person_is_asked_anew(story: Story[Case]) -> None:
    """Three working days, a reminder before, the leader after five more, and after ten it never was."""
    story.given(*ASKED, mother.minuted_yes()).until(morning(10))
    nudges = [
        (one.rung, one.confirm_by) for one in story.events if isinstance(one, events.ConfirmationNudged)
    ]
    story.then(events.ConfirmationNudged, events.ConfirmationNudged).timers(*STEPS[:2])
    story.until(morning(17)).then(events.ConfirmationNudged).timers("confirm:leader")
    story.until(morning(24)).then(
        events.ConsentUnconfirmed(
            consent_id=ex.consent_id(), referral_id=ex.REFERRAL, holder_id=ex.MOTHER, reason="not_confirmed"
        )
    )
    story.timers("confirm:automatic").where(ex.statuses, dict.fromkeys((ex.MOTHER, ex.FATHER), "requested"))

    assert nudges == [("reminder", CONFIRM_BY), ("due", CONFIRM_BY)]


def test_what_is_not_confirmed_by_the_last_day_to_answer_lapses(story: Story[Case]) -> None:
    """Without a second employee the answer is no in the end."""
    late = datetime.fromisoformat("2026-03-27T09:00:00+00:00")
    story.waive("ConfirmationNudged", *STEPS).given(*ASKED, mother.minuted_yes(at=late))
    story.until(morning(31)).then(events.ConsentExpired, events.ConsentExpired, events.ConsentLost)
    story.timers("lapse").where(ex.statuses, dict.fromkeys((ex.MOTHER, ex.FATHER), "expired"))


def test_stale_custody_and_ones_own_matter_are_not_confirmed(story: Story[Case]) -> None:
    """Nobody confirms what must be recorded anew, nor where they are concerned themselves."""
    concerned = ex.a_colleague(person_id=ex.MOTHER)
    story.given(*MINUTED).refused(Step(ConfirmCustody(), concerned, LATER), refusals.OwnMatter)
    story.refused(mother.confirmed(by=concerned), refusals.OwnMatter)
    story.refused(Step(ex.custody(), concerned, LATER), refusals.OwnMatter)
    stale = replace(ex.custody_of(story.state), stale_at=LATER)
    story.state = replace(CASES["minuted"], custody=stale)
    story.refused(ex.custody_confirmed(), refusals.CustodyStale)
    story.refused(mother.confirmed(), refusals.CustodyStale)


def test_custody_that_is_not_on_record_cannot_be_confirmed(story: Story[Case]) -> None:
    """There is nobody whom a colleague could confirm."""
    story.given(ex.opened()).refused(ex.custody_confirmed(), refusals.HolderMissing)


def test_a_model_may_do_without_a_second_employee(story: Story[Case]) -> None:
    """It is on by default; a municipality that agrees otherwise still names the evidence."""
    terms = ex.MODEL.consent.model_copy(update={"second_employee": False})
    model = ex.MODEL.model_copy(update={"consent": terms})
    story.subject = with_fields(SUBJECT, models={model.ref: model})
    story.given(*ASKED).refused(
        Step(ex.a_yes(evidence="oral_minuted", reference=""), ex.a_caseworker(), ANSWERED_AT),
        refusals.EvidenceMissing,
    )
    story.given(mother.minuted_yes(), father.yes()).where(ex.permission_type, Granted)

    assert ex.MODEL.consent.second_employee


ELSEWHERE = replace(ex.a_colleague(), department_id=ex.STRANGER)


@pytest.mark.parametrize(
    ("actor", "may"),
    [
        *((ex.a_colleague(role), True) for role in ("caseworker", "bridge_builder", "leader")),
        *((ex.a_colleague(role), False) for role in ("coordinator", "administrator", "auditor", "operator")),
        (ELSEWHERE, False),
        (replace(ex.a_colleague(), department_id=None), False),
        (mother.actor, False),
    ],
)
def test_only_colleagues_of_the_cases_department_confirm(actor: Actor, may: bool) -> None:  # noqa: FBT001
    """They see what is to be confirmed, and nothing else of the case unless they are caseworkers of it."""
    context = ex.a_context(actor=actor)
    for trigger in (ConfirmCustody(), ex.a_confirmation(), ex.a_rejection(), ReadRequest(("confirmation",))):
        assert authorize(CASES["minuted"], trigger, context) is may, trigger
    for more in (ReadRequest(("custody", "consents")), ex.custody(), ex.a_yes(ex.FATHER)):
        assert authorize(CASES["minuted"], more, context) is (may and actor.role == "caseworker"), more


def test_a_colleague_reads_what_is_to_be_confirmed_with_its_evidence(story: Story[Case]) -> None:
    """Custody until somebody has confirmed it; evidence while it is needed, and by no other answer's side."""
    story.given(*ASKED, mother.minuted_yes())
    state = story.state
    assert state is not None
    waits = to_confirm(state, CASE, 4, story.private)
    before = to_confirm(CASES["requested"], CASE, 3, story.private)
    confirmed = to_confirm(CASES["confirmed"], CASE, 5, story.private)

    assert waits.custody is not None
    assert [one.name for one in waits.custody.holders] == [ex.MOTHERS_NAME, ex.FATHERS_NAME]
    (consent,) = waits.consents
    assert (consent.person.name, consent.evidence_reference) == (ex.MOTHERS_NAME, ex.FOUND_AT)
    assert (consent.minuted_by, consent.confirm_by) == (ex.CASEWORKER, CONFIRM_BY)
    assert (before.custody, before.consents) == (waits.custody, [])
    assert (confirmed.custody, confirmed.consents) == (None, [])


def test_the_caseworker_reads_who_confirmed_what(story: Story[Case]) -> None:
    """The case shows where the evidence is, who confirmed it and how the parent was told."""
    story.given(*ASKED, mother.minuted_yes(), ex.custody_confirmed(), mother.confirmed())
    state = story.state
    assert state is not None
    view = case_view(state, CASE, 6, story.private)

    assert view.custody is not None
    assert (view.custody.recorded_by, view.custody.confirmed_by) == (ex.CASEWORKER, ex.COLLEAGUE)
    shown = view.consents[0]
    assert (shown.minuted_by, shown.confirmed_by, shown.told_by) == (ex.CASEWORKER, ex.COLLEAGUE, "letter")
    assert shown.evidence_reference == ex.FOUND_AT
