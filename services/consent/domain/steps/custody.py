"""Steps of the case itself: opened, closed, custody put on record and checked as the child grows; pure."""

from collections.abc import Iterator
from datetime import date, timedelta
from uuid import UUID

from msgspec.structs import replace

from contracts.consent import CustodyConfirmed, CustodyRecorded
from contracts.model import CollaborationModel
from contracts.referral import CaseClosed, CaseOpened
from services.consent.domain.commands import ConfirmCustody, RecordCustody
from services.consent.domain.deadlines import age_timer
from services.consent.domain.refusals import (
    BirthAhead,
    CustodyStale,
    HolderMissing,
    ModelMissing,
    OwnMatter,
    PersonNamedTwice,
    PersonUnknown,
    YoungPersonMissing,
)
from services.consent.domain.states import Case, Custody, Holder, born_key, name_key
from services.consent.domain.steps.quorum import Quorum, age_on, next_check, quorum_of
from services.consent.domain.transition import Transition
from services.kernel.decider.decision import Decision, PrivateValue, TimerFired
from services.kernel.decider.working_days import months_after


def open_case(transition: Transition, _before: Case | None, event: CaseOpened) -> Decision:
    """Take over whose case it is and which model counts."""
    return Decision(
        replace(
            transition.case,
            department_id=event.department_id,
            caseworker_id=event.caseworker_id,
            child_id=event.child_id,
            model=f"{event.model}/{event.model_version}",
        )
    )


def close_case(_transition: Transition, before: Case, _event: CaseClosed) -> Decision:
    """Ask no more; the child's age is checked all the same, for at eighteen nobody but they may read on."""
    return Decision(replace(before, closed=True))


def record_custody(transition: Transition, before: Case, command: RecordCustody) -> Decision:
    """Put on record who must be asked; every open permission is reviewed by the event.

    In a closed case too: nobody is asked any more, but who holds custody may read, and who held it may not.
    """
    context, calendar = transition.context, transition.calendar()
    if command.unknown:
        raise PersonUnknown
    command = _with_young_person(before, command)
    persons = [holder.person_id for holder in command.holders]
    if command.young_person_id is not None:
        persons.append(command.young_person_id)
    if context.actor.id in persons:
        raise OwnMatter
    if len(set(persons)) < len(persons):
        raise PersonNamedTwice
    today = calendar.today(context.now)
    if command.born > today:
        raise BirthAhead
    model = context.models.get(before.model)
    if model is None:
        raise ModelMissing(before.model)
    custody = _custody(transition, command, model, today)
    timer = age_timer(transition.id, next_check(command.born, today, model.consent.rules), calendar)
    return Decision(
        replace(before, custody=custody),
        (_recorded(custody),),
        (timer,),
        tuple(_private_values(command, custody, transition.id)),
    )


def confirm_custody(transition: Transition, before: Case, _command: ConfirmCustody) -> Decision:
    """Confirm as a second employee who holds parental responsibility; what waited for it goes on."""
    custody = before.custody
    if custody is None:
        raise HolderMissing
    if custody.confirmed is not None:
        return transition.unchanged()
    if transition.context.now >= custody.stale_at:
        raise CustodyStale
    confirmed = replace(custody, confirmed=transition.confirmation(custody.recorded_by))
    event = CustodyConfirmed(recorded_at=custody.recorded_at)
    return Decision(replace(before, custody=confirmed), (event,))


def check_age(transition: Transition, before: Case, _fired: TimerFired) -> Decision:
    """Check the rule against the child's age as it is now; permissions are reviewed where it has changed.

    Where the birth date was erased the check ends; where the model is not installed it is made tomorrow.
    """
    context, calendar, custody = transition.context, transition.calendar(), before.custody
    born = context.private.get(born_key(before, transition.id))
    if custody is None or born is None:
        return transition.unchanged()
    today = calendar.today(context.now)
    model = context.models.get(before.model)
    rule = model.consent.rule_on(today) if model else None
    checked = replace(custody, checked_on=today)
    if model is None or rule is None:
        tomorrow = age_timer(transition.id, today + timedelta(days=1), calendar)
        return Decision(replace(before, custody=checked), timers=(tomorrow,))
    birthday = date.fromisoformat(born)
    quorum = quorum_of(
        rule,
        age_on(birthday, today),
        holders=custody.holders,
        residence=[person for person, holder in custody.holders.items() if holder.residence],
        young=custody.young_person_id,
    )
    timers = (age_timer(transition.id, next_check(birthday, today, model.consent.rules), calendar),)
    if _is_same(quorum, custody):
        return Decision(replace(before, custody=checked), timers=timers)
    holders = {} if quorum.of_age else custody.holders
    changed = replace(checked, holders=holders, must=quorum.must, quorum=quorum.code, rule=quorum.rule)
    return Decision(replace(before, custody=changed), (_recorded(changed),), timers)


def _with_young_person(case: Case, command: RecordCustody) -> RecordCustody:
    """Return the command with an id for a young person who is named without one."""
    if command.young_person_id is not None or not command.young_person_name:
        return command
    return replace(command, young_person_id=case.child_id or command.new_id)


def _custody(
    transition: Transition, command: RecordCustody, model: CollaborationModel, today: date
) -> Custody:
    rule = model.consent.rule_on(today)
    if rule is None:
        raise ModelMissing(model.ref)
    quorum = quorum_of(
        rule,
        age_on(command.born, today),
        holders=[holder.person_id for holder in command.holders],
        residence=[holder.person_id for holder in command.holders if holder.residence],
        young=command.young_person_id,
    )
    if not quorum.must:
        young_is_missing = command.young_person_id is None and quorum.code.startswith("young_person")
        raise YoungPersonMissing(rule.code) if young_is_missing else HolderMissing(rule.code)
    named = () if quorum.of_age else command.holders
    now = transition.context.now
    return Custody(
        recorded_by=transition.context.actor.id,
        holders={holder.person_id: Holder(holder.residence, holder.language) for holder in named},
        young_person_id=command.young_person_id,
        young_person_language=command.young_person_language,
        must=quorum.must,
        quorum=quorum.code,
        rule=quorum.rule,
        checked_on=today,
        recorded_at=now,
        # a record of custody is trusted for as long as a consent may last
        stale_at=months_after(now, model.consent.months),
    )


def _is_same(quorum: Quorum, custody: Custody) -> bool:
    # compared without order: the database keeps the holders of a document in its own
    same_people = set(quorum.must) == set(custody.must)
    return same_people and (quorum.code, quorum.rule) == (custody.quorum, custody.rule)


def _recorded(custody: Custody) -> CustodyRecorded:
    return CustodyRecorded(
        holder_ids=tuple(custody.holders),
        young_person_id=custody.young_person_id,
        quorum=custody.quorum,
        rule=custody.rule,
        recorded_at=custody.recorded_at,
    )


def _private_values(command: RecordCustody, custody: Custody, case_id: UUID) -> Iterator[PrivateValue]:
    for holder in command.holders:
        if holder.person_id in custody.holders:
            yield PrivateValue(holder.person_id, name_key(holder.person_id), holder.name)
    young = command.young_person_id
    if young is not None and command.young_person_name:
        yield PrivateValue(young, name_key(young), command.young_person_name)
    subject = young or case_id
    yield PrivateValue(subject, f"born:{subject}", command.born.isoformat())
