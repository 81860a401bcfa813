"""Steps of one referral's permission: awaited, granted by all, lost by one, over with the referral; pure."""

from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

from contracts.consent import (
    ConsentExpired,
    ConsentGiven,
    ConsentGranted,
    ConsentLost,
    ConsentRefused,
    ConsentRequested,
    ConsentWithdrawn,
    CustodyConfirmationAwaited,
    CustodyConfirmed,
    CustodyRecorded,
)
from contracts.event import Event
from contracts.model import CollaborationModel
from contracts.referral import ConsentAwaited
from services.consent.domain.states import (
    LEGAL_BASIS,
    Awaited,
    Custody,
    Given,
    Granted,
    Lost,
    Minuted,
    Over,
    Requested,
    Scope,
)
from services.consent.domain.transition import Transition
from services.kernel.decider.decision import Decision, TimerFired
from services.kernel.decider.derived_ids import derived_id

_REASONS: Final[dict[type[Event], str]] = {ConsentRefused: "refused", ConsentWithdrawn: "withdrawn"}

_UNANSWERED: Final = frozenset({"requested", "minuted"})


def wait(transition: Transition, _before: None, event: ConsentAwaited) -> Decision:
    """Begin to wait for permission, and ask those who must consent where custody is on record."""
    if transition.case.closed:
        return transition.unchanged()
    scope = Scope(
        organisation_id=event.organisation_id,
        purpose=event.purpose,
        facts=event.facts,
        model=f"{event.model}/{event.model_version}",
        awaited_at=event.awaited_at,
        lapse_on=event.lapse_on,
        legal_basis=LEGAL_BASIS,
    )
    return transition.permission(Awaited(scope), *_questions(transition, scope))


def review(transition: Transition, before: Awaited, _event: CustodyRecorded) -> Decision:
    """Ask those who must consent now and were not asked, or grant where all of them have said yes."""
    questions = tuple(_questions(transition, before.scope))
    if questions:
        return transition.permission(before, *questions)
    return _grant(transition, before) if _may_ask(transition, before.scope) else transition.unchanged()


def confirm(transition: Transition, before: Granted, _event: CustodyRecorded) -> Decision:
    """Keep a permission only where everybody who must consent now has said yes; it is not asked for again."""
    custody = transition.case.custody
    if custody is None or (custody.must and not _missing(transition, custody)):
        return transition.unchanged()
    return _lose(transition, before, "invalidated")


def grant(transition: Transition, before: Awaited, _event: ConsentGiven | CustodyConfirmed) -> Decision:
    """Grant a permission once all who must consent have done so, and a second employee is not awaited."""
    return _grant(transition, before)


def stop(
    transition: Transition, before: Awaited | Granted, event: ConsentRefused | ConsentWithdrawn
) -> Decision:
    """Lose a permission at once by the no of one person."""
    return _lose(transition, before, _REASONS[type(event)])


def end_with_consent(transition: Transition, before: Awaited | Granted, event: ConsentExpired) -> Decision:
    """Lose a permission as a yes runs out; questions without a yes that counts end it by its own timer."""
    return transition.unchanged() if event.was in _UNANSWERED else _lose(transition, before, "expired")


def lapse(transition: Transition, before: Awaited, _fired: TimerFired) -> Decision:
    """Stop waiting: without an answer by the last day nothing is permitted."""
    return _lose(transition, before, "lapsed")


def finish(transition: Transition, before: Awaited | Granted, _event: Event) -> Decision:
    """End quietly with a referral that is over; other services learn it from the referral."""
    return transition.permission(Over(before.scope, transition.context.now))


def _lose(transition: Transition, before: Awaited | Granted, reason: str) -> Decision:
    scope = before.scope
    lost = ConsentLost(
        referral_id=transition.id,
        organisation_id=scope.organisation_id,
        purpose=scope.purpose,
        reason=reason,
    )
    return transition.permission(Lost(scope, reason, transition.context.now), lost)


def _grant(transition: Transition, before: Awaited) -> Decision:
    """Grant until the first yes runs out, or go on waiting where somebody has not said yes.

    What rests on a minuted yes also waits until a second employee has confirmed who must consent.
    """
    custody, scope = transition.case.custody, before.scope
    yes = {
        consent.question.person_id: consent
        for consent in transition.case.consents_of(transition.id).values()
        if isinstance(consent, Given)
    }
    if custody is None or not custody.must or not yes.keys() >= set(custody.must):
        return transition.unchanged()
    counting = [yes[person] for person in custody.must]
    if custody.confirmed is None and _needs_second_employee(transition, scope, counting):
        awaited = CustodyConfirmationAwaited(referral_id=transition.id, confirm_by=scope.lapse_on)
        return transition.permission(before, awaited)
    until = min(one.expires_at for one in counting)
    granted = ConsentGranted(
        referral_id=transition.id,
        organisation_id=scope.organisation_id,
        purpose=scope.purpose,
        facts=scope.facts,
        until=until,
    )
    return transition.permission(Granted(scope, until), granted)


def _needs_second_employee(transition: Transition, scope: Scope, counting: Iterable[Given]) -> bool:
    model = transition.context.models.get(scope.model)
    is_asked_for = model is None or model.consent.second_employee
    return is_asked_for and any(one.given.is_minuted for one in counting)


def _questions(transition: Transition, scope: Scope) -> Iterator[ConsentRequested]:
    """Return a request for each person who must consent and has no record that counts."""
    custody, model = transition.case.custody, transition.context.models.get(scope.model)
    if custody is None or model is None or not _may_ask(transition, scope):
        return
    for person in _missing(transition, custody):
        yield _question(transition.id, person, scope, custody, model)


def _may_ask(transition: Transition, scope: Scope) -> bool:
    """Return whether the model is installed and custody is on record and not stale."""
    custody = transition.case.custody
    return (
        custody is not None
        and transition.context.now < custody.stale_at
        and scope.model in transition.context.models
    )


def _missing(transition: Transition, custody: Custody) -> list[UUID]:
    live = {
        consent.question.person_id
        for consent in transition.case.consents_of(transition.id).values()
        if isinstance(consent, Requested | Minuted | Given)
    }
    return [person for person in custody.must if person not in live]


def _question(
    referral_id: UUID, person: UUID, scope: Scope, custody: Custody, model: CollaborationModel
) -> ConsentRequested:
    audience = "young_person" if person == custody.young_person_id else "guardian"
    text = next(text for text in model.consent.texts if text.audience == audience)
    language = custody.language_of(person)
    return ConsentRequested(
        consent_id=derived_id(referral_id, str(person)),
        referral_id=referral_id,
        organisation_id=scope.organisation_id,
        holder_id=person,
        purpose=scope.purpose,
        facts=scope.facts,
        text_id=text.id,
        text_sha256=text.sha256(language),
        language=language,
    )
