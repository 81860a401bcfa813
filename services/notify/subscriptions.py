"""Subscriptions of the notify service: which events it consumes, and what for."""

from typing import Final

from contracts import agreement, consent, directory, evaluation, referral
from contracts.event import Event

SUBSCRIBES_TO: Final[tuple[type[Event], ...]] = (
    directory.DepartmentRegistered,  # an administrator may say how it is reached
    directory.OrganisationJoined,  # the same
    referral.CaseOpened,  # the caseworker, and the department whose leader stands behind
    referral.ReferralReady,  # the caseworker may send it
    referral.ReferralSent,  # the organisation must answer
    referral.ReferralAccepted,  # caseworker and family: it goes on
    referral.ReferralDeclined,  # caseworker and family: another offer is needed
    referral.ReferralRecalled,  # the organisation must delete its copy; the family knows it ended
    referral.ReferralWithdrawn,  # the same, because a consent was lost
    referral.ReferralExpired,  # all three parties: the deadline has passed
    referral.ReferralNudged,  # the next rung of the escalation
    referral.DeletionConfirmed,  # caseworker and family: the copy is gone
    referral.CaseClosed,  # the family: the case is followed no longer
    consent.CustodyRecorded,  # the recipients in the family
    consent.ConsentRequested,  # the one person whose consent is requested
    consent.CustodyConfirmationAwaited,  # the colleagues of the caseworker
    consent.ConsentMinuted,  # the person and the colleagues; this person needs no reminder
    consent.ConsentUnconfirmed,  # the person and the caseworker; this person is to be reminded again
    consent.ConfirmationNudged,  # the next rung of the escalation
    consent.ConsentGiven,  # this person needs no reminder
    consent.ConsentRefused,  # the caseworker; and this person needs no reminder
    consent.ConsentGranted,  # the family's receipt; from here on the organisation may be notified
    consent.ConsentLost,  # the caseworker; from here on the organisation may not be notified
    consent.ConsentTicked,  # the watermark: how fresh the two before are
    agreement.MeetingInvited,  # all three parties
    agreement.AgreementProposed,  # all three parties sign
    agreement.AgreementInForce,  # all three parties
    agreement.ProgressReported,  # the caseworker
    agreement.ProgressNudged,  # the next rung of the escalation
    agreement.MeetingNudged,  # the next rung of the escalation
    agreement.AgreementEnded,  # all three parties
    evaluation.EvaluationPlanned,  # all three parties
    evaluation.EvaluationDue,  # all three voices
    evaluation.EvaluationNudged,  # the next rung of the escalation
    evaluation.EvaluationConcluded,  # all three parties
)
