"""What the notify service hears, and why."""

from typing import Final

from contracts import agreement, consent, evaluation, referral
from contracts.event import Event

HEARS: Final[tuple[type[Event], ...]] = (
    referral.CaseOpened,  # who the caseworker is, and which department's leader stands behind
    referral.ReferralReady,  # the caseworker may send it
    referral.ReferralSent,  # the organisation must answer
    referral.ReferralAccepted,  # caseworker and family: it goes on
    referral.ReferralDeclined,  # caseworker and family: another offer is needed
    referral.ReferralRecalled,  # the organisation must delete its copy; the family knows it ended
    referral.ReferralWithdrawn,  # the same, because a consent was lost
    referral.ReferralExpired,  # all whom the clock has overtaken
    referral.ReferralNudged,  # the next on the ladder
    referral.DeletionConfirmed,  # caseworker and family: the copy is gone
    referral.CaseClosed,  # the family is followed no longer
    consent.CustodyRecorded,  # who the family's recipients are
    consent.ConsentRequested,  # the one person who is asked
    consent.ConsentGiven,  # this person needs no reminder
    consent.ConsentRefused,  # the caseworker; and this person needs no reminder
    consent.ConsentGranted,  # the family's receipt; from here on the organisation may be told
    consent.ConsentLost,  # the caseworker; from here on the organisation may not be told
    consent.ConsentTicked,  # how far back the two before may be trusted
    agreement.MeetingInvited,  # all three parties
    agreement.AgreementProposed,  # all three parties sign
    agreement.AgreementInForce,  # all three parties
    agreement.ProgressReported,  # the caseworker
    agreement.ProgressNudged,  # the next on the ladder
    agreement.MeetingNudged,  # the next on the ladder
    agreement.AgreementEnded,  # all three parties
    evaluation.EvaluationPlanned,  # all three parties
    evaluation.EvaluationDue,  # all three voices
    evaluation.EvaluationNudged,  # the next on the ladder
    evaluation.EvaluationConcluded,  # all three parties
)
