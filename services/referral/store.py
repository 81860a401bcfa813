"""The lists and figures of cases and referrals: ids, codes and dates, written with the streams themselves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from contracts import referral as told
from contracts.event import Event
from services.kernel.service import Saved, Tx
from services.referral.domain_states import (
    Accepted,
    Case,
    Consent,
    Declined,
    Granted,
    Referral,
    due_of,
    reason_of,
)

Row = tuple[Any, ...]

_TIMES: Final = (
    "drafted_at",
    "awaited_at",
    "ready_at",
    "sent_at",
    "seen_at",
    "answered_at",
    "under_way_at",
    "over_at",
    "deleted_at",
)
_TIME_OF: Final[Mapping[type[Event], str]] = {
    told.ReferralDrafted: "drafted_at",
    told.ConsentAwaited: "awaited_at",
    told.ReferralReady: "ready_at",
    told.ReferralSent: "sent_at",
    told.ReferralSeen: "seen_at",
    told.ReferralAccepted: "answered_at",
    told.ReferralDeclined: "answered_at",
    told.ReferralUnderWay: "under_way_at",
    told.ReferralClosed: "over_at",
    told.ReferralRecalled: "over_at",
    told.ReferralWithdrawn: "over_at",
    told.ReferralExpired: "over_at",
    told.DeletionConfirmed: "deleted_at",
}


async def project(tx: Tx, saved: Sequence[Saved]) -> None:
    """Write the cases and referrals that have changed, each kind by one statement."""
    moved = [one for one in saved if isinstance(one.state, Case)]
    cases = [row for one in moved for row in _case_rows(one)]
    if cases:
        await tx.execute(_KEEP_CASES, *zip(*cases, strict=True))
    referrals = [row for one in moved for row in _referral_rows(one)]
    if referrals:
        await tx.execute(_KEEP_REFERRALS, *zip(*referrals, strict=True))


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


def _case_rows(one: Saved) -> list[Row]:
    row = _case_row(one, one.state)
    if isinstance(one.before, Case) and _case_row(one, one.before) == row:
        return []
    return [row]


def _case_row(one: Saved, case: Case) -> Row:
    if case.ending:
        status = "closed"
    elif case.eligibility:
        status = "eligible" if case.eligibility.eligible else "not_eligible"
    else:
        status = "views_noted" if case.views else "opened"
    reason = case.ending.reason if case.ending else ""
    return one.stream_id, one.tenant, case.department_id, status, reason, case.opened_at


def _referral_rows(one: Saved) -> list[Row]:
    case: Case = one.state
    before = one.before if isinstance(one.before, Case) else None
    times = _times(one)
    rows: list[Row] = []
    for referral_id, referral in case.referrals.items():
        consent = case.consents.get(referral_id)
        if (
            before
            and before.referrals.get(referral_id) == referral
            and before.consents.get(referral_id) == consent
        ):
            continue
        at = times.get(referral_id, {})
        rows.append((
            referral_id, one.tenant, one.stream_id, referral.plan.organisation_id, referral.plan.offer_id,
            referral.__struct_config__.tag, reason_of(referral), due_of(referral), _until(consent),
            _in_time(referral), *(at.get(name) for name in _TIMES),
        ))  # fmt: skip
    return rows


def _times(one: Saved) -> dict[UUID, dict[str, datetime]]:
    """Return when each referral took the steps that were just saved."""
    times: dict[UUID, dict[str, datetime]] = {}
    for sent in one.events:
        name = _TIME_OF.get(type(sent.body)) if sent.body else None
        if name:
            times.setdefault(sent.body.referral_id, {})[name] = sent.time  # type: ignore[union-attr]  # each of these names its referral
    return times


def _until(consent: Consent | None) -> datetime | None:
    return consent.until if isinstance(consent, Granted) else None


def _in_time(referral: Referral) -> bool | None:
    return referral.in_time if isinstance(referral, Accepted | Declined) else None


_KEEP_CASES: Final = """
insert into cases (case_id, tenant, department_id, status, reason, opened_at)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[])
on conflict (case_id) do update set status = excluded.status, reason = excluded.reason
"""

# A step is taken once: the first time that is known of it stays.
_KEEP_REFERRALS: Final = """
insert into referrals as old (
  referral_id, tenant, case_id, organisation_id, offer_id, status, reason, due_on, consent_until, in_time,
  drafted_at, awaited_at, ready_at, sent_at, seen_at, answered_at, under_way_at, over_at, deleted_at)
select * from unnest(
  $1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::date[],
  $9::timestamptz[], $10::boolean[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
  $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[],
  $19::timestamptz[])
on conflict (referral_id) do update
set status = excluded.status, reason = excluded.reason, due_on = excluded.due_on,
    consent_until = excluded.consent_until, in_time = coalesce(old.in_time, excluded.in_time),
    awaited_at = coalesce(old.awaited_at, excluded.awaited_at),
    ready_at = coalesce(old.ready_at, excluded.ready_at),
    sent_at = coalesce(old.sent_at, excluded.sent_at),
    seen_at = coalesce(old.seen_at, excluded.seen_at),
    answered_at = coalesce(old.answered_at, excluded.answered_at),
    under_way_at = coalesce(old.under_way_at, excluded.under_way_at),
    over_at = coalesce(old.over_at, excluded.over_at),
    deleted_at = coalesce(old.deleted_at, excluded.deleted_at)
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
