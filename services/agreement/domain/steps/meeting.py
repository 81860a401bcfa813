"""Steps of the start-up meeting: the invitation, the reminders, and that it was held; pure."""

from msgspec.structs import replace

from contracts.agreement import MeetingHeld, MeetingInvited, MeetingNudged
from contracts.referral import ReferralAccepted
from services.agreement.domain.commands import MEETING, HoldMeeting
from services.agreement.domain.refusals import MeetingAhead, MeetingEarly, PartyAbsent
from services.agreement.domain.states import NO_MEETING, About, Cause, InForce, Invited, Met, Proposed
from services.agreement.domain.steps.ending import end
from services.agreement.domain.transition import Transition, wrong_moment
from services.kernel.decider.decision import Decision, TimerFired
from services.kernel.decider.escalation import AUTOMATIC
from services.kernel.decider.working_days import calendar_of


def invite(transition: Transition, before: None, event: ReferralAccepted) -> Decision:  # noqa: ARG001  a step
    """Invite the parties to meet; where the end arrived first, only the end is announced."""
    case, agreement_id = transition.case, transition.agreement_id
    ref = f"{event.model}/{event.model_version}"
    day = calendar_of(transition.context.models[ref]).today(event.accepted_at)
    about = About(event.referral_id, event.organisation_id, ref, day)
    invited = Invited(about=about, meeting_by=event.meeting_by)
    cause = case.causes.get(agreement_id)
    if cause is not None:
        begun = replace(case, agreements={**case.agreements, agreement_id: invited})
        return end(replace(transition, case=begun), invited, cause)
    return transition.moved(
        invited,
        MeetingInvited(
            agreement_id=agreement_id,
            referral_id=event.referral_id,
            organisation_id=event.organisation_id,
            meeting_by=event.meeting_by,
        ),
    )


def hold(transition: Transition, before: Invited, command: HoldMeeting) -> Decision:
    """Put the start-up meeting on record."""
    absent = MEETING.difference(command.attended)
    if absent:
        raise PartyAbsent(", ".join(sorted(absent)))
    if command.held_on > transition.today:
        raise MeetingAhead
    if command.held_on < before.about.invited_on:
        raise MeetingEarly(f"{before.about.invited_on}")
    return transition.moved(
        Met(about=before.about, held_on=command.held_on),
        MeetingHeld(
            agreement_id=command.agreement_id,
            referral_id=before.about.referral_id,
            held_on=command.held_on,
            attended=tuple(sorted(set(command.attended))),
        ),
    )


def already_held(transition: Transition, before: Met | Proposed | InForce, command: HoldMeeting) -> Decision:
    """Change nothing where the same day is put on record again; raise `InvalidTransition` for another."""
    if command.held_on != before.held_on:
        raise wrong_moment(before, command)
    return Decision(transition.case)


def chase_meeting(transition: Transition, before: Invited, fired: TimerFired) -> Decision:
    """Remind the next person of the meeting; after the last reminder the agreement ends."""
    rung = fired.kind.partition(":")[2]
    if rung == AUTOMATIC:
        return end(transition, before, Cause(fired.due_at, NO_MEETING))
    nudged = MeetingNudged(
        agreement_id=fired.ref,
        organisation_id=before.about.organisation_id,
        meeting_by=before.meeting_by,
        rung=rung,
    )
    return Decision(transition.case, (nudged,))
