"""Lifecycles of the notify service: a case with its notices, their reading, their mails, and contacts."""

from itertools import chain
from typing import Any, Final

from contracts import agreement, consent, directory, evaluation, referral
from contracts.event import Event
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, Row, Step, row
from services.kernel.errors import InvalidTransition, NotFound
from services.notify.domain.commands import ReadNotice, RecordContact, RecordMailOutcome
from services.notify.domain.states import (
    Case,
    Delivered,
    Failed,
    InboxOnly,
    Parties,
    Queued,
    Read,
    Recipient,
    Spared,
    State,
    Unread,
)
from services.notify.domain.steps.contacts import name_department, name_organisation, record_contact
from services.notify.domain.steps.facts import (
    notify,
    record_agreement,
    record_answer,
    record_custody,
    record_doubt,
    record_end,
    record_parties,
    record_request,
    record_sending,
    record_share,
)
from services.notify.domain.steps.notices import read_notice, record_mail_outcome, stay_as_it_is
from services.notify.domain.transition import Transition


def _on(event: type[Event], step: Step) -> tuple[Row, Row]:
    """Return the rows of an event, which may be the first of its case."""
    return row(ABSENT, event, step, Case), row(Case, event, step)


CASE: Final = Lifecycle(
    "case",
    (Case,),
    on_event=chain(
        _on(referral.CaseOpened, record_parties),
        _on(referral.ReferralReady, notify),
        _on(referral.ReferralSent, record_sending),
        _on(referral.ReferralAccepted, notify),
        _on(referral.ReferralDeclined, record_end),
        _on(referral.ReferralRecalled, record_end),
        _on(referral.ReferralWithdrawn, record_end),
        _on(referral.ReferralExpired, record_end),
        _on(referral.ReferralNudged, notify),
        _on(referral.DeletionConfirmed, notify),
        _on(referral.CaseClosed, notify),
        _on(consent.CustodyRecorded, record_custody),
        _on(consent.ConsentRequested, record_request),
        _on(consent.CustodyConfirmationAwaited, notify),
        _on(consent.ConsentMinuted, record_answer),
        _on(consent.ConsentUnconfirmed, record_doubt),
        _on(consent.ConfirmationNudged, notify),
        _on(consent.ConsentGiven, record_answer),
        _on(consent.ConsentRefused, record_answer),
        _on(consent.ConsentGranted, record_share),
        _on(consent.ConsentLost, record_share),
        _on(agreement.MeetingInvited, record_agreement),
        _on(agreement.AgreementProposed, notify),
        _on(agreement.AgreementInForce, notify),
        _on(agreement.ProgressReported, notify),
        _on(agreement.ProgressNudged, notify),
        _on(agreement.MeetingNudged, notify),
        _on(agreement.AgreementEnded, record_end),
        _on(evaluation.EvaluationPlanned, notify),
        _on(evaluation.EvaluationDue, notify),
        _on(evaluation.EvaluationNudged, notify),
        _on(evaluation.EvaluationConcluded, notify),
    ),
)

NOTICE: Final = Lifecycle(
    "notice",
    (Unread, Read),
    on_command=(
        row(Unread, ReadNotice, read_notice, Read),
        row(Read, ReadNotice, stay_as_it_is),
    ),
)

MAIL: Final = Lifecycle(
    "mail",
    (Queued, Delivered, Failed, InboxOnly, Spared),
    on_command=(
        row(Queued, RecordMailOutcome, record_mail_outcome, Delivered, Failed, InboxOnly, Spared),
        row(Delivered, RecordMailOutcome, stay_as_it_is),
        row(Failed, RecordMailOutcome, stay_as_it_is),
        row(InboxOnly, RecordMailOutcome, stay_as_it_is),
        row(Spared, RecordMailOutcome, stay_as_it_is),
        row(ABSENT, RecordMailOutcome, stay_as_it_is),  # its notice was taken back meanwhile
    ),
)

CONTACT: Final = Lifecycle(
    "contact",
    (Recipient,),
    on_command=(
        row(ABSENT, RecordContact, record_contact, Recipient),
        row(Recipient, RecordContact, record_contact),
    ),
)

PARTIES: Final = Lifecycle(
    "parties",
    (Parties,),
    on_event=(
        row(ABSENT, directory.DepartmentRegistered, name_department, Parties),
        row(Parties, directory.DepartmentRegistered, name_department),
        row(ABSENT, directory.OrganisationJoined, name_organisation, Parties),
        row(Parties, directory.OrganisationJoined, name_organisation),
    ),
)

LIFECYCLES: Final = (CASE, NOTICE, MAIL, CONTACT, PARTIES)


def decide(state: State | None, trigger: Any, context: Context) -> Decision:
    """Return the stream after an event or a command, with its events, effects and private values.

    Raises `NotFound` where there is nothing to change, `InvalidTransition` where a command does not fit.
    """
    lifecycle, before = _subject(state, trigger)
    step = lifecycle.step(before, trigger) if lifecycle else None
    if step is not None:
        return step(Transition(state, context), before, trigger)
    if isinstance(trigger, Event):
        return Decision(state)
    if before is None:
        raise NotFound
    raise InvalidTransition


def _subject(state: State | None, trigger: Any) -> tuple[Lifecycle | None, object]:
    """Return whose lifecycle a trigger concerns, and in which state of it the document is."""
    match state, trigger:
        case ((None | Parties()), directory.DepartmentRegistered() | directory.OrganisationJoined()):
            return PARTIES, state
        case ((None | Case()), Event()):
            return CASE, state
        case ((None | Recipient()), RecordContact()):
            return CONTACT, state
        case Case(), ReadNotice():
            notice = state.notices.get(trigger.notice_id)
            return NOTICE, notice and notice.reading
        case Case(), RecordMailOutcome():
            notice = state.notices.get(trigger.notice_id)
            return MAIL, notice and notice.mail
    return None, state
