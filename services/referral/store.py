"""The lists and figures of cases and referrals: ids, codes and dates, written with the streams themselves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from contracts import referral as told
from contracts.event import Event
from services.kernel.decider.service import ProjectionWriter, StreamChange, Tx
from services.referral.domain_past import STEPS, Past, pasts_of
from services.referral.domain_states import (
    Accepted,
    Case,
    Consent,
    Declined,
    Drafted,
    Granted,
    Referral,
    due_of,
    reason_of,
)

Row = tuple[Any, ...]

_LISTED: Final = ("views", "eligibility", "ending", "department_id", "opened_at")
"""What the row of a case is made of; a step that leaves them alone leaves them the same objects."""

# Which time a step sets, one bit each in the order of the columns: a batch may take several steps at once.
_BIT: Final[Mapping[type[Event], int]] = {kind: 1 << step for kind, step in STEPS.items()}


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Write the cases and referrals that have changed, each kind by one statement."""
    moved = [one for one in saved if isinstance(one.state, Case)]
    cases = [row for one in moved for row in _case_rows(one)]
    if cases:
        await tx.execute(_KEEP_CASES, *zip(*cases, strict=True))
    drafts = [row for one in moved for row in _draft_rows(one)]
    if drafts:
        await tx.execute(_KEEP_DRAFTS, *zip(*drafts, strict=True))
    referrals = [row for one in moved for row in _referral_rows(one)]
    if referrals:
        await tx.execute(_MOVE_REFERRALS, *zip(*referrals, strict=True))


async def rebuild(tx: ProjectionWriter, whole: Sequence[StreamChange]) -> None:
    """Write cases and referrals anew, from what the cases hold now and from all that they have said."""
    known = [one for one in whole if isinstance(one.state, Case)]
    if known:
        await tx.execute(_KEEP_CASES, *zip(*(_case_row(one, one.state) for one in known), strict=True))
    rows = [
        _past_row(one, past)
        for one in known
        for past in pasts_of((sent.time, sent.body) for sent in one.events).values()
    ]
    if rows:
        await tx.execute(_WRITE_REFERRALS, *zip(*rows, strict=True))


async def cases_of(
    tx: Tx, *, tenant: str, department_id: UUID | None, status: str | None, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Return a page of a department's cases, newest first, each with its referrals in order."""
    rows = await tx.fetch(_CASES_OF, tenant, department_id, status, before, limit)
    return [dict(row) for row in rows]


async def inbox(
    tx: Tx, *, tenant: str, organisation_id: UUID | None, now: datetime, after: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Return a page of what an organisation was sent and may still read, or must still delete."""
    rows = await tx.fetch(_INBOX, tenant, organisation_id, now, after, limit)
    return [dict(row) for row in rows]


async def case_counts(tx: Tx, *, tenant: str) -> list[dict[str, Any]]:
    """Return how many cases of a municipality stand where, and why they were closed."""
    return [dict(row) for row in await tx.fetch(_CASE_COUNTS, tenant)]


async def referral_counts(tx: Tx, *, tenant: str) -> list[dict[str, Any]]:
    """Return how many referrals of a municipality stand where, and why they ended."""
    return [dict(row) for row in await tx.fetch(_REFERRAL_COUNTS, tenant)]


async def pace(tx: Tx, *, tenant: str) -> dict[str, Any]:
    """Return the median duration of each step, and how many answers came, how many of them in time."""
    row = await tx.fetchrow(_PACE, tenant)
    return dict(row or {})


def _case_rows(one: StreamChange) -> list[Row]:
    case, before = one.state, one.before
    if isinstance(before, Case) and all(getattr(before, part) is getattr(case, part) for part in _LISTED):
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
    return one.stream_id, one.tenant, case.department_id, status, reason, case.opened_at


def _draft_rows(one: StreamChange) -> list[Row]:
    rows: list[Row] = []
    for sent in one.events:
        body = sent.body
        if isinstance(body, told.ReferralDrafted):
            rows.append((
                body.referral_id, one.tenant, one.stream_id, body.organisation_id, body.offer_id, sent.time,
            ))  # fmt: skip
    return rows


def _referral_rows(one: StreamChange) -> list[Row]:
    case: Case = one.state
    referrals, consents = _known_before(one)
    steps, at = _steps(one)
    rows: list[Row] = []
    for referral_id, referral in case.referrals.items():
        consent = case.consents.get(referral_id)
        if referrals.get(referral_id) is referral and consents.get(referral_id) is consent:
            continue
        if isinstance(referral, Drafted):
            continue
        rows.append((
            referral_id, referral.__struct_config__.tag, reason_of(referral), due_of(referral),
            _until(consent), _in_time(referral), steps.get(referral_id, 0), at,
        ))  # fmt: skip
    return rows


def _past_row(one: StreamChange, past: Past) -> Row:
    case: Case = one.state
    referral_id = past.drafted.referral_id
    referral = case.referrals[referral_id]
    in_time = _in_time(referral)
    return (
        referral_id, one.tenant, one.stream_id, past.drafted.organisation_id, past.drafted.offer_id,
        referral.__struct_config__.tag, reason_of(referral), due_of(referral),
        _until(case.consents.get(referral_id)), past.in_time if in_time is None else in_time,
        past.drafted_at, *past.taken_at,
    )  # fmt: skip


def _known_before(one: StreamChange) -> tuple[Mapping[UUID, Referral], Mapping[UUID, Consent]]:
    before = one.before
    return (before.referrals, before.consents) if isinstance(before, Case) else ({}, {})


def _steps(one: StreamChange) -> tuple[Mapping[UUID, int], datetime | None]:
    """Return the steps that each referral has just taken, and when: what is saved together has one time."""
    steps: dict[UUID, int] = {}
    at = None
    for sent in one.events:
        bit = _BIT.get(type(sent.body)) if sent.body else None
        if bit:
            at = sent.time
            referral_id: UUID = sent.body.referral_id  # type: ignore[union-attr]  # each of these names one
            steps[referral_id] = steps.get(referral_id, 0) | bit
    return steps, at


def _until(consent: Consent | None) -> datetime | None:
    return consent.until if isinstance(consent, Granted) else None


def _in_time(referral: Referral) -> bool | None:
    return referral.in_time if isinstance(referral, Accepted | Declined) else None


_KEEP_CASES: Final = """
insert into cases (case_id, tenant, department_id, status, reason, opened_at)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[])
on conflict (case_id) do update set status = excluded.status, reason = excluded.reason
"""

_KEEP_DRAFTS: Final = """
insert into referrals (referral_id, tenant, case_id, organisation_id, offer_id, status, drafted_at)
select referral_id, tenant, case_id, organisation_id, offer_id, 'drafted', drafted_at
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[])
     as n (referral_id, tenant, case_id, organisation_id, offer_id, drafted_at)
"""

# A step is taken once: the first time that is known of it stays.
_MOVE_REFERRALS: Final = """
update referrals r
set status = n.status, reason = n.reason, due_on = n.due_on, consent_until = n.consent_until,
    in_time = coalesce(r.in_time, n.in_time),
    awaited_at = coalesce(r.awaited_at, case when n.steps & 1 <> 0 then n.at end),
    ready_at = coalesce(r.ready_at, case when n.steps & 2 <> 0 then n.at end),
    sent_at = coalesce(r.sent_at, case when n.steps & 4 <> 0 then n.at end),
    seen_at = coalesce(r.seen_at, case when n.steps & 8 <> 0 then n.at end),
    answered_at = coalesce(r.answered_at, case when n.steps & 16 <> 0 then n.at end),
    under_way_at = coalesce(r.under_way_at, case when n.steps & 32 <> 0 then n.at end),
    over_at = coalesce(r.over_at, case when n.steps & 64 <> 0 then n.at end),
    deleted_at = coalesce(r.deleted_at, case when n.steps & 128 <> 0 then n.at end)
from unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::timestamptz[], $6::boolean[], $7::integer[],
            $8::timestamptz[])
     as n (referral_id, status, reason, due_on, consent_until, in_time, steps, at)
where r.referral_id = n.referral_id
"""

_WRITE_REFERRALS: Final = """
insert into referrals (referral_id, tenant, case_id, organisation_id, offer_id, status, reason, due_on,
                       consent_until, in_time, drafted_at, awaited_at, ready_at, sent_at, seen_at,
                       answered_at, under_way_at, over_at, deleted_at)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
                     $8::date[], $9::timestamptz[], $10::boolean[], $11::timestamptz[], $12::timestamptz[],
                     $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
                     $17::timestamptz[], $18::timestamptz[], $19::timestamptz[])
on conflict do nothing
"""

_CASES_OF: Final = """
select c.case_id, s.version, c.status, c.reason, c.opened_at, r.referral_ids, r.statuses, r.due
from cases c
join streams s on s.stream_id = c.case_id and s.tenant = c.tenant
cross join lateral (
  select array_agg(referral_id order by referral_id) as referral_ids,
         array_agg(status order by referral_id) as statuses,
         array_agg(due_on order by referral_id) as due
  from referrals where case_id = c.case_id
) r
where c.tenant = $1 and c.department_id = $2
  and ($3::text is null or c.status = $3 or $3 = any (r.statuses))
  and ($4::uuid is null or c.case_id < $4)
order by c.case_id desc
limit $5
"""

_INBOX: Final = """
select r.case_id, s.version, r.referral_id, r.offer_id, r.status, r.due_on, r.sent_at
from referrals r
join streams s on s.stream_id = r.case_id and s.tenant = r.tenant
where r.tenant = $1 and r.organisation_id = $2 and r.sent_at is not null
  and (r.status in ('sent', 'seen', 'accepted', 'under_way') and r.consent_until > $3
       or r.status in ('recalled', 'withdrawn') and r.deleted_at is null)
  and ($4::uuid is null or r.referral_id > $4)
order by r.referral_id
limit $5
"""

_CASE_COUNTS: Final = """
select status, reason, count(*) as count from cases
where tenant = $1
group by status, reason
order by status, reason
"""

_REFERRAL_COUNTS: Final = """
select status, reason, count(*) as count from referrals
where tenant = $1
group by status, reason
order by status, reason
"""

# A step that was not taken is no number, and the median passes over it.
_PACE: Final = """
select percentile_cont(0.5) within group (order by awaited_at - drafted_at) as drafted,
       percentile_cont(0.5) within group (order by ready_at - awaited_at) as awaiting_consent,
       percentile_cont(0.5) within group (order by sent_at - ready_at) as ready,
       percentile_cont(0.5) within group (order by seen_at - sent_at) as sent,
       percentile_cont(0.5) within group (order by answered_at - sent_at) as answer,
       percentile_cont(0.5) within group (order by under_way_at - answered_at) as accepted,
       count(*) filter (where sent_at is not null) as asked,
       count(answered_at) as answered,
       count(*) filter (where in_time) as answered_in_time
from referrals
where tenant = $1
"""
