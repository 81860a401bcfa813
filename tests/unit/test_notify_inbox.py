"""Who may read a notice, how recipients are reached, and how their mails outcome."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.notify import ContactLooked, ContactRecorded, MailDelivered, MailFailed
from services.kernel.decider.decision import Actor, Context, Decision, PrivateValue, ReadRequest
from services.notify.domain.access import authorize
from services.notify.domain.commands import ReadNotice, RecordContact, RecordMailOutcome
from services.notify.domain.lifecycle import decide
from services.notify.domain.states import InboxOnly, Read, Recipient, Spared, contact_of
from tests.examples_notify import (
    CASE,
    DEPARTMENT,
    MOTHER,
    NOW,
    ORGANISATION,
    OTHER_ORGANISATION,
    STRANGER,
    TENANT,
    a_case,
    a_caseworker,
    a_coordinator,
    a_guardian,
    a_leader,
    at,
    context,
    lost,
    notice_to,
    progress_nudged,
    sent,
)

READING = ReadNotice(STRANGER)
CONTACT = RecordContact(MOTHER, "da", "someone@example.org")
REACHED = Recipient("da", has_address=True)


def at_contact(recipient_id: UUID, actor: Actor) -> Context:
    """Return the context of a step on how one municipality reaches a recipient."""
    return replace(context(actor), stream_id=contact_of(TENANT, recipient_id), tenant=actor.tenant)


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
    decision = decide(None, CONTACT, context())

    assert decision.state == REACHED
    assert decision.events == (ContactRecorded(channel="mail", language="da", recipient_id=MOTHER),)
    assert decision.private_values == (PrivateValue(CASE, "email", "someone@example.org"),)


def test_a_repeated_contact_changes_nothing() -> None:
    """The same language and address again is no change; another address is."""
    same = decide(REACHED, CONTACT, context(email="someone@example.org"))
    other = decide(REACHED, CONTACT, context(email="other@example.org"))
    none = decide(REACHED, RecordContact(MOTHER, "nb"), context(email="someone@example.org"))

    assert same == Decision(REACHED)
    assert other.private_values == (PrivateValue(CASE, "email", "someone@example.org"),)
    assert none.state == Recipient("nb", has_address=False)
    assert none.events == (ContactRecorded(channel="inbox", language="nb", recipient_id=MOTHER),)


@pytest.mark.parametrize(
    ("actor", "may"),
    [
        (a_guardian(MOTHER), True),
        (a_guardian(STRANGER), False),
        (Actor(MOTHER, "guardian", "0461"), False),
        (a_coordinator(MOTHER), True),
        (a_coordinator(ORGANISATION), False),
        (a_caseworker(), True),
        (Actor(STRANGER, "administrator", "0440"), True),
        (Actor(MOTHER, "operator", "0440"), False),
        (Actor(STRANGER, "auditor", "0440"), False),
    ],
)
def test_a_contact_is_kept_by_its_owner_or_the_municipality(actor: Actor, *, may: bool) -> None:
    """A person keeps their own, a coordinator the organisation's, the municipality anybody's."""
    here = at_contact(MOTHER, actor)

    assert authorize(None, CONTACT, here) is may
    assert authorize(REACHED, CONTACT, here) is may
    assert authorize(REACHED, ReadRequest(("contact",)), here) is may
    assert not authorize(REACHED, ReadRequest(("contact", "case")), here)


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
