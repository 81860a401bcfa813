"""Who has which notice, who may read it, and how recipients are reached."""

import pytest

from contracts.event import Event
from contracts.notify import NoticeSent
from services.notify.domain.lifecycle import decide
from services.notify.domain.states import Case
from tests.examples_notify import (
    AUNT,
    CASEWORKER,
    DEPARTMENT,
    FATHER,
    FATHERS_CONSENT,
    MOTHER,
    ORGANISATION,
    OTHER_ORGANISATION,
    OTHER_REFERRAL,
    YOUNG_PERSON,
    a_case,
    a_caseworker,
    a_mail,
    accepted,
    at,
    case_closed,
    case_opened,
    concluded,
    confirmation_nudged,
    consume,
    context,
    custody_recorded,
    custody_to_confirm,
    declined,
    deletion_confirmed,
    due,
    ended,
    evaluation_nudged,
    expired,
    given_by,
    granted,
    in_force,
    kinds_of,
    lost,
    meeting_invited,
    meeting_nudged,
    minuted_for,
    notice_to,
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
    unconfirmed,
    withdrawn,
)

FAMILY = {MOTHER, FATHER}
ALL = {CASEWORKER, ORGANISATION, *FAMILY}


def test_a_sent_referral_notifies_its_organisation_alone() -> None:
    """The organisation is notified that a referral waits, with the day by which to answer; no one else is."""
    decision = decide(a_case(), sent(), context(now=at(5)))

    (notice,) = decision.events
    assert isinstance(notice, NoticeSent)
    assert (notice.recipient_id, notice.kind) == (ORGANISATION, "referral_sent")
    notification = decision.state.notification_of(decision.state.notices[notice.notice_id])
    assert notification.codes["answer_by"] == "2026-03-16"
    assert decision.effects == (a_mail(decision.state, notice.notice_id),)


@pytest.mark.parametrize(
    ("event", "kind", "recipients"),
    [
        (ready(), "referral_ready", {CASEWORKER}),
        (sent(), "referral_sent", {ORGANISATION}),
        (accepted(), "referral_accepted", {CASEWORKER, *FAMILY}),
        (declined(), "referral_declined", {CASEWORKER, *FAMILY}),
        (deletion_confirmed(), "deletion_confirmed", {CASEWORKER, *FAMILY}),
        (case_closed(), "case_closed", FAMILY),
        (refused_by(), "consent_refused", {CASEWORKER}),
        (unconfirmed(), "consent_unconfirmed", {CASEWORKER, MOTHER}),
        (custody_to_confirm(), "custody_unconfirmed", {DEPARTMENT}),
        (lost("expired"), "consent_lost", {CASEWORKER}),
        (meeting_invited(), "meeting_invited", ALL),
        (proposed(), "agreement_proposed", ALL),
        (in_force(), "agreement_in_force", ALL),
        pytest.param(reported(), "progress_reported", {CASEWORKER}, marks=pytest.mark.req("N9")),
        (ended(), "agreement_ended", ALL),
        (planned(), "evaluation_planned", ALL),
        pytest.param(due(), "evaluation_due", ALL, marks=pytest.mark.req("N12")),
        (concluded(), "evaluation_concluded", ALL),
    ],
)
def test_each_event_notifies_those_whom_it_concerns(event: Event, kind: str, recipients: set[object]) -> None:
    """The parties who must act or ought to know are notified, and no others."""
    decision = decide(a_case(), event, context(now=at(9)))

    notified = {notice.recipient_id for notice in decision.events if isinstance(notice, NoticeSent)}
    assert notified == recipients
    assert {notice.kind for notice in decision.events if isinstance(notice, NoticeSent)} == {kind}


@pytest.mark.parametrize(
    ("event", "kind", "reminded", "late"),
    [
        (lambda rung: nudged("ready", rung), "sending_nudged", {CASEWORKER}, {CASEWORKER}),
        (lambda rung: nudged("sent", rung), "answer_nudged", {ORGANISATION}, {ORGANISATION, CASEWORKER}),
        (
            lambda rung: nudged("deletion", rung),
            "deletion_nudged",
            {ORGANISATION},
            {ORGANISATION, CASEWORKER},
        ),
        (
            lambda rung: nudged("awaiting_consent", rung),
            "consent_nudged",
            {MOTHER, CASEWORKER},
            {MOTHER, CASEWORKER},
        ),
        (lambda rung: nudged("waitlisted", rung), "step_nudged", {CASEWORKER}, {CASEWORKER}),
        (meeting_nudged, "meeting_nudged", {CASEWORKER, ORGANISATION}, {CASEWORKER, ORGANISATION}),
        pytest.param(
            progress_nudged,
            "progress_nudged",
            {ORGANISATION},
            {ORGANISATION, CASEWORKER},
            marks=pytest.mark.req("N9"),
        ),
        (evaluation_nudged, "evaluation_nudged", {CASEWORKER}, {CASEWORKER}),
        (confirmation_nudged, "confirmation_nudged", {DEPARTMENT}, {DEPARTMENT, CASEWORKER}),
    ],
)
def test_silence_climbs_the_ladder(event, kind, reminded, late) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """First the party who must act is reminded, then the caseworker too, at last the leader."""
    case = a_case()

    reached = {rung: kinds_of(_after(case, event(rung))) for rung in ("reminder", "standin", "leader")}
    before = kinds_of(case)
    recipients = {
        rung: {who for who, kinds in found.items() if kind in kinds - before.get(who, set())}
        for rung, found in reached.items()
    }

    assert recipients == {"reminder": reminded, "standin": late, "leader": {DEPARTMENT}}


@pytest.mark.req("K3")
def test_a_minuted_yes_is_told_to_the_person_and_to_the_colleagues_who_confirm_it() -> None:
    """Finding 7: the person hears of it by another than who minuted it, and may say no."""
    decision = decide(a_case(), minuted_for(), context(a_caseworker(), now=at(9)))
    case = decision.state

    assert {(one.recipient_id, one.kind) for one in decision.events if isinstance(one, NoticeSent)} == {
        (MOTHER, "consent_minuted"),
        (DEPARTMENT, "confirmation_awaited"),
    }
    assert a_mail(case, notice_to(case, MOTHER, "consent_minuted")) in decision.effects


def test_a_minuted_yes_needs_no_reminder_until_it_turns_out_not_to_count() -> None:
    """The person is reminded of what they are asked, and not of what they have answered."""
    minuted = _after(a_case(), minuted_for())
    quiet = _after(minuted, nudged("awaiting_consent", "reminder"))
    asked, _ = consume([(unconfirmed(), at(11)), (nudged("awaiting_consent", "due"), at(12))], quiet)

    assert isinstance(asked, Case)
    assert "consent_nudged" not in kinds_of(quiet)[MOTHER]
    assert "consent_nudged" in kinds_of(asked)[MOTHER]


def test_each_rung_is_a_notice_of_its_own() -> None:
    """A party reminded two days before is reminded again on the day."""
    case = _after(_after(a_case(), progress_nudged("reminder")), progress_nudged("standin"))

    rungs = [
        case.notifications[notice.notification_id].codes["rung"]
        for notice in case.notices.values()
        if notice.recipient_id == ORGANISATION
    ]
    assert sorted(rungs) == ["reminder", "standin"]


@pytest.mark.req("K3")
def test_an_organisation_is_not_notified_before_a_consent_that_names_it() -> None:
    """The notice of a sent referral waits until the consent behind it is on record here too."""
    silent, before = consume([(case_opened(), at(0)), (sent(), at(5))])
    notified, after = consume([(granted(), at(4))], silent)

    assert before == []
    assert [(notice.recipient_id, notice.kind) for notice in after] == [(ORGANISATION, "referral_sent")]
    assert isinstance(notified, Case)


@pytest.mark.req("K3")
def test_a_consent_for_another_organisation_opens_nothing() -> None:
    """A consent names one organisation; no other is notified."""
    _, notices = consume(
        [(case_opened(), at(0)), (granted(OTHER_REFERRAL, OTHER_ORGANISATION), at(4)), (sent(), at(5))]
    )

    assert notices == []


@pytest.mark.req("K3")
@pytest.mark.parametrize("ending", [recalled(), withdrawn(), expired()])
def test_an_organisation_is_not_notified_of_the_end_of_what_it_never_received(ending: Event) -> None:
    """A referral that ends before it was sent is none of the organisation's business."""
    never = kinds_of(_after(a_case(), ending))
    received = kinds_of(_after(a_case(sent()), ending))

    assert ORGANISATION not in never
    assert len(received[ORGANISATION]) == 2


@pytest.mark.req("K3")
def test_after_a_withdrawal_an_organisation_sees_only_that_it_must_stop() -> None:
    """The earlier notices are gone from its inbox at once; that it must delete its copy is there."""
    case = a_case(sent(), accepted(), meeting_invited(), lost(), withdrawn())

    seen = {
        case.notifications[notice.notification_id].kind
        for notice in case.notices.values()
        if notice.recipient_id == ORGANISATION and case.is_visible(notice)
    }
    assert seen == {"referral_withdrawn"}


@pytest.mark.req("K3")
def test_a_consent_for_a_second_referral_opens_nothing_of_the_first() -> None:
    """The notices of a referral that was stopped stay away, whatever referral comes later."""
    first = (sent(), accepted(), meeting_invited(), in_force(), planned(), lost(), withdrawn())
    case = a_case(*first, granted(OTHER_REFERRAL))

    seen = {
        case.notifications[notice.notification_id].kind
        for notice in case.notices.values()
        if notice.recipient_id == ORGANISATION and case.is_visible(notice)
    }
    assert seen == {"referral_withdrawn"}


@pytest.mark.req("K3")
def test_after_the_end_of_an_agreement_an_organisation_sees_only_that_it_ended() -> None:
    """No consent was lost, but the case is shown to it nowhere else either."""
    case = a_case(sent(), accepted(), meeting_invited(), in_force(), ended())

    seen = {
        case.notifications[notice.notification_id].kind
        for notice in case.notices.values()
        if notice.recipient_id == ORGANISATION and case.is_visible(notice)
    }
    assert seen == {"agreement_ended"}


def test_a_repeated_consent_request_notifies_again() -> None:
    """A parent who ceased to be a holder and is one once more must answer anew, and is notified."""
    requested_once = a_case()
    again = decide(requested_once, requested(), context(now=at(20)))
    repeated = decide(again.state, requested(), context(now=at(20)))

    assert [notice.recipient_id for notice in again.events if isinstance(notice, NoticeSent)] == [MOTHER]
    assert repeated.events == ()


def test_the_reason_of_an_end_stays_with_the_municipality() -> None:
    """The organisation reads by when to delete, not why the family stopped."""
    case = a_case(sent(), recalled())

    notification = case.notification_of(case.notices[notice_to(case, ORGANISATION, "referral_recalled")])
    assert set(notification.codes) == {"referral_id", "delete_by"}


def test_a_parent_who_has_answered_is_not_reminded() -> None:
    """Only the parent whose answer is missing gets the reminder."""
    case = a_case(
        requested(FATHER, FATHERS_CONSENT), given_by(MOTHER), nudged("awaiting_consent", "reminder")
    )

    kinds = kinds_of(case)
    assert "consent_nudged" in kinds[FATHER]
    assert "consent_nudged" not in kinds[MOTHER]


def test_a_refusal_notifies_once() -> None:
    """The caseworker notified of the no is not notified again that the consent was lost through it."""
    case = a_case(requested(FATHER, FATHERS_CONSENT), refused_by(), lost("refused"))

    assert kinds_of(case)[CASEWORKER] == {"consent_refused"}


def test_a_notification_waits_until_its_recipients_are_on_record() -> None:
    """What happens before custody is on record reaches the family as soon as it is."""
    waiting, before = consume([(case_opened(), at(0)), (meeting_invited(), at(6))])
    _, after = consume([(custody_recorded(MOTHER), at(7))], waiting)

    assert [notice.recipient_id for notice in before] == [CASEWORKER]
    assert [(notice.recipient_id, notice.kind) for notice in after] == [(MOTHER, "meeting_invited")]


def test_a_young_person_with_a_say_is_notified_too() -> None:
    """A young person who must consent has the notices of the guardians."""
    case = _after(a_case(custody_recorded(MOTHER, young_person=YOUNG_PERSON)), accepted())

    assert "referral_accepted" in kinds_of(case)[YOUNG_PERSON]


def test_a_later_holder_is_notified_of_what_happens_from_then_on() -> None:
    """A new holder is notified of what happens now, not of what was before; the former one sees no more."""
    case = _after(a_case(sent(), declined(), custody_recorded(AUNT)), case_closed())

    kinds = kinds_of(case)
    assert kinds[AUNT] == {"case_closed"}
    assert "case_closed" not in kinds[FATHER]
    assert not any(
        case.is_visible(notice) for notice in case.notices.values() if notice.recipient_id == FATHER
    )


def test_custody_that_had_already_passed_takes_a_notice_back() -> None:
    """A change of custody that is consumed late counts from the day on which it happened."""
    early = a_case()
    closed = _after(early, case_closed())
    decision = decide(closed, custody_recorded(AUNT), context(now=at(8)))

    assert "case_closed" in kinds_of(closed)[FATHER]
    assert "case_closed" not in kinds_of(decision.state)[FATHER]
    assert kinds_of(decision.state)[AUNT] == {"case_closed"}


def test_two_events_about_the_same_thing_give_one_notice() -> None:
    """One notice is left, whatever the ids of the events on the wire."""
    once = a_case(sent(), accepted())
    decision = decide(once, accepted(), context(now=at(5)))

    assert decision.events == ()
    assert decision.state.notices == once.notices


def _after(case: Case, event: Event) -> Case:
    after, _ = consume([(event, at(20))], case)
    assert isinstance(after, Case)
    return after
