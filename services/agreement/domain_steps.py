"""The steps of a cooperation agreement, from the invitation to the end; pure."""

from datetime import date, timedelta
from uuid import UUID

from msgspec import to_builtins
from msgspec.structs import replace

from contracts.agreement import (
    AgreementInForce,
    AgreementProposed,
    AgreementSigned,
    MeetingHeld,
    MeetingInvited,
    ProgressNudged,
    ProgressReported,
)
from contracts.referral import ReferralAccepted
from services.agreement.domain_commands import (
    MEETING,
    DurationMissing,
    HoldMeeting,
    MeetingAhead,
    MeetingEarly,
    PartyAbsent,
    PartyUnknown,
    Propose,
    ReportProgress,
    Sign,
    VersionPast,
)
from services.agreement.domain_states import (
    About,
    Agreement,
    Case,
    InForce,
    Invited,
    Met,
    Proposal,
    Proposed,
    Signature,
    Terms,
    Update,
    agreement_of,
)
from services.agreement.domain_terms import outlines, settled
from services.agreement.domain_turns import end, model_of, today_of, turn
from services.kernel.decider.decision import Context, Decision, PrivateValue
from services.kernel.decider.escalation import AUTOMATIC
from services.kernel.decider.working_days import calendar_of


def invite(case: Case, event: ReferralAccepted, context: Context) -> Decision:
    """Ask the parties to meet; where the end was heard of first, tell the end alone."""
    agreement_id = agreement_of(event.referral_id)
    if agreement_id in case.agreements:
        return Decision(case)
    ref = f"{event.model}/{event.model_version}"
    day = calendar_of(context.models[ref]).today(event.accepted_at)
    about = About(event.referral_id, event.organisation_id, ref, day)
    invited = Invited(about=about, meeting_by=event.meeting_by)
    cause = case.causes.get(agreement_id)
    if cause is not None:
        known = replace(case, agreements={**case.agreements, agreement_id: invited})
        return end(known, agreement_id, cause, context)
    told = MeetingInvited(
        agreement_id=agreement_id,
        referral_id=event.referral_id,
        organisation_id=event.organisation_id,
        meeting_by=event.meeting_by,
    )
    return turn(case, agreement_id, invited, context, told)


def hold(case: Case, before: Invited, command: HoldMeeting, context: Context) -> Decision:
    """Put the start-up meeting on record."""
    absent = MEETING.difference(command.attended)
    if absent:
        raise PartyAbsent(", ".join(sorted(absent)))
    if command.held_on > today_of(before, context):
        raise MeetingAhead
    if command.held_on < before.about.invited_on:
        raise MeetingEarly(f"{before.about.invited_on}")
    told = MeetingHeld(
        agreement_id=command.agreement_id,
        referral_id=before.about.referral_id,
        held_on=command.held_on,
        attended=tuple(sorted(set(command.attended))),
    )
    return turn(case, command.agreement_id, Met(about=before.about, held_on=command.held_on), context, told)


def propose(case: Case, before: Met | Proposed | InForce, command: Propose, context: Context) -> Decision:
    """Lay a new version ready; while an old one is in force it stays so until all have signed."""
    terms = settled(command, _latest(before) + 1, model_of(before, context), today_of(before, context))
    after: Agreement
    match before:
        case Met():
            after = Proposed(about=before.about, held_on=before.held_on, proposal=Proposal(terms))
        case Proposed() | InForce():
            after = replace(before, proposal=Proposal(terms))
    told = AgreementProposed(
        agreement_id=command.agreement_id,
        referral_id=before.about.referral_id,
        organisation_id=before.about.organisation_id,
        version=terms.version,
        goals=outlines(terms),
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        update_every_days=terms.update_every_days,
        evaluate_every_days=terms.evaluate_every_days,
        cost=terms.cost,
    )
    decision = turn(case, command.agreement_id, after, context, told)
    return replace(decision, private_values=_worded(command, terms.version, context.stream_id))


def _worded(command: Propose, version: int, case_id: UUID) -> tuple[PrivateValue, ...]:
    """Return the words of a version, to be kept under the case's key."""
    place = f"{command.agreement_id}:{version}"
    goals = [
        {
            "goal_id": str(goal.goal_id),
            "text": goal.text,
            "actions": [to_builtins(action) for action in goal.actions],
        }
        for goal in command.goals
    ]
    return (
        PrivateValue(case_id, f"goals:{place}", goals),
        PrivateValue(case_id, f"wants:{place}", dict(command.wants)),
        PrivateValue(case_id, f"cost:{place}", command.cost_text),
    )


def sign(case: Case, before: Proposed | InForce, command: Sign, context: Context) -> Decision:
    """Put one party's name under the version that lies ready; the last name brings it into force.

    Where a name that was waited for is needed no longer, any of the others said again does.
    """
    if command.party not in case.parties:
        raise PartyUnknown(command.party)
    if isinstance(before, InForce) and command.version == before.terms.version:
        return Decision(case)
    if before.proposal is None or command.version != before.proposal.terms.version:
        raise VersionPast(f"version {_latest(before)}")
    today, signed = today_of(before, context), case.standing(before.proposal.signed)
    told: tuple[AgreementSigned, ...] = ()
    if all(one.party != command.party for one in signed):
        signed = (*signed, Signature(command.party, context.actor.id, today))
        told = (
            AgreementSigned(agreement_id=command.agreement_id, version=command.version, party=command.party),
        )
    whole = {one.party for one in signed}.issuperset(case.parties)
    if not told and not whole:
        return Decision(case)
    if before.proposal.terms.ends_on <= today:
        raise DurationMissing
    proposal = replace(before.proposal, signed=signed)
    if not whole:
        return turn(case, command.agreement_id, replace(before, proposal=proposal), context, *told)
    begun = _told_in_force(command.agreement_id, before.about, proposal.terms)
    return turn(case, command.agreement_id, _in_force(before, proposal, today), context, *told, begun)


def _in_force(before: Proposed | InForce, proposal: Proposal, today: date) -> InForce:
    terms = proposal.terms
    updates, since = (before.updates, before.in_force_on) if isinstance(before, InForce) else ((), today)
    first = max(terms.starts_on, today) + timedelta(days=terms.update_every_days)
    return InForce(
        about=before.about,
        held_on=before.held_on,
        in_force_on=since,
        terms=terms,
        signed=proposal.signed,
        expected=Update(len(updates) + 1, first),
        updates=updates,
    )


def _told_in_force(agreement_id: UUID, about: About, terms: Terms) -> AgreementInForce:
    model, _, version = about.model.partition("/")
    return AgreementInForce(
        agreement_id=agreement_id,
        referral_id=about.referral_id,
        organisation_id=about.organisation_id,
        version=terms.version,
        goal_ids=tuple(goal.goal_id for goal in terms.goals),
        model=model,
        model_version=int(version),
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        update_every_days=terms.update_every_days,
        evaluate_every_days=terms.evaluate_every_days,
    )


def report(case: Case, before: InForce, command: ReportProgress, context: Context) -> Decision:
    """Take the organisation's word on how it goes."""
    today, number = today_of(before, context), before.expected.number
    came = replace(before.expected, reported_on=today, trend=command.trend)
    told = ProgressReported(
        agreement_id=command.agreement_id, number=number, reported_on=today, trend=command.trend
    )
    decision = turn(case, command.agreement_id, _counted(before, came, today), context, told)
    words = PrivateValue(context.stream_id, f"progress:{command.agreement_id}:{number}", command.text)
    return replace(decision, private_values=(words,))


def chase(case: Case, agreement_id: UUID, before: InForce, rung: str, context: Context) -> Decision:
    """Tell the next person that an update is missing; at the last rung count it as missed and go on."""
    told = ProgressNudged(
        agreement_id=agreement_id,
        organisation_id=before.about.organisation_id,
        number=before.expected.number,
        due_on=before.expected.due_on,
        rung=rung,
    )
    if rung != AUTOMATIC:
        return Decision(case, (told,))
    missed = _counted(before, before.expected, today_of(before, context))
    return turn(case, agreement_id, missed, context, told)


def _counted(before: InForce, update: Update, today: date) -> InForce:
    """Return the agreement with one update counted, and the next one expected a full interval from today."""
    due_on = today + timedelta(days=before.terms.update_every_days)
    return replace(before, updates=(*before.updates, update), expected=Update(update.number + 1, due_on))


def _latest(agreement: Met | Proposed | InForce) -> int:
    """Return the highest version there is, 0 before the first."""
    match agreement:
        case Proposed(proposal=proposal) | InForce(proposal=Proposal() as proposal):
            return proposal.terms.version
        case InForce(terms=terms):
            return terms.version
        case _:
            return 0
