"""Projection of cases and referrals into tables: ids, codes and dates, written with the streams."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias, assert_never
from uuid import UUID

from contracts import referral as events
from contracts.event import Event
from services.kernel.decider.service import ProjectionWriter, StreamChange
from services.referral.domain.deadlines import waiting
from services.referral.domain.states import (
    Accepted,
    AwaitingConsent,
    Case,
    Closed,
    Consent,
    Declined,
    Drafted,
    Expected,
    Expired,
    Municipality,
    Offer,
    Organisation,
    Ready,
    Recalled,
    Referral,
    Seen,
    Sent,
    State,
    UnderWay,
    Withdrawn,
)
from services.referral.projections.referral_history import STEPS, ReferralHistory, histories_of

Row: TypeAlias = tuple[Any, ...]

_LISTED: Final = ("views", "eligibility", "ending", "department_id", "opened_at")
"""What the row of a case is made of; a step that leaves them alone leaves them the same objects."""

_NO_REFERRALS: Final[Mapping[UUID, Referral]] = {}
_NO_CONSENTS: Final[Mapping[UUID, Consent]] = {}

# Which time a step sets, one bit each in the order of the columns: a batch may take several steps at once.
_BIT: Final[Mapping[type[Event], int]] = {kind: 1 << step for kind, step in STEPS.items()}


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Write the cases and referrals that have changed, each kind by one statement."""
    changed = [(one, case) for one in saved if (case := _case_of(one.state))]
    cases = [row for one, case in changed for row in _case_rows(one, case)]
    if cases:
        await tx.execute(_UPSERT_CASES, *zip(*cases, strict=True))
    drafts = [row for one, _ in changed for row in _draft_rows(one)]
    if drafts:
        await tx.execute(_INSERT_DRAFTS, *zip(*drafts, strict=True))
    referrals = [row for one, case in changed for row in _referral_rows(one, case)]
    if referrals:
        await tx.execute(_UPDATE_REFERRALS, *zip(*referrals, strict=True))


async def rebuild(tx: ProjectionWriter, whole: Sequence[StreamChange]) -> None:
    """Write cases and referrals anew, from the states of the cases and all their events."""
    cases = [(one, case) for one in whole if (case := _case_of(one.state))]
    if cases:
        await tx.execute(_UPSERT_CASES, *zip(*(_case_row(one, case) for one, case in cases), strict=True))
    rows = [
        _history_row(one, case, history)
        for one, case in cases
        for history in histories_of((recorded.time, recorded.body) for recorded in one.events).values()
    ]
    if rows:
        await tx.execute(_INSERT_REFERRALS, *zip(*rows, strict=True))


def _case_of(state: State | None) -> Case | None:
    """Return the case that a stream holds; None where it holds something else, which has no rows."""
    match state:
        case Case():
            return state
        case Expected() | Offer() | Organisation() | Municipality() | None:
            return None
        case _:
            assert_never(state)


def _case_rows(one: StreamChange, case: Case) -> list[Row]:
    before = _case_of(one.before)
    if before and all(getattr(before, part) is getattr(case, part) for part in _LISTED):
        return []
    return [_case_row(one, case)]


def _case_row(one: StreamChange, case: Case) -> Row:
    if case.ending:
        status = "closed"
    elif case.eligibility:
        status = "eligible" if case.eligibility.eligible else "not_eligible"
    else:
        status = "views_noted" if case.views else "opened"
    reason = case.ending.reason if case.ending else ""
    return one.stream_id, one.tenant, case.child_id, case.department_id, status, reason, case.opened_at


def _draft_rows(one: StreamChange) -> list[Row]:
    rows: list[Row] = []
    for recorded in one.events:
        body = recorded.body
        if type(body) is events.ReferralDrafted:  # isinstance is slow for the classes of events
            rows.append((
                body.referral_id, one.tenant, one.stream_id, body.organisation_id, body.offer_id,
                recorded.metadata.time,
            ))  # fmt: skip
    return rows


def _referral_rows(one: StreamChange, case: Case) -> list[Row]:
    before = _case_of(one.before)
    referrals, consents = (before.referrals, before.consents) if before else (_NO_REFERRALS, _NO_CONSENTS)
    steps, at = _steps(one)
    rows: list[Row] = []
    for referral_id, referral in case.referrals.items():
        consent = case.consents.get(referral_id)
        if referrals.get(referral_id) is referral and consents.get(referral_id) is consent:
            continue
        match referral:
            case Drafted():  # its row is written from its event
                continue
            case (
                AwaitingConsent()
                | Ready()
                | Sent()
                | Seen()
                | Accepted()
                | UnderWay()
                | Closed()
                | Declined()
                | Recalled()
                | Withdrawn()
                | Expired()
            ):
                rows.append((
                    one.tenant, referral_id, *_columns(referral, consent), steps.get(referral_id, 0), at,
                ))  # fmt: skip
            case _:
                assert_never(referral)
    return rows


def _history_row(one: StreamChange, case: Case, history: ReferralHistory) -> Row:
    drafted = history.drafted
    referral_id = drafted.referral_id
    return (
        referral_id, one.tenant, one.stream_id, drafted.organisation_id, drafted.offer_id,
        *_columns(case.referrals[referral_id], case.consents.get(referral_id)),
        history.drafted_at, *history.taken_at,
    )  # fmt: skip


def _columns(referral: Referral, consent: Consent | None) -> Row:
    """Return status, reason, day, end of the consent, and punctuality: what the state says by itself."""
    wait = waiting(referral)
    return (
        referral.__struct_config__.tag, referral.reason, wait.until if wait else None,
        consent.until if consent else None, referral.in_time,
    )  # fmt: skip


def _steps(one: StreamChange) -> tuple[Mapping[UUID, int], datetime | None]:
    """Return the steps that each referral has just taken, and when: what is saved together has one time."""
    steps: dict[UUID, int] = {}
    at = None
    for recorded in one.events:
        bit = _BIT.get(type(recorded.body)) if recorded.body else None
        if bit:
            at = recorded.metadata.time
            referral_id: UUID = recorded.body.referral_id  # type: ignore[union-attr]  # each of these names one
            steps[referral_id] = steps.get(referral_id, 0) | bit
    return steps, at


_UPSERT_CASES: Final = """
insert into cases (case_id, tenant, child_id, department_id, status, reason, opened_at)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                     $7::timestamptz[])
on conflict (tenant, case_id) do update set status = excluded.status, reason = excluded.reason
"""

_INSERT_DRAFTS: Final = """
insert into referrals (referral_id, tenant, case_id, organisation_id, offer_id, status, drafted_at)
select referral_id, tenant, case_id, organisation_id, offer_id, 'drafted', drafted_at
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[])
     as n (referral_id, tenant, case_id, organisation_id, offer_id, drafted_at)
"""

# A step is taken once: its first time stays.
_UPDATE_REFERRALS: Final = """
update referrals r
set status = n.status, reason = n.reason, due_on = n.due_on, consent_until = n.consent_until,
    in_time = n.in_time,
    awaited_at = coalesce(r.awaited_at, case when n.steps & 1 <> 0 then n.at end),
    ready_at = coalesce(r.ready_at, case when n.steps & 2 <> 0 then n.at end),
    sent_at = coalesce(r.sent_at, case when n.steps & 4 <> 0 then n.at end),
    seen_at = coalesce(r.seen_at, case when n.steps & 8 <> 0 then n.at end),
    answered_at = coalesce(r.answered_at, case when n.steps & 16 <> 0 then n.at end),
    under_way_at = coalesce(r.under_way_at, case when n.steps & 32 <> 0 then n.at end),
    over_at = coalesce(r.over_at, case when n.steps & 64 <> 0 then n.at end),
    deleted_at = coalesce(r.deleted_at, case when n.steps & 128 <> 0 then n.at end)
from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::date[], $6::timestamptz[], $7::boolean[],
            $8::integer[], $9::timestamptz[])
     as n (tenant, referral_id, status, reason, due_on, consent_until, in_time, steps, at)
where r.tenant = n.tenant and r.referral_id = n.referral_id
"""

_INSERT_REFERRALS: Final = """
insert into referrals (referral_id, tenant, case_id, organisation_id, offer_id, status, reason, due_on,
                       consent_until, in_time, drafted_at, awaited_at, ready_at, sent_at, seen_at,
                       answered_at, under_way_at, over_at, deleted_at)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
                     $8::date[], $9::timestamptz[], $10::boolean[], $11::timestamptz[], $12::timestamptz[],
                     $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
                     $17::timestamptz[], $18::timestamptz[], $19::timestamptz[])
on conflict do nothing
"""
