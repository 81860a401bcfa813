"""Who may read a notice, how recipients are reached, and how their mails outcome."""

from typing import Literal
from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.notify import ContactLooked, ContactRecorded, MailDelivered, MailFailed, NoticeSent
from services.kernel.decider.decision import Actor, Context, Decision, PrivateValue, ReadRequest
from services.notify.domain.access import authorize, contact_part, related_streams
from services.notify.domain.commands import ReadNotice, RecordContact, RecordMailOutcome
from services.notify.domain.lifecycle import decide
from services.notify.domain.states import InboxOnly, Parties, Read, Recipient, Spared, State, former_address
from tests.examples_notify import (
    CASE,
    CASEWORKER,
    DEPARTMENT,
    MOTHER,
    NOW,
    ORGANISATION,
    OTHER_ORGANISATION,
    STRANGER,
    a_case,
    a_caseworker,
    a_coordinator,
    a_guardian,
    a_leader,
    a_mail,
    at,
    context,
    kinds_of,
    lost,
    minuted_for,
    notice_to,
    progress_nudged,
    sent,
)

READING = ReadNotice(STRANGER)
CONTACT = RecordContact(MOTHER, "da", "someone@example.org")
REACHED = Recipient(MOTHER, "da", has_address=True, recorded_by=MOTHER)
STREAM = UUID("0198c000-0000-7000-8000-0000000000ee")
IN_CASE = replace(CONTACT, named_in=(CASE,))
BY_DIRECTORY = RecordContact(DEPARTMENT, "da", "team@example.org", (DEPARTMENT, STREAM))


def at_contact(actor: Actor, others: dict[UUID, State] | None = None, email: str = "") -> Context:
    """Return the context of a step on how one municipality reaches a recipient."""
    here = replace(context(actor, email=email), stream_id=STREAM, tenant=actor.tenant)
    return replace(here, others=others or {})


def test_reading_is_put_on_record_once() -> None:
    """A notice is read when it is read first; reading it again changes nothing."""
    case = a_case(sent())
    notice_id = notice_to(case, ORGANISATION, "referral_sent")
    command = ReadNotice(notice_id)

    once = decide(case, command, context(a_coordinator()))
    again = decide(once.state, command, context(a_coordinator(), now=at(30)))

    assert once.state.notices[notice_id] == replace(case.notices[notice_id], reading=Read(NOW))
    assert once.events == (ContactLooked(case_id=CASE, what=("notice",), purpose="inbox"),)
    assert again == Decision(once.state)


def test_a_notice_is_read_by_its_recipient_in_the_role_it_was_sent_to() -> None:
    """The organisation's coordinator may read it; no one else, and no longer once consent is lost."""
    case = a_case(sent())
    command = ReadNotice(notice_to(case, ORGANISATION, "referral_sent"))

    assert authorize(case, command, context(a_coordinator()))
    assert not authorize(case, command, context(a_coordinator(OTHER_ORGANISATION)))
    assert not authorize(case, command, context(a_guardian()))
    assert not authorize(case, command, context(a_caseworker()))
    assert not authorize(case, command, context(Actor(ORGANISATION, "guardian", "0440")))
    assert not authorize(a_case(sent(), lost()), command, context(a_coordinator()))
    assert not authorize(case, READING, context(a_coordinator()))


def test_a_leader_reads_the_inbox_of_the_department() -> None:
    """The last rung of an escalation lies with the department's leader."""
    case = a_case(progress_nudged("leader"))
    command = ReadNotice(notice_to(case, DEPARTMENT, "progress_nudged"))

    assert authorize(case, command, context(a_leader()))
    assert not authorize(case, command, context(a_caseworker()))


def test_a_contact_is_kept_sealed() -> None:
    """The address lies sealed under the recipient's key; the event says only that there is one."""
    decision = decide(None, CONTACT, at_contact(a_guardian()))

    assert decision.state == REACHED
    assert decision.events == (ContactRecorded(channel="mail", language="da", recipient_id=MOTHER),)
    assert decision.private_values == (PrivateValue(MOTHER, "email", "someone@example.org"),)


def test_a_repeated_contact_changes_nothing() -> None:
    """The same language and address again is no change, and nobody becomes the one who recorded it."""
    by, here = a_caseworker(), "someone@example.org"
    same = decide(REACHED, CONTACT, at_contact(by, email=here))
    other = decide(REACHED, CONTACT, at_contact(by, email="other@example.org"))
    none = decide(REACHED, RecordContact(MOTHER, "nb"), at_contact(by, email=here))
    typed = replace(REACHED, recorded_by=CASEWORKER)

    assert same == Decision(REACHED)
    assert other.private_values == (PrivateValue(MOTHER, "email", "someone@example.org"),)
    assert other.state == typed
    assert none.state == replace(typed, language="nb", has_address=False)
    assert none.events == (ContactRecorded(channel="inbox", language="nb", recipient_id=MOTHER),)
    assert (
        decide(REACHED, replace(CONTACT, language="nb"), at_contact(by, email=here)).state.recorded_by
        == MOTHER
    )
    assert decide(typed, CONTACT, at_contact(a_guardian(), email=here)).state == REACHED


@pytest.mark.parametrize(
    ("actor", "own", "in_case", "by_directory"),
    [
        (a_guardian(MOTHER), True, False, False),
        (a_guardian(STRANGER), False, False, False),
        (a_coordinator(MOTHER), True, False, False),
        (a_coordinator(ORGANISATION), False, False, False),
        (a_caseworker(), False, True, False),
        (replace(a_caseworker(), department_id=STRANGER), False, False, False),
        (replace(a_caseworker(), department_id=None), False, False, False),
        (a_leader(), False, False, False),
        (Actor(STRANGER, "administrator", "0440"), False, False, True),
        (Actor(MOTHER, "operator", "0440"), False, False, False),
        (Actor(STRANGER, "auditor", "0440"), False, False, False),
    ],
)
def test_finding_5_a_contact_is_kept_by_who_has_to_do_with_the_recipient(
    actor: Actor, *, own: bool, in_case: bool, by_directory: bool
) -> None:
    """Everybody their own, a caseworker their cases' families, an administrator no person at all."""
    others: dict[UUID, State] = {CASE: a_case(), STREAM: Parties(frozenset({DEPARTMENT}))}
    here = at_contact(actor, others)
    in_vain = replace(CONTACT, named_in=(STREAM,)), replace(BY_DIRECTORY, named_in=(CASE,))

    for command, may in ((CONTACT, own), (IN_CASE, in_case), (BY_DIRECTORY, by_directory)):
        state = replace(REACHED, recipient_id=command.recipient_id)
        read = ReadRequest(contact_part(command.named_in))
        assert authorize(None, command, here) is may
        assert authorize(state, command, here) is may
        assert authorize(state, read, here) is may
        assert related_streams(state, command) == related_streams(state, read) == command.named_in
        assert not authorize(state, command, at_contact(actor)) or not command.named_in
    assert not any(authorize(None, command, here) for command in in_vain)
    assert not authorize(replace(REACHED, recipient_id=STRANGER), IN_CASE, here)
    assert not authorize(REACHED, ReadRequest(("contact", "named_in_" + STRANGER.hex)), here)


def test_finding_5_a_person_is_told_when_somebody_else_changes_their_address() -> None:
    """A notice lies in their inbox, and a mail about it goes to the address before the change."""
    here = at_contact(a_caseworker(), {CASE: a_case()}, email="mine@example.org")

    decision = decide(REACHED, IN_CASE, here)
    told = decision.others[CASE]
    notice_id = notice_to(told.state, MOTHER, "contact_changed")
    after = decide(told.state, RecordMailOutcome(notice_id, "delivered"), context())

    assert told.effects == (a_mail(told.state, notice_id),)
    assert told.private_values == (PrivateValue(MOTHER, former_address(notice_id), "mine@example.org"),)
    assert [type(event) for event in told.events] == [NoticeSent]
    assert after.private_values == (PrivateValue(MOTHER, former_address(notice_id), ""),)
    assert decide(None, IN_CASE, here).others == {}
    assert decide(REACHED, CONTACT, at_contact(a_guardian(), email="mine@example.org")).others == {}


def test_colleagues_share_the_notices_of_their_department() -> None:
    """Any of them may read what waits for a second employee; nobody of another department."""
    case = a_case(minuted_for())
    command = ReadNotice(notice_to(case, DEPARTMENT, "confirmation_awaited"))

    for role in ("caseworker", "bridge_builder", "leader"):
        assert authorize(case, command, context(replace(a_leader(), role=role)))
        assert not authorize(case, command, context(replace(a_leader(), role=role, department_id=STRANGER)))
    assert not authorize(case, command, context(a_guardian()))


@pytest.mark.parametrize("outcome", ["inbox", "failed"])
def test_who_cannot_be_mailed_of_a_minuted_yes_is_written_a_letter(
    outcome: Literal["inbox", "failed"],
) -> None:
    """The colleagues learn that the person is to be told in another way before they confirm."""
    case = a_case(minuted_for())
    notice_id = notice_to(case, MOTHER, "consent_minuted")

    silent = decide(case, RecordMailOutcome(notice_id, outcome, "smtp_550"), context(now=at(9)))
    mailed = decide(case, RecordMailOutcome(notice_id, "delivered"), context(now=at(9)))

    assert notice_to(silent.state, DEPARTMENT, "letter_needed")
    assert "letter_needed" not in kinds_of(mailed.state)[DEPARTMENT]


def test_the_outcome_of_a_mail_is_recorded_once() -> None:
    """Accepted, refused for good, without address, or no longer wanted: the first outcome stands."""
    case = a_case(sent())
    notice_id = notice_to(case, ORGANISATION, "referral_sent")
    about = {"notice_id": notice_id, "recipient_id": ORGANISATION}

    accepted = decide(case, RecordMailOutcome(notice_id, "delivered"), context())
    refused = decide(case, RecordMailOutcome(notice_id, "failed", "smtp_550"), context())
    quiet = [
        decide(case, RecordMailOutcome(notice_id, outcome), context()) for outcome in ("inbox", "spared")
    ]

    assert accepted.events == (MailDelivered.model_validate(about),)
    assert refused.events == (MailFailed.model_validate({**about, "reason": "smtp_550"}),)
    assert [(one.state.notices[notice_id].mail, one.events) for one in quiet] == [
        (InboxOnly(), ()),
        (Spared(), ()),
    ]
    assert decide(accepted.state, RecordMailOutcome(notice_id, "failed", "smtp_550"), context()) == Decision(
        accepted.state
    )
    assert decide(case, RecordMailOutcome(STRANGER, "delivered"), context()) == Decision(case)


def test_only_the_system_records_the_outcome_of_a_mail() -> None:
    """No person can claim that a mail was delivered."""
    recording = RecordMailOutcome(STRANGER, "delivered")

    assert authorize(a_case(), recording, context())
    assert not authorize(a_case(), recording, context(a_caseworker()))
