"""Consent: who is asked, when the facts may be shared, and how surely a no stops it."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as example
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts.consent import ConsentGranted, ConsentLost, ConsentRequested, CustodyRecorded
from contracts.model import CollaborationModel
from contracts.referral import CaseClosed, ReferralClosed
from services.consent.domain import states
from services.consent.domain.access import authorize as allows
from services.consent.domain.access import receipt_part
from services.consent.domain.deadlines import months_after
from services.consent.domain.lifecycle import decide
from services.consent.domain.refusals import (
    BirthAhead,
    CustodyStale,
    EvidenceMissing,
    HolderMissing,
    ModelMissing,
    PersonNamedTwice,
    TextChanged,
    YoungPersonMissing,
)
from services.consent.domain.states import Awaited, Case, Granted, Lost, Over
from services.consent.domain.states import name_key as name_of
from services.consent.domain.steps.quorum import age_on, next_check, quorum_of
from services.consent.subscriptions import SUBSCRIBES_TO as HEARS
from services.consent.views.cases import case_view, mine
from services.consent.views.receipt import receipt_of
from services.kernel.decider.decision import Actor, Decision, ReadRequest, Timer, TimerFired
from services.kernel.decider.working_days import Calendar
from services.kernel.errors import InvalidTransition, NotFound
from tests.examples_consent import (
    ANSWERED_AT,
    BORN,
    CASE,
    CHILDS_NAME,
    FATHER,
    FATHERS_NAME,
    FIFTEEN,
    GROWN_UP,
    LAPSE_ON,
    LATER,
    MODEL,
    MODELS,
    MOTHER,
    MOTHERS_NAME,
    ORGANISATION,
    OTHER_REFERRAL,
    RECORDED_AT,
    REFERRAL,
    STRANGER,
    TENANT,
    YOUNG_PERSON,
    a_birthday_check,
    a_case,
    a_case_opened,
    a_case_with_questions,
    a_caseworker,
    a_consent_awaited,
    a_decline,
    a_granted_case,
    a_guardian,
    a_lapse,
    a_no,
    a_recall,
    a_withdrawal,
    a_yes,
    after,
    an_expiry,
    awaited,
    consent_id,
    custody,
    given,
    kinds,
    opened,
    permission_of,
    recorded,
    sha256_of,
    statuses,
    the_father,
    the_mother,
    the_young_person,
    yes_of,
)

COPENHAGEN = Calendar("DK", (), "Europe/Copenhagen")


@pytest.mark.req("K3")
def test_both_parents_are_asked_once_custody_and_the_question_are_known() -> None:
    """Two hold parental responsibility, so two are asked, each in the language that they read."""
    decision = after(opened(), awaited(), recorded())

    asked = [event for event in decision.events if isinstance(event, ConsentRequested)]
    assert [(event.holder_id, event.language) for event in asked] == [(MOTHER, "da"), (FATHER, "nb")]
    assert all(event.facts == ("first_name", "need") and event.purpose == "networks" for event in asked)
    assert asked[0].text_sha256 == sha256_of("guardian", "da")
    assert isinstance(permission_of(decision.state), Awaited)


@pytest.mark.req("K3")
def test_it_does_not_matter_whether_custody_or_the_question_comes_first() -> None:
    """The caseworker may record custody before or after a referral begins to wait."""
    question_first = after(opened(), awaited(), recorded())
    custody_first = after(opened(), recorded(), awaited())

    assert question_first.state == custody_first.state
    assert sorted(kinds(question_first.events)) == sorted(kinds(custody_first.events))


@pytest.mark.req("K3")
def test_unknown_custody_means_no() -> None:
    """As long as nobody knows who may consent nobody is asked, and in the end the answer is no."""
    case = a_case(opened(), awaited())

    decision = decide(case, a_lapse(), given(LATER))

    assert case.consents == {}
    assert decision.events == (
        ConsentLost(referral_id=REFERRAL, organisation_id=ORGANISATION, purpose="networks", reason="lapsed"),
    )


@pytest.mark.req("K3")
def test_the_yes_of_one_parent_is_not_enough() -> None:
    """Joint custody needs both: after the first yes nothing is granted yet."""
    decision = decide(a_case_with_questions(), a_yes(MOTHER), given())

    assert kinds(decision.events) == ["given"]
    assert isinstance(permission_of(decision.state), Awaited)


@pytest.mark.req("K3")
def test_the_last_yes_grants_until_the_first_of_them_runs_out() -> None:
    """The facts may be shared for twelve months from the first yes."""
    case = a_case(opened(), awaited(), recorded(), yes_of(MOTHER))

    decision = decide(case, a_yes(FATHER), given(LATER, a_guardian(FATHER)))

    until = datetime(2027, 3, 5, 19, 30, tzinfo=UTC)
    assert decision.events[-1] == ConsentGranted(
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        purpose="networks",
        facts=("first_name", "need"),
        until=until,
    )
    assert permission_of(decision.state) == Granted(permission_of(case).scope, until)
    assert decision.timers == (
        Timer("expiry", consent_id(FATHER), datetime(2027, 3, 9, 7, 15, tzinfo=UTC)),
        Timer("lapse", REFERRAL, None),
    )


@pytest.mark.req("K3")
def test_one_no_is_enough() -> None:
    """Where one parent says no nothing is shared, and the other one's yes no longer counts."""
    case = a_case(opened(), awaited(), recorded(), yes_of(MOTHER))

    decision = decide(case, a_no(FATHER), given(LATER, a_guardian(FATHER)))

    assert kinds(decision.events) == ["refused", "lost"]
    assert statuses(decision.state) == {consent_id(MOTHER): "invalidated", consent_id(FATHER): "refused"}
    assert Timer("expiry", consent_id(MOTHER), None) in decision.timers


@pytest.mark.req("K3")
def test_taking_a_yes_back_stops_the_sharing_at_once() -> None:
    """One of two withdraws: the permission is lost in the same step."""
    decision = decide(a_granted_case(), a_withdrawal(MOTHER), given(LATER))

    assert kinds(decision.events) == ["withdrawn", "lost"]
    assert decision.events[-1] == ConsentLost(
        referral_id=REFERRAL, organisation_id=ORGANISATION, purpose="networks", reason="withdrawn"
    )
    lost = permission_of(decision.state)
    assert isinstance(lost, Lost)
    assert (lost.reason, lost.lost_at) == ("withdrawn", LATER)
    assert statuses(decision.state) == {consent_id(MOTHER): "withdrawn", consent_id(FATHER): "invalidated"}


@pytest.mark.req("K3")
def test_one_referrals_no_leaves_the_other_referral_alone() -> None:
    """Each organisation, purpose and set of facts has a permission of its own."""
    case = a_case(opened(), awaited(), awaited(OTHER_REFERRAL), recorded(), yes_of(MOTHER), yes_of(FATHER))

    decision = decide(case, a_withdrawal(MOTHER), given(LATER))

    assert permission_of(decision.state, OTHER_REFERRAL) == permission_of(case, OTHER_REFERRAL)


STEPS: Mapping[str, Callable[[], Case]] = {
    "requested": a_case_with_questions,
    "given": lambda: a_case(opened(), awaited(), recorded(), yes_of(MOTHER)),
    "refused": lambda: a_case(opened(), awaited(), recorded(), (a_no(), given())),
    "withdrawn": lambda: a_case(opened(), awaited(), recorded(), yes_of(MOTHER), (a_withdrawal(), given())),
    "expired": lambda: a_case(opened(), awaited(), recorded(), (a_lapse(), given())),
    "invalidated": lambda: a_case(
        opened(), awaited(), recorded(), (a_no(FATHER), given(actor=a_guardian(FATHER)))
    ),
}


@pytest.mark.parametrize(
    ("status", "command", "becomes"),
    [
        ("requested", a_yes(), "given"),
        ("requested", a_no(), "refused"),
        ("requested", a_withdrawal(), "refused"),
        ("given", a_yes(), "given"),
        ("given", a_no(), "withdrawn"),
        ("given", a_withdrawal(), "withdrawn"),
        ("refused", a_yes(), InvalidTransition),
        ("refused", a_no(), "refused"),
        ("refused", a_withdrawal(), "refused"),
        ("withdrawn", a_yes(), InvalidTransition),
        ("withdrawn", a_no(), "withdrawn"),
        ("withdrawn", a_withdrawal(), "withdrawn"),
        ("expired", a_yes(), InvalidTransition),
        ("expired", a_no(), "expired"),
        ("expired", a_withdrawal(), "expired"),
        ("invalidated", a_yes(), InvalidTransition),
        ("invalidated", a_no(), "invalidated"),
        ("invalidated", a_withdrawal(), "invalidated"),
    ],
)
def test_every_answer_at_every_moment(status: str, command: object, becomes: str | type[Exception]) -> None:
    """A no is always taken; a yes only while it is asked for; what is so already changes nothing."""
    case = STEPS[status]()
    assert statuses(case)[consent_id(MOTHER)] == status

    if not isinstance(becomes, str):
        with pytest.raises(becomes):
            decide(case, command, given(LATER))
        return
    decision = decide(case, command, given(LATER))

    assert statuses(decision.state)[consent_id(MOTHER)] == becomes
    assert (decision.state is case) == (becomes == status)
    assert bool(decision.events) == (becomes != status)


@pytest.mark.parametrize("command", [a_yes(STRANGER), a_no(STRANGER), a_withdrawal(STRANGER)])
def test_what_was_never_asked_cannot_be_answered(command: object) -> None:
    """An answer names a question that exists, in a case that exists."""
    with pytest.raises(NotFound):
        decide(a_case_with_questions(), command, given())
    with pytest.raises(NotFound):
        decide(None, command, given())


def test_the_text_that_was_read_must_be_the_one_that_was_asked() -> None:
    """Somebody who read other words has not said yes to these."""
    with pytest.raises(TextChanged):
        decide(a_case_with_questions(), a_yes(sha256="0" * 64), given())
    with pytest.raises(TextChanged):
        decide(a_case_with_questions(), a_yes(language="en", sha256=sha256_of(language="da")), given())


def test_a_text_may_be_read_in_another_language_and_is_then_frozen_in_it() -> None:
    """What was given stays the text in the language that it was read in."""
    decision = decide(a_case_with_questions(), a_yes(language="en"), given())

    question = decision.state.consents[consent_id()].question
    assert (question.language, question.text_sha256) == ("en", sha256_of(language="en"))
    assert decide(decision.state, a_yes(language="da"), given(LATER)).state is decision.state


def test_a_caseworker_minutes_an_answer_with_how_it_was_given() -> None:
    """A yes on paper or by word is on record with who noted it, and how; a no needs no form."""
    case = a_case_with_questions()
    told = given(actor=a_caseworker())

    yes = decide(case, a_yes(evidence="paper_signed"), told).state.consents[consent_id()]
    with pytest.raises(EvidenceMissing):
        decide(case, a_yes(), told)
    no = decide(case, a_no(), told).state.consents[consent_id()]

    assert (yes.given.evidence, yes.given.role) == ("paper_signed", "caseworker")
    assert no.refused.evidence == "oral_minuted"


def test_whoever_signs_in_proves_their_answer_by_that() -> None:
    """A person cannot claim another kind of proof for their own answer."""
    decision = decide(a_case_with_questions(), a_yes(evidence="oral_minuted"), given())

    answer = decision.state.consents[consent_id()].given
    assert (answer.evidence, answer.by, answer.assurance) == ("own_sign_in", MOTHER, "high")


@pytest.mark.req("K3")
def test_stale_custody_means_no_until_it_is_confirmed() -> None:
    """Who holds parental responsibility is trusted for a year, then it is asked again before anybody is."""
    a_year_later = datetime(2027, 3, 3, 10, 0, tzinfo=UTC)
    case = a_case_with_questions()
    untouched = a_case(opened(), recorded())

    with pytest.raises(CustodyStale):
        decide(case, a_yes(), given(a_year_later))
    late = decide(untouched, a_consent_awaited(awaited_at=a_year_later), given(a_year_later))
    confirmed = decide(late.state, custody(), given(a_year_later + timedelta(days=1), a_caseworker()))

    assert kinds(late.events) == []
    assert kinds(confirmed.events) == ["custody_recorded", "requested", "requested"]


def test_a_question_that_nobody_answers_lapses() -> None:
    """After the last day to answer, silence is a no."""
    case = a_case(opened(), awaited(), recorded(), yes_of(MOTHER))

    decision = decide(case, a_lapse(), given(LATER))

    assert kinds(decision.events) == ["expired", "lost"]
    assert statuses(decision.state) == {consent_id(MOTHER): "invalidated", consent_id(FATHER): "expired"}
    assert decide(decision.state, a_lapse(), given(LATER)).state is decision.state


def test_waiting_ends_on_the_morning_of_the_last_day() -> None:
    """The clock that waits for an answer is set when the referral begins to wait."""
    decision = after(opened(), awaited())

    assert decision.timers == (Timer("lapse", REFERRAL, COPENHAGEN.morning(LAPSE_ON)),)


def test_a_yes_runs_out() -> None:
    """A consent is valid for twelve months at most; then the permission that rests on it is lost."""
    case = a_granted_case()
    too_early = decide(case, an_expiry(), given(LATER))
    in_time = decide(case, an_expiry(), given(datetime(2027, 3, 5, 19, 30, tzinfo=UTC)))

    assert too_early.state is case
    assert kinds(in_time.events) == ["expired", "lost"]
    assert statuses(in_time.state) == {consent_id(MOTHER): "expired", consent_id(FATHER): "invalidated"}


@pytest.mark.parametrize("end", [a_recall(), a_decline(), ReferralClosed(referral_id=REFERRAL, reason="x")])
@pytest.mark.parametrize("case", [a_case_with_questions(), a_granted_case()])
def test_a_referral_that_is_over_ends_its_questions_quietly(end: object, case: Case) -> None:
    """Nobody is asked about what no longer matters; the referral itself has told the others."""
    decision = decide(case, end, given(LATER))

    assert decision.events == ()
    assert permission_of(decision.state) == Over(permission_of(case).scope, LATER)
    assert set(statuses(decision.state).values()) == {"invalidated"}
    assert decide(decision.state, a_withdrawal(), given(LATER)).state is decision.state


def test_a_closed_case_asks_nobody_any_more() -> None:
    """What is open ends with the case, and nothing is asked again."""
    decision = decide(a_case_with_questions(), CaseClosed(reason="goals_reached"), given(LATER))

    assert decision.state.closed
    assert isinstance(permission_of(decision.state), Over)
    assert decide(decision.state, a_consent_awaited(OTHER_REFERRAL), given(LATER)).state is decision.state


def test_custody_can_pass_after_a_case_is_closed() -> None:
    """Who holds it no longer must not go on looking at what the case holds; nobody is asked anew."""
    closed = decide(a_case_with_questions(), CaseClosed(reason="goals_reached"), given(LATER)).state

    passed = decide(closed, custody(the_mother()), given(LATER, a_caseworker()))

    assert [event.holder_ids for event in passed.events if isinstance(event, CustodyRecorded)] == [(MOTHER,)]
    assert kinds(passed.events) == ["custody_recorded"]


def test_at_eighteen_the_parents_are_no_longer_named_in_a_closed_case_either() -> None:
    """What the municipality holds of somebody of age is theirs alone to see."""
    born = date(2008, 3, 10)
    case = a_case(opened(), recorded(born=born, young=YOUNG_PERSON))
    closed = decide(case, CaseClosed(reason="goals_reached"), given(LATER))

    of_age = a_check(closed.state, born, date(2026, 3, 10))

    assert not any(timer.kind == "age" for timer in closed.timers)
    assert [event.holder_ids for event in of_age.events if isinstance(event, CustodyRecorded)] == [()]


@pytest.mark.parametrize("event", HEARS)
def test_what_does_not_fit_is_heard_without_harm(event: type) -> None:
    """An event about a referral that is not known here changes no question and raises nothing."""
    heard = {
        "CaseOpened": a_case_opened(),
        "ConsentAwaited": a_consent_awaited(),
        "CaseClosed": CaseClosed(reason="x"),
        "ReferralClosed": ReferralClosed(referral_id=OTHER_REFERRAL, reason="x"),
        "ReferralRecalled": a_recall(OTHER_REFERRAL),
    }.get(event.__name__, a_decline(OTHER_REFERRAL))

    alone = decide(None, heard, given())
    again = decide(a_granted_case(), a_consent_awaited(), given())

    assert alone.events == ()
    assert again.events == ()


def test_custody_names_somebody_who_may_consent() -> None:
    """A record of custody that would ask nobody, or one person twice, or is about the future, is refused."""
    case, known = a_case(opened()), given(RECORDED_AT, a_caseworker())
    nobody = replace(custody(), holders=())

    for wrong, refusal in (
        (nobody, HolderMissing),
        (custody(the_mother(), the_mother()), PersonNamedTwice),
        (custody(born=date(2026, 3, 4)), BirthAhead),
        (custody(born=FIFTEEN), YoungPersonMissing),
        (custody(born=GROWN_UP), YoungPersonMissing),
    ):
        with pytest.raises(refusal):
            decide(case, wrong, known)
    with pytest.raises(ModelMissing):
        decide(case, custody(), given(RECORDED_AT, a_caseworker(), models={}))
    with pytest.raises(NotFound):
        decide(None, custody(), known)


@pytest.mark.req("K3")
def test_from_fifteen_the_young_person_is_asked_too() -> None:
    """Both parents and the young person must say yes, each to the text meant for them."""
    decision = after(opened(), awaited(), recorded(born=FIFTEEN, young=YOUNG_PERSON))

    asked = [event for event in decision.events if isinstance(event, ConsentRequested)]
    assert [event.holder_id for event in asked] == [MOTHER, FATHER, YOUNG_PERSON]
    assert asked[-1].text_sha256 == sha256_of("young_person")
    assert decision.state.custody.quorum == "young_person_and_holders"


@pytest.mark.req("K3")
def test_from_eighteen_only_the_young_person_is_asked() -> None:
    """Nobody holds parental responsibility for somebody of age: no parent is asked, named or kept."""
    decision = after(opened(), awaited(), recorded(born=GROWN_UP, young=YOUNG_PERSON))

    recorded_as = next(event for event in decision.events if isinstance(event, CustodyRecorded))
    assert (recorded_as.holder_ids, recorded_as.quorum) == ((), "young_person")
    assert list(decision.state.consents) == [consent_id(YOUNG_PERSON)]
    assert {seal.subject for seal in decision.private_values} == {YOUNG_PERSON}
    assert decision.timers[-1] == Timer("age", CASE, None)


def a_check(case: Case, born: date, day: date) -> Decision:
    """Look at the child's age as a day begins."""
    at = COPENHAGEN.morning(day)
    return decide(case, a_birthday_check(at), given(at, private={f"born:{YOUNG_PERSON}": born.isoformat()}))


@pytest.mark.req("K3")
def test_on_the_fifteenth_birthday_an_open_question_goes_to_the_young_person_too() -> None:
    """Age is looked at again, not only when custody is recorded."""
    born = date(2011, 3, 10)
    case = a_case(opened(), awaited(), recorded(born=born, young=YOUNG_PERSON))

    day_before = a_check(case, born, date(2026, 3, 9))
    birthday = a_check(case, born, date(2026, 3, 10))

    assert day_before.events == ()
    assert day_before.timers[0].due_at == datetime(2026, 3, 9, 23, 0, tzinfo=UTC)
    assert kinds(birthday.events) == ["custody_recorded", "requested"]
    assert set(statuses(birthday.state)) == {consent_id(p) for p in (MOTHER, FATHER, YOUNG_PERSON)}


@pytest.mark.req("K3")
def test_on_the_fifteenth_birthday_a_permission_without_the_young_person_is_lost() -> None:
    """What the parents alone permitted does not go on behind the back of somebody who must be asked."""
    born = date(2011, 3, 10)
    case = a_case(
        opened(), awaited(), recorded(born=born, young=YOUNG_PERSON), yes_of(MOTHER), yes_of(FATHER)
    )

    decision = a_check(case, born, date(2026, 3, 10))

    assert kinds(decision.events) == ["custody_recorded", "lost"]
    lost = permission_of(decision.state)
    assert isinstance(lost, Lost)
    assert lost.reason == "invalidated"


@pytest.mark.req("K3")
def test_on_the_eighteenth_birthday_the_parents_answers_no_longer_count() -> None:
    """From then on it is the young person's own matter; what all three permitted goes on by their own yes."""
    born = date(2008, 3, 10)
    steps = (opened(), awaited(), recorded(born=born, young=YOUNG_PERSON))
    case = a_case(*steps, yes_of(MOTHER), yes_of(FATHER), yes_of(YOUNG_PERSON))

    decision = a_check(case, born, date(2026, 3, 10))

    assert kinds(decision.events) == ["custody_recorded"]
    assert isinstance(permission_of(decision.state), Granted)
    assert statuses(decision.state)[consent_id(YOUNG_PERSON)] == "given"
    assert statuses(decision.state)[consent_id(MOTHER)] == "invalidated"
    assert decision.state.custody.holders == {}


@pytest.mark.req("K3")
def test_a_change_of_custody_lets_go_of_who_lost_it_and_asks_who_gained_it() -> None:
    """A permission needs those who hold parental responsibility now."""
    asked = a_case(opened(), awaited(), recorded(the_mother()))
    granted = a_case(opened(), awaited(), recorded(the_mother()), yes_of(MOTHER))
    change = custody(the_father()), given(LATER, a_caseworker())

    still_open = decide(asked, *change)
    lost = decide(granted, *change)

    assert kinds(still_open.events) == ["custody_recorded", "requested"]
    assert statuses(still_open.state) == {consent_id(MOTHER): "invalidated", consent_id(FATHER): "requested"}
    assert kinds(lost.events) == ["custody_recorded", "lost"]


@pytest.mark.req("K3")
def test_a_parent_who_drops_out_of_custody_may_leave_all_the_answers_that_are_needed() -> None:
    """Where the one who is left has said yes already, the permission is granted."""
    case = a_case(opened(), awaited(), recorded(), yes_of(MOTHER))

    decision = decide(case, custody(the_mother()), given(LATER, a_caseworker()))

    assert kinds(decision.events) == ["custody_recorded", "granted"]


def test_an_erased_birth_date_stops_the_clock_and_a_missing_model_only_delays_it() -> None:
    """Nothing is waited for that nobody can know any more; a model may be installed again tomorrow."""
    case = a_case_with_questions()
    at = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
    born = {f"born:{CASE}": BORN.isoformat()}

    erased = decide(case, a_birthday_check(at), given(at))
    delayed = decide(case, a_birthday_check(at), given(at, private=born, models={}))

    assert (erased.state, erased.timers) == (case, ())
    assert delayed.state is not case
    assert delayed.timers == (Timer("age", CASE, datetime(2026, 4, 2, 0, 0, tzinfo=UTC)),)


HOLDERS = (MOTHER, FATHER)


@pytest.mark.parametrize(
    ("quorum", "age", "young", "must", "code"),
    [
        ("all_holders", 14, YOUNG_PERSON, HOLDERS, "all_holders"),
        ("all_holders", 15, YOUNG_PERSON, (*HOLDERS, YOUNG_PERSON), "young_person_and_holders"),
        ("all_holders", 15, None, (), "young_person_and_holders"),
        ("all_holders", 18, YOUNG_PERSON, (YOUNG_PERSON,), "young_person"),
        ("all_holders", 18, None, (), "young_person"),
        ("residence_holder", 9, None, (MOTHER,), "residence_holder"),
        ("residence_holder", 15, YOUNG_PERSON, (MOTHER, YOUNG_PERSON), "young_person_and_holders"),
        ("young_person_and_holders", 9, None, HOLDERS, "all_holders"),
        ("young_person_and_holders", 10, YOUNG_PERSON, (*HOLDERS, YOUNG_PERSON), "young_person_and_holders"),
        ("authority_decision", 9, YOUNG_PERSON, (), "authority_decision"),
    ],
)
def test_who_must_consent_by_rule_and_age(
    quorum: str, age: int, young: UUID | None, must: tuple[UUID, ...], code: str
) -> None:
    """The model's dated rule says who is asked; where one of them is not named, no yes is enough."""
    rule = MODEL.consent.rules[0].model_copy(update={"quorum": quorum})

    found = quorum_of(rule, age, holders=HOLDERS, residence=(MOTHER,), young=young)

    assert (found.must, found.code, found.rule) == (must, code, "dk_2024")


def test_a_birthday_on_the_leap_day_is_kept_on_the_first_of_march() -> None:
    """Full years are counted, also in years without that day."""
    born = date(2008, 2, 29)

    assert [age_on(born, date(2026, 2, 28)), age_on(born, date(2026, 3, 1))] == [17, 18]


@pytest.mark.parametrize(
    ("moment", "months", "later"),
    [
        (datetime(2026, 3, 5, 19, 30, tzinfo=UTC), 12, datetime(2027, 3, 5, 19, 30, tzinfo=UTC)),
        (datetime(2028, 2, 29, 8, 0, tzinfo=UTC), 12, datetime(2029, 2, 28, 8, 0, tzinfo=UTC)),
        (datetime(2026, 8, 31, 8, 0, tzinfo=UTC), 6, datetime(2027, 2, 28, 8, 0, tzinfo=UTC)),
        (datetime(2026, 11, 30, 8, 0, tzinfo=UTC), 1, datetime(2026, 12, 30, 8, 0, tzinfo=UTC)),
    ],
)
def test_months_are_counted_by_the_calendar(moment: datetime, months: int, later: datetime) -> None:
    """Twelve months later is the same day, or the last one of a shorter month."""
    assert months_after(moment, months) == later


@example(
    born=st.dates(date(2005, 1, 1), date(2026, 3, 1)), today=st.dates(date(2026, 3, 1), date(2040, 1, 1))
)
def test_the_clock_of_a_childs_age_misses_no_birthday_and_tells_none(born: date, today: date) -> None:
    """A deciding birthday is never passed over, and the days waited for are the same for a whole month."""
    rules = MODEL.consent.rules
    due = next_check(born, today, rules)

    if due is None:
        assert age_on(born, today) >= 18
        return
    in_between = [today + timedelta(days=n) for n in range(1, (due - today).days)]
    assert all(
        age_on(born, day) == age_on(born, today) or age_on(born, day) not in (10, 15, 18)
        for day in in_between
    )
    assert due == next_check(born.replace(day=15), today, rules) or age_on(born.replace(day=15), today) >= 18


def everything(decision: Decision) -> str:
    """Return all that is stored unsealed or sent after a decision, as text."""
    events = " ".join(event.model_dump_json() for event in decision.events)
    return msgspec.json.encode((decision.state, decision.timers, decision.effects)).decode() + events


@pytest.mark.req("K3")
def test_no_name_and_no_birth_date_leaves_its_seal() -> None:
    """What is stored openly or sent holds random ids, dates and codes only."""
    born = date(2011, 2, 17)
    steps = (opened(), awaited(), recorded(born=born, young=YOUNG_PERSON), yes_of(MOTHER), yes_of(FATHER))
    decision = after(*steps, yes_of(YOUNG_PERSON), (a_withdrawal(), given(LATER)))

    said = everything(decision)
    assert not any(
        word in said for word in (MOTHERS_NAME, FATHERS_NAME, CHILDS_NAME, born.isoformat(), "02-17")
    )
    assert {(seal.subject, seal.name, seal.value) for seal in decision.private_values} == {
        (MOTHER, f"name:{MOTHER}", MOTHERS_NAME),
        (FATHER, f"name:{FATHER}", FATHERS_NAME),
        (YOUNG_PERSON, f"name:{YOUNG_PERSON}", CHILDS_NAME),
        (YOUNG_PERSON, f"born:{YOUNG_PERSON}", born.isoformat()),
    }


def test_a_state_is_read_as_it_was_written() -> None:
    """Each kind of record and permission survives being stored."""
    for case in (*(make() for make in STEPS.values()), a_granted_case()):
        assert msgspec.json.decode(msgspec.json.encode(case), type=Case) == case


ELSEWHERE = UUID("0198d000-0000-7000-8000-0000000000ff")
MOTHERS_RECEIPT = ReadRequest((receipt_part(consent_id(MOTHER)),))
WHOLE_CASE = ReadRequest(("custody", "consents"))


@pytest.mark.req("K3")
@pytest.mark.parametrize(
    ("actor", "trigger", "allowed"),
    [
        (a_caseworker(), custody(), True),
        (a_caseworker(), a_yes(), True),
        (a_caseworker(), a_withdrawal(FATHER), True),
        (a_caseworker(), WHOLE_CASE, True),
        (a_caseworker(), MOTHERS_RECEIPT, True),
        (a_caseworker(ELSEWHERE), custody(), False),
        (a_caseworker(ELSEWHERE), a_yes(), False),
        (a_caseworker(ELSEWHERE), WHOLE_CASE, False),
        (a_caseworker(None), WHOLE_CASE, False),
        (a_guardian(MOTHER), a_yes(MOTHER), True),
        (a_guardian(MOTHER), a_no(MOTHER), True),
        (a_guardian(MOTHER), a_withdrawal(MOTHER), True),
        (a_guardian(MOTHER), MOTHERS_RECEIPT, True),
        (a_guardian(MOTHER), a_yes(FATHER), False),
        (a_guardian(MOTHER), a_withdrawal(FATHER), False),
        (a_guardian(MOTHER), WHOLE_CASE, False),
        (a_guardian(MOTHER), custody(), False),
        (a_guardian(FATHER), MOTHERS_RECEIPT, False),
        (a_guardian(STRANGER), a_yes(MOTHER), False),
        (the_young_person(), a_yes(MOTHER), False),
        (Actor(MOTHER, "coordinator", TENANT), a_yes(MOTHER), False),
        (Actor(MOTHER, "coordinator", TENANT), WHOLE_CASE, False),
        (Actor(MOTHER, "leader", TENANT), MOTHERS_RECEIPT, False),
        (Actor(MOTHER, "auditor", TENANT), WHOLE_CASE, False),
        (Actor(MOTHER, "administrator", TENANT), custody(), False),
    ],
)
def test_only_the_one_asked_and_the_cases_own_department_may(
    actor: Actor, trigger: object, *, allowed: bool
) -> None:
    """Access follows assignment: being a guardian or a caseworker somewhere is not enough."""
    assert allows(a_case_with_questions(), trigger, given(actor=actor)) is allowed


def test_a_case_that_nobody_opened_is_nobodys() -> None:
    """Where the department is not known yet, no caseworker is taken for the right one."""
    case = a_case(awaited())

    assert not allows(case, WHOLE_CASE, given(actor=a_caseworker(None)))
    assert allows(None, custody(), given(actor=a_caseworker()))
    assert not allows(None, a_yes(), given(actor=a_guardian()))


def test_a_person_sees_what_they_are_asked_and_nothing_about_others() -> None:
    """The mother reads her own question, in her words or in others, and how to stop."""
    case = a_case_with_questions()
    known: dict[str, Any] = {"person_id": MOTHER, "models": MODELS}

    (own,) = mine(case, CASE, 4, **known, language=None)
    (english,) = mine(case, CASE, 4, **known, language="en")

    assert (own.consent_id, own.status, own.version) == (consent_id(MOTHER), "requested", 4)
    assert (own.purpose.code, [fact.code for fact in own.facts]) == ("networks", ["first_name", "need"])
    assert own.purpose.text == "Netværk og relationer for børn, unge og familier"
    assert (own.answer_by, own.months, own.language) == (LAPSE_ON, 12, "da")
    assert own.withdraw == f"/consent/cases/{CASE}/consents/{consent_id(MOTHER)}/withdraw"
    assert (english.language, english.text_sha256) == ("en", sha256_of(language="en"))
    assert english.text is not None
    assert english.text.startswith("You permit")


def test_what_was_given_is_shown_in_the_words_that_it_was_given_to() -> None:
    """After the yes there is no other language, and after the end there is nothing to show."""
    case = a_granted_case()
    ended = decide(case, a_withdrawal(), given(LATER)).state

    (own,) = mine(case, CASE, 6, person_id=FATHER, models=MODELS, language="en")

    assert (own.language, own.answer_by) == ("nb", None)
    assert own.expires_at == months_after(ANSWERED_AT, 12)
    assert list(mine(ended, CASE, 7, person_id=FATHER, models=MODELS, language=None)) == []


def test_a_caseworker_sees_who_was_asked_and_where_a_name_was_erased() -> None:
    """The case shows custody with names, every record, and a gap where a key was destroyed."""
    private = {name_of(MOTHER): MOTHERS_NAME, f"born:{CASE}": BORN.isoformat()}

    view = case_view(a_granted_case(), CASE, 6, private)

    assert view.custody is not None
    assert [(holder.name, holder.must) for holder in view.custody.holders] == [
        (MOTHERS_NAME, True),
        (None, True),
    ]
    assert view.custody.born == BORN
    assert [consent.status for consent in view.consents] == ["given", "given"]
    assert view.permissions[0].until == months_after(ANSWERED_AT, 12)


def the_receipt(case: Case, models: Mapping[str, CollaborationModel] = MODELS) -> dict[str, Any]:
    """Return the mother's receipt as JSON would hold it."""
    receipt = receipt_of(case, CASE, consent_id(MOTHER), tenant=TENANT, version=7, models=models)
    return receipt.model_dump(mode="json")


@pytest.mark.req("K3")
def test_the_receipt_says_what_was_permitted_in_the_standards_words() -> None:
    """A family can keep and pass on what they agreed to, in the fields of ISO/IEC TS 27560."""
    receipt = the_receipt(a_granted_case())

    (purpose,) = receipt["pii_processing"]["purposes"]
    assert (receipt["schema_version"], receipt["record_id"]) == (
        "ISO/IEC TS 27560:2023",
        str(consent_id(MOTHER)),
    )
    assert [info["pii_type"] for info in purpose["pii_information"]] == ["first_name", "need"]
    assert (purpose["pii_controllers"], purpose["recipient_third_parties"]) == ([TENANT], [str(ORGANISATION)])
    assert (purpose["lawful_basis"], purpose["jurisdiction"]) == ("gdpr_6_1_e", "dk")
    assert purpose["withdrawal_method"].endswith("/withdraw")
    assert [event["event_state"] for event in receipt["events"]] == ["requested", "given"]
    assert (receipt["events"][1]["assurance"], receipt["events"][1]["evidence"]) == ("high", "own_sign_in")
    assert (receipt["state"], receipt["rule"], receipt["quorum"]) == ("given", "dk_2024", "all_holders")
    assert receipt["text"].startswith("Du giver kommunen lov")


def test_the_receipt_of_a_withdrawn_consent_still_says_that_it_was_given() -> None:
    """That consent existed and was withdrawn is never forgotten."""
    receipt = the_receipt(decide(a_granted_case(), a_withdrawal(), given(LATER)).state)

    assert [event["event_state"] for event in receipt["events"]] == ["requested", "given", "withdrawn"]
    assert (receipt["state"], receipt["expires"]) == ("withdrawn", None)


def test_a_text_that_was_changed_behind_a_consent_is_not_passed_off_as_the_one_read() -> None:
    """If the model's words no longer have the fingerprint that was given to, the receipt shows none."""
    text = MODEL.consent.texts[0]
    edited = text.model_copy(update={"text": text.text.model_copy(update={"da": "Noget andet"})})
    consent = MODEL.consent.model_copy(update={"texts": (edited, *MODEL.consent.texts[1:])})
    models = {MODEL.ref: MODEL.model_copy(update={"consent": consent})}

    receipt = the_receipt(a_granted_case(), models)

    assert receipt["text"] is None
    assert receipt["text_sha256"] == sha256_of()


HEARD = (
    opened(),
    awaited(),
    awaited(OTHER_REFERRAL),
    (a_recall(OTHER_REFERRAL), given(LATER)),
)
OWN = (recorded(), yes_of(MOTHER), yes_of(FATHER), (a_withdrawal(FATHER), given(LATER, a_guardian(FATHER))))


@example(st.permutations([0] * len(HEARD) + [1] * len(OWN)))
def test_the_outcome_does_not_depend_on_which_topic_was_read_first(turns: list[int]) -> None:
    """Whatever the referral service says between the family's steps, the case ends the same.

    A person who is too early is told so, and tries again.
    """
    heard, own, state = list(HEARD), list(OWN), None
    for turn in turns + [1] * len(OWN):
        if turn == 0:
            state = decide(state, *heard.pop(0)).state
        elif own:
            try:
                state = decide(state, *own[0]).state
            except NotFound:
                continue
            own.pop(0)

    assert own == []
    assert isinstance(state, Case)
    in_order = a_case(opened(), recorded(), awaited(), *OWN[1:])
    assert state.permissions[REFERRAL] == in_order.permissions[REFERRAL]
    assert isinstance(state.permissions[OTHER_REFERRAL], Over)
    assert {
        at: c for at, c in state.consents.items() if c.question.referral_id == REFERRAL
    } == in_order.consents
    assert state.custody == in_order.custody


_PEOPLE = (MOTHER, FATHER, YOUNG_PERSON)
_INPUTS = st.one_of(
    st.sampled_from(
        [a_case_opened(), a_consent_awaited(), a_recall(), a_lapse(), an_expiry(), an_expiry(FATHER)]
    ),
    st.sampled_from([custody(), custody(the_mother()), custody(born=FIFTEEN, young_person_id=YOUNG_PERSON)]),
    st.sampled_from([kind(person) for kind in (a_yes, a_no, a_withdrawal) for person in _PEOPLE]),
)


@pytest.mark.req("K3")
@example(st.lists(_INPUTS, max_size=25))
def test_whatever_happens_a_permission_stands_on_the_yes_of_all_who_must(inputs: list[Any]) -> None:
    """There is no way to a permission past anybody who must consent, and none that outlives a no."""
    state: Case | None = a_case(opened())
    granted = False
    for n, asked in enumerate(inputs):
        known = given(ANSWERED_AT + timedelta(days=20 * n), a_caseworker(), private={})
        if not isinstance(asked, TimerFired) and hasattr(asked, "evidence"):
            asked = replace(asked, evidence="oral_minuted")  # noqa: PLW2901  as a caseworker minutes it
        try:
            decision = decide(state, asked, known)
        except (NotFound, InvalidTransition, CustodyStale):
            continue
        state = decision.state
        assert state is not None
        for event in decision.events:
            granted = isinstance(event, ConsentGranted) or (granted and not isinstance(event, ConsentLost))
        permission = state.permissions.get(REFERRAL)
        if isinstance(permission, Granted):
            assert granted
            assert state.custody is not None
            yes = {c.question.person_id for c in state.consents.values() if isinstance(c, states.Given)}
            assert set(state.custody.must) <= yes
        if permission is None or isinstance(permission, Awaited | Lost):
            assert not granted
