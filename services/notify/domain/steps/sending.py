"""Sending: the notices that follow from a case's notifications, with their events and mails; pure."""

from collections.abc import Mapping
from uuid import UUID

from msgspec.structs import replace

from contracts.notify import NoticeSent
from services.kernel.decider.decision import Decision, Effect
from services.notify.domain.states import MINUTED, Case, Notice, Notification
from services.notify.domain.steps.recipients import notify_recipients


def with_notifications(case: Case, case_id: UUID, new: Mapping[UUID, Notification], *, by: UUID) -> Decision:
    """Return the case with further notifications, and send the notices that now follow; `by` is the actor."""
    if new:
        case = replace(case, notifications={**case.notifications, **new})
    after, notice_ids = notify_recipients(case)
    sent = [(notice_id, after.notices[notice_id]) for notice_id in notice_ids]
    return Decision(
        after,
        events=tuple(
            NoticeSent(
                notice_id=notice_id,
                recipient_id=notice.recipient_id,
                kind=after.notification_of(notice).kind,
            )
            for notice_id, notice in sent
        ),
        effects=tuple(_mail(case_id, notice_id, notice, after, by) for notice_id, notice in sent),
    )


def _mail(case_id: UUID, notice_id: UUID, notice: Notice, case: Case, by: UUID) -> Effect:
    kind = case.notification_of(notice).kind
    about = {
        "case_id": str(case_id),
        "notice_id": str(notice_id),
        "recipient_id": str(notice.recipient_id),
        "kind": kind,
    }
    if kind == MINUTED:
        about["minuted_by"] = str(by)
    return Effect(key=notice_id, kind="mail", about=about)
