"""Custody on record: who holds parental responsibility, held against the child's age as it changes; pure."""

from collections.abc import Iterator
from datetime import date, timedelta
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.consent import CustodyRecorded
from contracts.model import CollaborationModel
from contracts.model_parts import Language
from services.consent.domain_permission import review
from services.consent.domain_quorum import age_on, months_after, next_check, quorum_of
from services.consent.domain_states import Case, Custody, Holder
from services.consent.timers import LOCAL, looks_at_age
from services.kernel.decider.decision import Context, Decision, PrivateValue
from services.kernel.errors import Refused


class NamedHolder(Struct, frozen=True):
    """A holder of parental responsibility as the caseworker puts them on record."""

    person_id: UUID
    name: str
    residence: bool
    language: Language


class RecordCustody(Struct, frozen=True):
    """Put on record who holds parental responsibility, or confirm it anew."""

    holders: tuple[NamedHolder, ...]
    born: date
    young_person_id: UUID | None = None
    young_person_name: str = ""
    young_person_language: Language = "da"


class HolderMissing(Refused):
    """Nobody is named who may consent: name who holds parental responsibility, and where the child lives."""


class YoungPersonMissing(Refused):
    """At this age the young person must be asked too: name them."""


class PersonNamedTwice(Refused):
    """One person is named twice among those to be asked."""


class BirthAhead(Refused):
    """The birth date is in the future."""


class ModelMissing(Refused):
    """The collaboration model that says who must consent is not installed here, or not yet in force."""


def record_custody(case: Case, command: RecordCustody, context: Context) -> Decision:
    """Remember who must be asked, and hold every open permission against it.

    In a closed case too: nobody is asked any more, but who holds custody may look, and who held it may not.
    """
    persons = [holder.person_id for holder in command.holders]
    if command.young_person_id is not None:
        persons.append(command.young_person_id)
    if len(set(persons)) < len(persons):
        raise PersonNamedTwice
    today = LOCAL.today(context.now)
    if command.born > today:
        raise BirthAhead
    model = context.models.get(case.model)
    if model is None:
        raise ModelMissing(case.model)
    custody = _custody(command, model, context)
    timer = looks_at_age(context.stream_id, next_check(command.born, today, model.consent.rules))
    decision = _settle(case, custody, context)
    return replace(
        decision,
        timers=(*decision.timers, timer),
        private_values=tuple(_seals(command, custody, context.stream_id)),
    )


def _custody(command: RecordCustody, model: CollaborationModel, context: Context) -> Custody:
    today = LOCAL.today(context.now)
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
    return Custody(
        holders={holder.person_id: Holder(holder.residence, holder.language) for holder in named},
        young_person_id=command.young_person_id,
        young_person_language=command.young_person_language,
        must=quorum.must,
        quorum=quorum.code,
        rule=quorum.rule,
        checked_on=today,
        recorded_at=context.now,
        # what is known of custody is trusted for as long as a consent may last
        stale_at=months_after(context.now, model.consent.months),
    )


def check_age(case: Case, context: Context) -> Decision:
    """Hold the rule against the child's age as it is now, and settle what has changed by it.

    Where the birth date was erased there is nothing left to wait for.
    """
    custody = case.custody
    born = context.private.get(born_name(case, context.stream_id))
    if custody is None or born is None:
        return Decision(case)
    today = LOCAL.today(context.now)
    model = context.models.get(case.model)
    rule = model.consent.rule_on(today) if model else None
    checked = replace(custody, checked_on=today)
    if model is None or rule is None:
        tomorrow = looks_at_age(context.stream_id, today + timedelta(days=1))
        return Decision(replace(case, custody=checked), timers=(tomorrow,))
    quorum = quorum_of(
        rule,
        age_on(date.fromisoformat(born), today),
        holders=custody.holders,
        residence=[person for person, holder in custody.holders.items() if holder.residence],
        young=custody.young_person_id,
    )
    timer = looks_at_age(context.stream_id, next_check(date.fromisoformat(born), today, model.consent.rules))
    # compared without order: the database keeps the holders of a document in its own
    same_people = set(quorum.must) == set(custody.must)
    if same_people and (quorum.code, quorum.rule) == (custody.quorum, custody.rule):
        return Decision(replace(case, custody=checked), timers=(timer,))
    holders = {} if quorum.of_age else custody.holders
    changed = replace(checked, holders=holders, must=quorum.must, quorum=quorum.code, rule=quorum.rule)
    decision = _settle(case, changed, context)
    return replace(decision, timers=(*decision.timers, timer))


def name_of(person_id: UUID) -> str:
    """Return under which name a person's name lies sealed."""
    return f"name:{person_id}"


def born_name(case: Case, case_id: UUID) -> str:
    """Return under which name the child's birth date lies sealed."""
    young = case.custody.young_person_id if case.custody else None
    return f"born:{young or case_id}"


def _settle(case: Case, custody: Custody, context: Context) -> Decision:
    """Take custody over into the case, say so, and review every permission that is still open."""
    recorded = CustodyRecorded(
        holder_ids=tuple(custody.holders),
        young_person_id=custody.young_person_id,
        quorum=custody.quorum,
        rule=custody.rule,
    )
    decision = Decision(replace(case, custody=custody), events=(recorded,))
    for referral_id in case.permissions:
        decision = review(decision, referral_id, context)
    return decision


def _seals(command: RecordCustody, custody: Custody, case_id: UUID) -> Iterator[PrivateValue]:
    for holder in command.holders:
        if holder.person_id in custody.holders:
            yield PrivateValue(holder.person_id, name_of(holder.person_id), holder.name)
    young = command.young_person_id
    if young is not None and command.young_person_name:
        yield PrivateValue(young, name_of(young), command.young_person_name)
    subject = young or case_id
    yield PrivateValue(subject, f"born:{subject}", command.born.isoformat())
