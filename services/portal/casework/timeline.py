"""The timeline of a case: what has happened in it, by the portal's own read model of the events."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from services.kernel.http.own_commands import own_rows
from services.portal.projections import timeline_of
from services.portal.texts import _
from services.portal.visit import Visit

_MOST: Final = 500

EVENTS: Final[Mapping[str, str]] = {
    "referral.case_opened.v1": _("The case was opened"),
    "referral.views_noted.v1": _("The views of the child and the family were noted"),
    "referral.eligibility_assessed.v1": _("The target group was assessed"),
    "referral.drafted.v1": _("An offer was chosen"),
    "referral.consent_awaited.v1": _("Consent was asked for"),
    "referral.ready.v1": _("Everybody has said yes"),
    "referral.sent.v1": _("The referral was sent"),
    "referral.seen.v1": _("The organisation opened the referral"),
    "referral.accepted.v1": _("The organisation said yes"),
    "referral.declined.v1": _("The organisation said no"),
    "referral.recalled.v1": _("The referral was taken back"),
    "referral.withdrawn.v1": _("The referral stopped, since the consent was lost"),
    "referral.expired.v1": _("The referral ran out without an answer"),
    "referral.nudged.v1": _("A reminder was sent"),
    "referral.under_way.v1": _("The cooperation began"),
    "referral.closed.v1": _("The referral was closed"),
    "referral.deletion_confirmed.v1": _("The organisation has deleted what it had"),
    "referral.case_closed.v1": _("The case was closed"),
    "consent.custody_recorded.v1": _("Parental responsibility was put on record"),
    "consent.custody_confirmed.v1": _("A colleague confirmed who holds parental responsibility"),
    "consent.requested.v1": _("Somebody was asked for consent"),
    "consent.minuted.v1": _("A yes was put on record and waits for a colleague"),
    "consent.unconfirmed.v1": _("A yes was not confirmed, and is asked for anew"),
    "consent.confirmation_nudged.v1": _("A colleague was reminded of a yes to confirm"),
    "consent.given.v1": _("Somebody said yes to sharing"),
    "consent.refused.v1": _("Somebody said no to sharing"),
    "consent.withdrawn.v1": _("Somebody took their yes back"),
    "consent.expired.v1": _("A consent ran out"),
    "consent.granted.v1": _("All consents are given"),
    "consent.lost.v1": _("The consent no longer counts"),
    "agreement.meeting_invited.v1": _("The start-up meeting was called"),
    "agreement.meeting_held.v1": _("The start-up meeting was held"),
    "agreement.proposed.v1": _("The agreement was laid ready to be signed"),
    "agreement.signed.v1": _("Somebody signed the agreement"),
    "agreement.in_force.v1": _("All had signed the agreement"),
    "agreement.progress_reported.v1": _("The organisation told how it goes"),
    "agreement.progress_nudged.v1": _("The organisation was reminded to tell how it goes"),
    "agreement.meeting_nudged.v1": _("The start-up meeting was reminded of"),
    "agreement.ended.v1": _("The cooperation ended"),
    "evaluation.measurement_taken.v1": _("The child's well-being was measured"),
    "evaluation.planned.v1": _("An evaluation was planned"),
    "evaluation.due.v1": _("An evaluation is to be held"),
    "evaluation.nudged.v1": _("The evaluation was reminded of"),
    "evaluation.voice_heard.v1": _("Somebody said how it goes"),
    "evaluation.concluded.v1": _("An evaluation was concluded"),
}
"""What a person reads for an event; others, such as a reckoned outcome, are no news to a caseworker."""

ROLES: Final[Mapping[str, str]] = {
    "caseworker": _("A caseworker"),
    "leader": _("A leader"),
    "bridge_builder": _("A bridge builder"),
    "coordinator": _("The organisation"),
    "guardian": _("A parent"),
    "young_person": _("The young person"),
}


class Happened(Struct, frozen=True):
    """One thing that happened: when, a marked sentence, and by whom, a marked word that may be empty."""

    at: datetime
    text: str
    by: str = ""


async def happened_in(visit: Visit, case_id: UUID, most: int = _MOST) -> list[Happened]:
    """Return what has happened in a case, the latest first.

    Whoever asks must have been shown the case by its owner before: the read model does not judge that.
    """
    tenant = visit.person.tenant
    async with own_rows(visit.portal.runtime, tenant, readonly=True) as tx:
        rows: list[dict[str, Any]] = await timeline_of(tx, tenant=tenant, case_id=case_id, limit=_MOST)
    found = [Happened(row["at"], EVENTS[row["type"]], ROLES.get(row["role"], ""))
             for row in rows if row["type"] in EVENTS]  # fmt: skip
    return found[:most]
