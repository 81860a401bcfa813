"""The permission behind one referral: asked of each person, granted by all, lost by one; pure."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID, uuid5

from msgspec.structs import replace

from contracts.consent import ConsentExpired, ConsentGranted, ConsentLost, ConsentRequested
from contracts.event import Event
from contracts.model import CollaborationModel
from contracts.referral import ConsentAwaited
from services.consent.domain_states import (
    LEGAL_BASIS,
    Awaited,
    Case,
    Consent,
    Custody,
    Expired,
    Given,
    Granted,
    Invalidated,
    Lost,
    Over,
    Permission,
    Question,
    Requested,
    Scope,
)
from services.consent.timers import expires_no_more, lapses, lapses_no_more
from services.kernel.decider import decision as kernel
from services.kernel.decider.decision import Decision, Timer


def more(
    decision: Decision, case: Case, events: Iterable[Event] = (), timers: Iterable[Timer] = ()
) -> Decision:
    """Return a decision that goes on to a case, with further events and timers."""
    return replace(
        decision, state=case, events=(*decision.events, *events), timers=(*decision.timers, *timers)
    )


def with_permission(case: Case, referral_id: UUID, permission: Permission) -> Case:
    """Return the case with one permission set."""
    return replace(case, permissions={**case.permissions, referral_id: permission})


def with_consent(case: Case, consent_id: UUID, consent: Consent) -> Case:
    """Return the case with one record set."""
    return replace(case, consents={**case.consents, consent_id: consent})


def wait(case: Case, event: ConsentAwaited, context: kernel.Context) -> Decision:
    """Begin to wait for permission, and ask those who must consent where it is known who they are."""
    if case.closed or event.referral_id in case.permissions:
        return Decision(case)
    scope = Scope(
        organisation_id=event.organisation_id,
        purpose=event.purpose,
        facts=event.facts,
        model=f"{event.model}/{event.model_version}",
        awaited_at=event.awaited_at,
        lapse_on=event.lapse_on,
        legal_basis=LEGAL_BASIS,
    )
    waiting = with_permission(case, event.referral_id, Awaited(scope))
    began = Decision(waiting, timers=(lapses(event.referral_id, event.lapse_on),))
    return review(began, event.referral_id, context)


def review(decision: Decision, referral_id: UUID, context: kernel.Context) -> Decision:
    """Hold a permission against who must consent now: ask who was not asked, let go who need not be.

    A permission that was granted without somebody who must consent now is lost, not asked for again.
    """
    case: Case = decision.state
    permission, custody = case.permissions[referral_id], case.custody
    if custody is None or not isinstance(permission, Awaited | Granted):
        return decision
    live = _live(case, referral_id)
    needless = [at for person, at in live.items() if person not in custody.must]
    decision = _invalidate(decision, needless, "custody_changed", context.now)
    missing = [person for person in custody.must if person not in live]
    if isinstance(permission, Granted):
        unpermitted = missing or not custody.must
        return lose(decision, referral_id, "invalidated", context.now) if unpermitted else decision
    model = context.models.get(permission.scope.model)
    if model is None or context.now >= custody.stale_at:
        return decision
    if missing:
        return _ask(decision, referral_id, permission.scope, missing, model)
    return grant_by_all(decision, referral_id)


def _ask(
    decision: Decision, referral_id: UUID, scope: Scope, persons: Iterable[UUID], model: CollaborationModel
) -> Decision:
    case: Case = decision.state
    custody = case.custody
    if custody is None:
        return decision
    consents, events = dict(case.consents), []
    for person in persons:
        consent_id = uuid5(referral_id, str(person))
        question = _question(referral_id, person, scope, custody, model)
        consents[consent_id] = Requested(question)
        events.append(
            ConsentRequested(
                consent_id=consent_id,
                referral_id=referral_id,
                organisation_id=scope.organisation_id,
                holder_id=person,
                purpose=scope.purpose,
                facts=scope.facts,
                text_id=question.text_id,
                text_sha256=question.text_sha256,
                language=question.language,
            )
        )
    return more(decision, replace(case, consents=consents), events)


def _question(
    referral_id: UUID, person: UUID, scope: Scope, custody: Custody, model: CollaborationModel
) -> Question:
    audience = "young_person" if person == custody.young_person_id else "guardian"
    text = next(text for text in model.consent.texts if text.audience == audience)
    language = custody.language_of(person)
    # the later of both, so that it does not matter which of them was known here first
    asked_at = max(scope.awaited_at, custody.recorded_at)
    return Question(
        referral_id=referral_id,
        person_id=person,
        quorum=custody.quorum,
        rule=custody.rule,
        text_id=text.id,
        text_sha256=text.sha256(language),
        language=language,
        requested_at=asked_at,
    )


def grant_by_all(decision: Decision, referral_id: UUID) -> Decision:
    """Grant an awaited permission once all who must consent have, until the first of them runs out."""
    case: Case = decision.state
    permission, custody = case.permissions[referral_id], case.custody
    if custody is None or not custody.must or not isinstance(permission, Awaited):
        return decision
    yes = {
        consent.question.person_id: consent.expires_at
        for consent in case.consents.values()
        if isinstance(consent, Given) and consent.question.referral_id == referral_id
    }
    if not yes.keys() >= set(custody.must):
        return decision
    scope, until = permission.scope, min(yes[person] for person in custody.must)
    granted = ConsentGranted(
        referral_id=referral_id,
        organisation_id=scope.organisation_id,
        purpose=scope.purpose,
        facts=scope.facts,
        until=until,
    )
    case = with_permission(case, referral_id, Granted(scope, until))
    return more(decision, case, [granted], [lapses_no_more(referral_id)])


def lose(decision: Decision, referral_id: UUID, reason: str, now: datetime) -> Decision:
    """Stop a permission at once; what others had said about it no longer counts."""
    case: Case = decision.state
    permission = case.permissions[referral_id]
    if not isinstance(permission, Awaited | Granted):
        return decision
    scope = permission.scope
    lost = ConsentLost(
        referral_id=referral_id, organisation_id=scope.organisation_id, purpose=scope.purpose, reason=reason
    )
    case = with_permission(case, referral_id, Lost(scope, reason, now))
    decision = more(decision, case, [lost], [lapses_no_more(referral_id)])
    return _invalidate(decision, _live(case, referral_id).values(), reason, now)


def finish(decision: Decision, referral_id: UUID, now: datetime) -> Decision:
    """End quietly what was asked or given for a referral that is over; others know it from the referral."""
    case: Case = decision.state
    permission = case.permissions.get(referral_id)
    if not isinstance(permission, Awaited | Granted):
        return decision
    case = with_permission(case, referral_id, Over(permission.scope, now))
    decision = more(decision, case, timers=[lapses_no_more(referral_id)])
    return _invalidate(decision, _live(case, referral_id).values(), "referral_over", now)


def lapse(case: Case, referral_id: UUID, now: datetime) -> Decision:
    """Stop waiting: who has not answered by now has not permitted it."""
    if not isinstance(case.permissions.get(referral_id), Awaited):
        return Decision(case)
    decision = Decision(case)
    for consent_id in _live(case, referral_id).values():
        consent = case.consents[consent_id]
        if isinstance(consent, Requested):
            decision = _run_out(decision, consent_id, Expired(consent.question, None, now), "requested")
    return lose(decision, referral_id, "lapsed", now)


def expire(case: Case, consent_id: UUID, now: datetime) -> Decision:
    """End a yes whose time is over, and the permission that rests on it."""
    consent = case.consents.get(consent_id)
    if not isinstance(consent, Given) or now < consent.expires_at:
        return Decision(case)
    ended = Expired(consent.question, consent.given, now)
    return lose(
        _run_out(Decision(case), consent_id, ended, "given"), consent.question.referral_id, "expired", now
    )


def _run_out(decision: Decision, consent_id: UUID, ended: Expired, was: str) -> Decision:
    event = ConsentExpired(
        consent_id=consent_id,
        referral_id=ended.question.referral_id,
        holder_id=ended.question.person_id,
        was=was,
    )
    return more(decision, with_consent(decision.state, consent_id, ended), [event])


def _live(case: Case, referral_id: UUID) -> dict[UUID, UUID]:
    """Return the records that still count, by the person they ask."""
    return {
        consent.question.person_id: consent_id
        for consent_id, consent in case.consents.items()
        if isinstance(consent, Requested | Given) and consent.question.referral_id == referral_id
    }


def _invalidate(decision: Decision, consent_ids: Collection[UUID], because: str, now: datetime) -> Decision:
    if not consent_ids:
        return decision
    case: Case = decision.state
    consents, timers = dict(case.consents), []
    for consent_id in consent_ids:
        consent = consents[consent_id]
        answer = consent.given if isinstance(consent, Given) else None
        if answer is not None:
            timers.append(expires_no_more(consent_id))
        consents[consent_id] = Invalidated(consent.question, answer, because, now)
    return more(decision, replace(case, consents=consents), timers=timers)
