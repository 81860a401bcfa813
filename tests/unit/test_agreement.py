"""The cooperation agreement: the meeting, the terms, the signatures, progress, and every way to the end."""

from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from contracts import agreement as told
from services.agreement.app import SERVICE
from services.agreement.domain import refusals as no
from services.agreement.domain.commands import Command
from services.agreement.domain.deadlines import timers_of, work_items_of
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import (
    Agreement,
    Case,
    Cause,
    Ended,
    InForce,
    Met,
    Proposed,
    Update,
    agreement_of,
    status_of,
)
from services.kernel.decider.decision import Decision, Timer
from services.kernel.errors import InvalidTransition, NotFound, Refused
from tests.examples_agreement import (
    AGREEMENT,
    CASE,
    COORDINATOR,
    DEPARTMENT,
    ENDS,
    GOAL,
    GUARDIAN,
    KERTEMINDE,
    MEETING_BY,
    NOW,
    ORGANISATION,
    REFERRAL,
    SECRETS,
    STARTS,
    TODAY,
    UPDATE_DUE,
    YOUNG,
    YOUNG_PERSON,
    a_case,
    a_goal,
    a_met,
    a_proposed,
    accepted,
    agreements,
    all_signed,
    an_adjustable,
    an_ended,
    an_in_force,
    an_invited,
    case_opened,
    commands,
    concluded,
    fired,
    given,
    lost,
    news,
    recalled,
    terms,
    to_end,
    to_hold,
    to_propose,
    to_report,
    to_sign,
    withdrawn,
)


def after(decision: Decision) -> Agreement:
    """Return the agreement as a decision leaves it."""
    case: Case = decision.state
    return case.agreements[AGREEMENT]


def due(agreement: Agreement) -> dict[str, datetime | None]:
    """Return when an agreement is to be woken, by kind of timer."""
    return {timer.kind: timer.due_at for timer in timers_of(a_case(), AGREEMENT, agreement, KERTEMINDE)}


def tell_in_force(**changes: Any) -> told.AgreementInForce:
    """Return what others hear when all have signed."""
    usual: dict[str, Any] = {
        "agreement_id": AGREEMENT,
        "referral_id": REFERRAL,
        "organisation_id": ORGANISATION,
        "version": 1,
        "goal_ids": (GOAL,),
        "model": "kerteminde",
        "model_version": 1,
        "starts_on": STARTS,
        "ends_on": ENDS,
        "update_every_days": 30,
        "evaluate_every_days": 90,
    }
    return told.AgreementInForce(**{**usual, **changes})


def tell_ended(reason: str, ended_on: date = TODAY) -> told.AgreementEnded:
    """Return what others hear of an end."""
    return told.AgreementEnded(
        agreement_id=AGREEMENT,
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        reason=reason,
        ended_on=ended_on,
    )


@pytest.mark.req("N7")
def test_an_accepted_referral_invites_the_parties_to_a_meeting() -> None:
    """Family, caseworker and organisation are asked to meet by the day that the model's deadline gives."""
    decision = decide(a_case(), accepted(), given())

    assert decision.state == a_case(an_invited())
    assert decision.events == (
        told.MeetingInvited(
            agreement_id=AGREEMENT, referral_id=REFERRAL, organisation_id=ORGANISATION, meeting_by=MEETING_BY
        ),
    )
    assert {timer.kind: timer.due_at for timer in decision.timers} == due(an_invited())
    assert decide(decision.state, accepted(), given()) == Decision(decision.state)


def test_an_acceptance_is_remembered_before_the_case_is_known() -> None:
    """The topics may bring the acceptance before the department and the guardians are known here."""
    decision = decide(None, accepted(), given())

    assert decision.state == Case(agreements={AGREEMENT: an_invited()})
    assert decide(decision.state, case_opened(), given()).state.department_id is not None


def test_two_organisations_of_one_case_have_an_agreement_each() -> None:
    """Many referrals per case are normal, and none touches the other's agreement."""
    other = agreement_of(CASE)
    case = decide(a_case(an_in_force()), accepted(CASE), given()).state

    decision = decide(case, lost(), given())

    assert isinstance(decision.state.agreements[AGREEMENT], Ended)
    assert decision.state.agreements[other] == case.agreements[other]


@pytest.mark.req("N7")
def test_a_held_meeting_is_put_on_record_with_those_who_came() -> None:
    """The start-up meeting brings family, caseworker and organisation together."""
    decision = decide(a_case(an_invited()), to_hold(), given())

    assert after(decision) == a_met()
    assert decision.events == (
        told.MeetingHeld(
            agreement_id=AGREEMENT,
            referral_id=REFERRAL,
            held_on=TODAY,
            attended=("caseworker", "child", "family", "organisation"),
        ),
    )
    assert {timer.kind: timer.due_at for timer in decision.timers} == dict.fromkeys(due(an_invited()))


@pytest.mark.req("H1")
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"attended": ("caseworker", "organisation")}, no.PartyAbsent),
        ({"attended": ("family", "caseworker", "child")}, no.PartyAbsent),
        ({"held_on": TODAY + timedelta(days=1)}, no.MeetingAhead),
        ({"held_on": TODAY - timedelta(days=1)}, no.MeetingEarly),
    ],
)
def test_no_meeting_counts_without_the_family(changes: dict[str, Any], refusal: type[Refused]) -> None:
    """Child and family are part of the solution: what was held without them was no start-up meeting."""
    with pytest.raises(refusal):
        decide(a_case(an_invited()), to_hold(**changes), given())


@pytest.mark.req("N7")
@pytest.mark.req("H2")
def test_a_proposal_says_goals_actions_answers_and_rhythm() -> None:
    """What is agreed is written: goals with who answers, the follow-up rhythm, the duration and the cost."""
    decision = decide(a_case(a_met()), to_propose(), given())

    assert after(decision) == a_proposed()
    assert decision.events == (
        told.AgreementProposed(
            agreement_id=AGREEMENT,
            referral_id=REFERRAL,
            organisation_id=ORGANISATION,
            version=1,
            goals=(told.GoalOutline(goal_id=GOAL, purpose="networks", responsible="organisation"),),
            starts_on=STARTS,
            ends_on=ENDS,
            update_every_days=30,
            evaluate_every_days=90,
            cost="free",
        ),
    )
    assert {seal.name: seal.value for seal in decision.private_values} == {
        f"goals:{AGREEMENT}:1": [
            {
                "goal_id": str(GOAL),
                "text": "two friends from playing football",
                "actions": [{"text": "the mentor fetches her on Tuesdays", "responsible": "organisation"}],
            }
        ],
        f"wants:{AGREEMENT}:1": to_propose().wants,
        f"cost:{AGREEMENT}:1": "",
    }


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        pytest.param({"goals": ()}, no.GoalMissing, marks=pytest.mark.req("H2")),
        pytest.param({"goals": (a_goal(text=" "),)}, no.GoalMissing, marks=pytest.mark.req("H2")),
        pytest.param({"goals": (a_goal(actions=()),)}, no.ActionMissing, marks=pytest.mark.req("H2")),
        pytest.param({"goals": (a_goal(purpose="fame"),)}, no.PurposeUnknown, marks=pytest.mark.req("K5")),
        pytest.param({"wants": {"family": "we hope"}}, no.WantMissing, marks=pytest.mark.req("H1")),
        pytest.param({"ends_on": STARTS}, no.DurationMissing, marks=pytest.mark.req("N3")),
        pytest.param(
            {"starts_on": date(2025, 1, 1), "ends_on": TODAY}, no.DurationMissing, marks=pytest.mark.req("N3")
        ),
        pytest.param({"cost": "to_settle"}, no.CostOpen, marks=pytest.mark.req("N13")),
        pytest.param({"cost": "paid"}, no.CostOpen, marks=pytest.mark.req("N13")),
        pytest.param({"payer": "family"}, no.CostOpen, marks=pytest.mark.req("N13")),
        pytest.param({"cost": "paid", "payer": "shared"}, no.CostOpen, marks=pytest.mark.req("N13")),
        pytest.param({"evaluate_every_days": 91}, no.RhythmTooSlow, marks=pytest.mark.req("N12")),
        pytest.param({"update_every_days": 91}, no.RhythmTooSlow, marks=pytest.mark.req("N9")),
    ],
)
def test_what_an_agreement_must_settle_cannot_be_left_open(
    changes: dict[str, Any], refusal: type[Refused]
) -> None:
    """Nothing is laid ready to be signed while a goal, a party's want, the duration or the cost is open."""
    with pytest.raises(refusal):
        decide(a_case(a_met()), to_propose(**changes), given())


@pytest.mark.req("N13")
def test_who_pays_what_is_settled_before_the_start() -> None:
    """A shared cost names its payer as a code and the shares in words, which are sealed."""
    decision = decide(
        a_case(a_met()), to_propose(cost="paid", payer="shared", cost_text="bus fares: family"), given()
    )
    agreement = after(decision)

    assert isinstance(agreement, Proposed)
    assert (agreement.proposal.terms.cost, agreement.proposal.terms.payer) == ("paid", "shared")
    assert "bus fares" in str(decision.private_values)


def test_a_new_proposal_takes_the_names_off_the_old_one() -> None:
    """Who signed version one has not signed version two."""
    decision = decide(a_case(a_proposed("municipality", "family")), to_propose(), given())
    agreement = after(decision)

    assert isinstance(agreement, Proposed)
    assert agreement.proposal.terms == terms(2)
    assert agreement.proposal.signed == ()
    with pytest.raises(no.VersionPast):
        decide(decision.state, to_sign(version=1), given())


@pytest.mark.req("N7")
def test_the_last_signature_brings_the_agreement_into_force() -> None:
    """Municipality and organisation have signed; as a guardian does, the volunteers begin."""
    case = a_case(a_proposed("municipality", "organisation"))

    decision = decide(case, to_sign("family"), given(GUARDIAN))

    assert after(decision) == an_in_force()
    assert decision.events == (
        told.AgreementSigned(agreement_id=AGREEMENT, version=1, party="family"),
        tell_in_force(),
    )
    assert {timer.kind: timer.due_at for timer in decision.timers} == due(an_in_force())


def test_who_speaks_for_the_family_no_longer_has_not_signed_for_it() -> None:
    """As the young person comes of age a guardian's name falls away, and theirs is asked for and counts."""
    proposed = a_proposed("municipality", "organisation", "family")
    of_age = a_case(proposed, guardians=(), young_person_id=YOUNG, quorum="young_person")

    begun = after(decide(of_age, to_sign("family"), given(YOUNG_PERSON)))

    assert [(wait.what, wait.owner_id) for wait in work_items_of(of_age)] == [("signature", YOUNG)]
    assert isinstance(begun, InForce)
    assert [one.by for one in begun.signed if one.party == "family"] == [YOUNG]


def test_an_agreement_is_not_held_up_by_a_name_that_is_needed_no_longer() -> None:
    """Where custody shows that the young person need not sign, whoever has signed brings it into force."""
    signed = a_case(a_proposed("municipality", "organisation", "family"), young_person_id=YOUNG)

    decision = decide(signed, to_sign("municipality"), given())

    assert [wait.owner_id for wait in work_items_of(signed)] == [DEPARTMENT]
    assert after(decision) == an_in_force()
    assert decision.events == (tell_in_force(),)


@pytest.mark.req("N3")
def test_what_is_over_before_the_last_name_does_not_come_into_force() -> None:
    """A version whose last day has come is proposed anew, with days that lie ahead."""
    case, late = a_case(a_proposed("municipality", "organisation")), NOW.replace(month=9, day=9)

    with pytest.raises(no.DurationMissing):
        decide(case, to_sign("family"), given(GUARDIAN, now=late))
    further = to_propose(starts_on=ENDS, ends_on=ENDS + timedelta(days=90))
    assert isinstance(after(decide(case, further, given(now=late))), Proposed)


def test_a_signature_counts_once() -> None:
    """Whoever signs again, before or after it came into force, changes nothing."""
    waiting, running = a_case(a_proposed("family")), a_case(an_in_force())

    assert decide(waiting, to_sign("family"), given(GUARDIAN)) == Decision(waiting)
    assert decide(running, to_sign("family"), given(GUARDIAN)) == Decision(running)


@pytest.mark.req("H1")
def test_a_young_person_signs_where_their_own_consent_is_needed() -> None:
    """At fifteen the agreement is not in force before the young person has signed as well."""
    case = a_case(
        a_proposed("municipality", "organisation"), young_person_id=YOUNG, quorum="young_person_and_holders"
    )

    waiting = decide(case, to_sign("family"), given(GUARDIAN))
    decision = decide(waiting.state, to_sign("young_person"), given(YOUNG_PERSON))

    assert isinstance(after(waiting), Proposed)
    assert isinstance(after(decision), InForce)
    with pytest.raises(no.PartyUnknown):
        decide(a_case(a_proposed()), to_sign("young_person"), given(YOUNG_PERSON))


@pytest.mark.req("N9")
def test_progress_is_reported_and_the_next_update_expected() -> None:
    """The organisation says how it goes, in words for the parties and a trend for the figures."""
    decision = decide(a_case(an_in_force()), to_report(), given(COORDINATOR))
    agreement = after(decision)

    assert isinstance(agreement, InForce)
    assert agreement.updates == (Update(1, UPDATE_DUE, TODAY, "forward"),)
    assert agreement.updates[0].on_time
    assert agreement.expected == Update(2, TODAY + timedelta(days=30))
    assert decision.events == (
        told.ProgressReported(agreement_id=AGREEMENT, number=1, reported_on=TODAY, trend="forward"),
    )
    assert [seal.value for seal in decision.private_values] == ["she laughed a lot"]
    assert {timer.kind for timer in decision.timers} == set(due(agreement)) - {"end"}


@pytest.mark.req("N9")
def test_a_missing_update_climbs_the_silence_ladder() -> None:
    """Two working days before, on the day, five days after; ten days after it is counted as missed."""
    case = a_case(an_in_force())
    rungs = due(an_in_force())

    nudges = []
    for kind, at in rungs.items():
        assert at is not None
        decision = decide(case, fired(kind, at), given(now=at))
        nudges += [event.rung for event in decision.events if isinstance(event, told.ProgressNudged)]
    missed = decide(case, fired("progress:automatic", rungs["progress:automatic"] or NOW), given())
    agreement = after(missed)

    assert nudges == ["reminder", "stand_in", "leader", "automatic"]
    assert [at.date() for at in rungs.values() if at] == [
        date(2026, 4, 1),  # two working days before, with Easter between
        UPDATE_DUE,
        date(2026, 4, 15),
        date(2026, 4, 22),
        ENDS,
    ]
    assert isinstance(agreement, InForce)
    assert agreement.updates == (Update(1, UPDATE_DUE),)
    assert not agreement.updates[0].on_time
    assert agreement.expected.number == 2


def test_a_timer_that_was_replaced_says_nothing() -> None:
    """A nudge that fires while the update arrives is about an update that is no longer missing."""
    old = due(an_in_force())["progress:reminder"]
    case = decide(a_case(an_in_force()), to_report(), given(now=NOW + timedelta(days=25))).state
    assert old is not None

    assert decide(case, fired("progress:reminder", old), given()) == Decision(case)
    assert decide(a_case(an_ended()), fired("end", old), given()).events == ()
    assert decide(a_case(), fired("end", old), given()).events == ()


def test_a_meeting_that_is_not_held_climbs_the_ladder_and_ends() -> None:
    """The leader has been told; after ten days more the place is free for another child."""
    case = a_case(an_invited())
    rungs = due(an_invited())

    events = [decide(case, fired(kind, at or NOW), given()).events for kind, at in rungs.items()]

    assert [event.rung for told_ in events for event in told_ if isinstance(event, told.MeetingNudged)] == [
        "reminder",
        "stand_in",
        "leader",
    ]
    assert events[-1] == (tell_ended("no_meeting", date(2026, 3, 30)),)


@pytest.mark.req("N3")
def test_an_agreement_ends_on_its_last_day() -> None:
    """A duration is part of each agreement; when it has passed, the collaboration is completed."""
    at = due(an_in_force())["end"]
    assert at is not None

    decision = decide(a_case(an_in_force()), fired("end", at), given(now=at + timedelta(days=3)))

    assert decision.events == (tell_ended("completed", ENDS),)
    assert Timer("progress:reminder", AGREEMENT, None) in decision.timers


@pytest.mark.req("H2")
@pytest.mark.parametrize("decision", ["stop", "complete"])
def test_an_evaluation_can_end_an_agreement(decision: str) -> None:
    """The courage to stop what does not work: the agreement ends for the reason that was given."""
    ended = decide(a_case(an_in_force()), concluded(decision, "no_effect"), given())

    assert after(ended) == an_ended("no_effect")
    assert ended.events == (tell_ended("no_effect"),)
    assert ended.state.attained == {GOAL: "partly"}


@pytest.mark.req("N12")
@pytest.mark.req("H2")
def test_an_evaluation_can_ask_for_a_new_version() -> None:
    """Adjusted is the agreement in force once all have signed again; until then the old one stands."""
    with pytest.raises(InvalidTransition):
        decide(a_case(an_in_force()), to_propose(), given())
    asked = decide(a_case(an_in_force()), concluded("adjust", "works_in_part"), given())

    proposed = decide(asked.state, to_propose(ends_on=date(2026, 12, 1)), given())
    waiting = after(proposed)
    signed = proposed
    for party in ("municipality", "organisation", "family"):
        signed = decide(signed.state, to_sign(party, 2), given())
    running = after(signed)

    assert isinstance(waiting, InForce)
    assert waiting.terms == terms()
    assert isinstance(running, InForce)
    assert running.terms == terms(2, ends_on=date(2026, 12, 1))
    assert not running.adjustable
    assert signed.events[-1] == tell_in_force(version=2, ends_on=date(2026, 12, 1))
    assert [timer.kind for timer in signed.timers if timer.due_at] == ["end"]


def test_going_on_as_it_is_keeps_the_agreement() -> None:
    """An evaluation that decides to continue leaves its judgement of the goals, and nothing else."""
    decision = decide(a_case(an_in_force()), concluded(), given())

    assert decision == Decision(a_case(an_in_force(), attained={GOAL: "partly"}))


@pytest.mark.parametrize("agreement", [one for one in agreements() if not isinstance(one, Ended)])
@pytest.mark.parametrize(
    ("heard", "reason"), [(lost(), "consent_lost"), (withdrawn(), "consent_lost"), (recalled(), "recalled")]
)
def test_a_lost_consent_ends_it_once(agreement: Agreement, heard: Any, reason: str) -> None:
    """Whoever brings the word first ends the agreement; the second changes neither reason nor day."""
    decision = decide(a_case(agreement), heard, given())
    again = decide(decision.state, lost(), given(now=NOW + timedelta(days=1)))

    ended = after(decision)
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.ended_on) == (reason, TODAY)
    assert decision.events == (tell_ended(reason),)
    assert again == Decision(decision.state)
    assert all(timer.due_at is None for timer in decision.timers)


def test_the_end_may_be_heard_before_the_beginning() -> None:
    """A consent lost while the acceptance was under way: nobody is invited, and the place is freed."""
    early = decide(a_case(), lost(), given())

    decision = decide(early.state, accepted(), given(now=NOW + timedelta(days=1)))

    assert early.events == ()
    assert decision.events == (tell_ended("consent_lost"),)
    assert after(decision) == an_ended("consent_lost", held_on=None, in_force_on=None, terms=None, signed=())


def test_the_earliest_cause_is_the_reason() -> None:
    """When the municipality ended it first, a consent withdrawn later changes nothing, and the other way."""
    ended = decide(a_case(an_in_force()), to_end(), given())
    later = decide(ended.state, lost(), given(now=NOW + timedelta(days=1)))
    sooner = decide(ended.state, lost(), given(now=NOW - timedelta(days=1)))

    assert after(later) == an_ended()
    assert after(sooner) == an_ended("consent_lost", ended_on=date(2026, 3, 1))
    assert (later.events, sooner.events) == ((), ())
    assert sooner.state.causes == {AGREEMENT: Cause(NOW - timedelta(days=1), "consent_lost")}


@pytest.mark.parametrize("agreement", [one for one in agreements() if not isinstance(one, Ended)])
def test_an_end_is_always_open_and_always_has_a_reason(agreement: Agreement) -> None:
    """Nobody is held in a collaboration; why it ends is said in a reason of the model."""
    decision = decide(a_case(agreement), to_end("family_stopped"), given())

    assert isinstance(after(decision), Ended)
    assert decision.events == (tell_ended("family_stopped"),)
    with pytest.raises(no.ReasonUnknown):
        decide(a_case(agreement), to_end("bored"), given())


_FITS = {
    ("invited", "HoldMeeting"): Met,
    ("met", "HoldMeeting"): Met,
    ("proposed", "HoldMeeting"): Proposed,
    ("in_force", "HoldMeeting"): InForce,
    ("met", "Propose"): Proposed,
    ("proposed", "Propose"): Proposed,
    ("proposed", "Sign"): Proposed,
    ("in_force", "Sign"): InForce,
    ("in_force", "ReportProgress"): InForce,
    ("invited", "EndAgreement"): Ended,
    ("met", "EndAgreement"): Ended,
    ("proposed", "EndAgreement"): Ended,
    ("in_force", "EndAgreement"): Ended,
    ("ended", "EndAgreement"): Ended,
}


@pytest.mark.parametrize("agreement", agreements(), ids=status_of)
@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_every_step_fits_or_is_refused(agreement: Agreement, command: Command) -> None:
    """Each pair of state and command leads to one state, or is refused as coming at the wrong moment."""
    expected = _FITS.get((status_of(agreement), type(command).__name__))

    if expected is None:
        with pytest.raises(InvalidTransition):
            decide(a_case(agreement), command, given())
    else:
        assert isinstance(after(decide(a_case(agreement), command, given())), expected)


@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_what_is_not_there_is_missing(command: Command) -> None:
    """A step on an agreement that nobody has heard of finds nothing."""
    with pytest.raises(NotFound):
        decide(None, command, given())
    with pytest.raises(NotFound):
        decide(a_case(), command, given())


@pytest.mark.parametrize("heard", news(), ids=lambda event: type(event).__name__)
def test_news_never_raise(heard: Any) -> None:
    """Whatever is heard fits, or leaves the agreement as it is."""
    for agreement in (None, *agreements(), an_adjustable("family")):
        assert isinstance(decide(a_case(agreement), heard, given()).state, Case)
    assert isinstance(decide(None, heard, given()).state, Case)


def test_no_word_about_a_person_leaves_what_lies_sealed() -> None:
    """State, events and timers hold ids, dates and codes; what was said is sealed under the case's key."""
    steps = (
        decide(a_case(a_met()), to_propose(cost="paid", payer="shared", cost_text="bus fares"), given()),
        decide(a_case(an_in_force()), to_report(), given()),
    )

    for decision in steps:
        shown = msgspec.json.encode(decision.state).decode()
        shown += "".join(event.model_dump_json() for event in decision.events) + str(decision.timers)
        assert not [secret for secret in SECRETS if secret in shown]
        assert {seal.subject for seal in decision.private_values} == {CASE}


@pytest.mark.parametrize("agreement", [*agreements(), an_adjustable("family")], ids=status_of)
def test_a_case_survives_the_way_to_the_database(agreement: Agreement) -> None:
    """What is stored is read back as the same value."""
    case = a_case(agreement, attained={GOAL: "reached"})

    assert msgspec.json.decode(msgspec.json.encode(case), type=SERVICE.state) == case


def test_the_first_update_counts_from_the_later_of_start_and_signature() -> None:
    """Who signs late is not late with the first update at once."""
    late = NOW + timedelta(days=30)

    decision = decide(
        a_case(a_proposed("municipality", "organisation")), to_sign("family"), given(GUARDIAN, now=late)
    )
    agreement = after(decision)

    assert isinstance(agreement, InForce)
    assert agreement.expected.due_on == date(2026, 5, 1)
    assert agreement.signed[:2] == all_signed()[:2]
