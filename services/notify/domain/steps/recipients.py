"""Recipients of a case's notifications, and the notices that follow for each of them; pure."""

from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from services.kernel.decider.derived_ids import derived_id
from services.notify.domain.states import STOPS, Case, Notice, Notification


def recipients(case: Case, notification: Notification) -> tuple[UUID, ...]:
    """Return the recipients on record; the others are notified as soon as they are on record too."""
    match notification.audience:
        case "caseworker":
            return _if_present(case.caseworker_id)
        case "leader" | "colleagues":
            return _if_present(case.department_id)
        case "holder":
            return _if_present(notification.about)
        case "organisation":
            return _if_present(notification.about if _has_had_consent(case, notification) else None)
        case "guardians":
            return _in_custody(case, notification.at)
        case "unanswered":
            return _unanswered(case, notification)


def notify_recipients(case: Case) -> tuple[Case, tuple[UUID, ...]]:
    """Return the case with exactly the notices that follow from it, and the ids of the new ones.

    A notice is taken back where a fact that came late shows that it was not for its recipient: custody had
    already passed to others, or the answer that it asks for had already been given.
    """
    existing = {
        (notice.notification_id, notice.recipient_id): notice_id for notice_id, notice in case.notices.items()
    }
    due = [
        (notification_id, recipient_id)
        for notification_id, notification in case.notifications.items()
        for recipient_id in recipients(case, notification)
    ]
    missing = {derived_id(one[0], str(one[1])): one for one in due if one not in existing}
    if not missing and len(due) == len(existing):
        return case, ()
    kept = {existing[one]: case.notices[existing[one]] for one in due if one in existing}
    new = {
        notice_id: Notice(notification_id=one[0], recipient_id=one[1]) for notice_id, one in missing.items()
    }
    return replace(case, notices={**kept, **new}), tuple(new)


def _has_had_consent(case: Case, notification: Notification) -> bool:
    # K3: an organisation reads nothing of a child before a consent that names it is on record here.
    return notification.kind in STOPS or any(
        share.was_open and share.organisation_id == notification.about for share in case.shares.values()
    )


def _in_custody(case: Case, at: datetime) -> tuple[UUID, ...]:
    if not case.custody:
        return ()
    past = [custody for custody in case.custody if custody.since <= at]
    return (past[-1] if past else case.custody[0]).person_ids


def _unanswered(case: Case, notification: Notification) -> tuple[UUID, ...]:
    holders = {
        request.holder_id: None
        for request in case.requests.values()
        if request.referral_id == notification.about
        and request.at <= notification.at
        and not any(answer.is_there(notification.at) for answer in request.answers)
    }
    return tuple(holders)


def _if_present(recipient: UUID | None) -> tuple[UUID, ...]:
    return () if recipient is None else (recipient,)
