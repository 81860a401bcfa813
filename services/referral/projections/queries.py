"""Queries on cases and referrals: lists, the inbox of an organisation, and figures."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.kernel.decider.service import QueryConnection


async def cases_of(
    tx: QueryConnection,
    *,
    tenant: str,
    department_id: UUID | None,
    status: str | None,
    before: UUID | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return some of a department's cases, newest first, each with its referrals in order."""
    rows = await tx.fetch(_CASES_OF, tenant, department_id, status, before, limit)
    return [dict(row) for row in rows]


async def knows_child(tx: QueryConnection, *, tenant: str, child_id: UUID) -> bool:
    """Return whether a municipality has had a case about a child."""
    return bool(await tx.fetchval(_KNOWS_CHILD, tenant, child_id))


async def inbox(
    tx: QueryConnection,
    *,
    tenant: str,
    organisation_id: UUID | None,
    now: datetime,
    after: UUID | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return some of what an organisation was sent and may still read, or must still delete."""
    rows = await tx.fetch(_INBOX, tenant, organisation_id, now, after, limit)
    return [dict(row) for row in rows]


async def case_counts(tx: QueryConnection, *, tenant: str) -> list[dict[str, Any]]:
    """Return how many cases of how many children have which status, and why they were closed."""
    return [dict(row) for row in await tx.fetch(_CASE_COUNTS, tenant)]


async def referral_counts(tx: QueryConnection, *, tenant: str) -> list[dict[str, Any]]:
    """Return how many referrals of how many cases have which status, and why they ended."""
    return [dict(row) for row in await tx.fetch(_REFERRAL_COUNTS, tenant)]


async def pace(tx: QueryConnection, *, tenant: str) -> list[dict[str, Any]]:
    """Return the median days of each step, and of how many cases it is."""
    return [dict(row) for row in await tx.fetch(_PACE, tenant)]


async def answers(tx: QueryConnection, *, tenant: str) -> list[dict[str, Any]]:
    """Return how many referrals of how many cases were sent, answered, and answered in time."""
    return [dict(row) for row in await tx.fetch(_ANSWERS, tenant)]


_CASES_OF: Final = """
select c.case_id, s.version, c.status, c.reason, c.opened_at, r.referral_ids, r.statuses, r.due
from cases c
join streams s on s.tenant = c.tenant and s.stream_id = c.case_id
cross join lateral (
  select array_agg(referral_id order by referral_id) as referral_ids,
         array_agg(status order by referral_id) as statuses,
         array_agg(due_on order by referral_id) as due
  from referrals where tenant = c.tenant and case_id = c.case_id
) r
where c.tenant = $1 and c.department_id = $2
  and ($3::text is null or c.status = $3 or $3 = any (r.statuses))
  and ($4::uuid is null or c.case_id < $4)
order by c.case_id desc
limit $5
"""

_KNOWS_CHILD: Final = "select exists (select from cases where tenant = $1 and child_id = $2)"

_INBOX: Final = """
select r.case_id, s.version, r.referral_id, r.offer_id, r.status, r.due_on, r.sent_at
from referrals r
join streams s on s.tenant = r.tenant and s.stream_id = r.case_id
where r.tenant = $1 and r.organisation_id = $2 and r.sent_at is not null
  and (r.status in ('sent', 'seen', 'accepted', 'under_way') and r.consent_until > $3
       or r.status in ('recalled', 'withdrawn') and r.deleted_at is null)
  and ($4::uuid is null or r.referral_id > $4)
order by r.referral_id
limit $5
"""

_CASE_COUNTS: Final = """
select status, reason, count(*) as count, count(distinct child_id) as people from cases
where tenant = $1
group by status, reason
order by status, reason
"""

_REFERRAL_COUNTS: Final = """
select status, reason, count(*) as count, count(distinct case_id) as people from referrals
where tenant = $1
group by status, reason
order by status, reason
"""

# A step that was not taken is no number, and the median passes over it.
_PACE: Final = """
select step, extract(epoch from percentile_cont(0.5) within group (order by lasted))::float8 / 86400 as days,
       count(distinct case_id) filter (where lasted is not null) as people
from referrals cross join lateral (values
  ('drafted', awaited_at - drafted_at),
  ('awaiting_consent', ready_at - awaited_at),
  ('ready', sent_at - ready_at),
  ('sent', seen_at - sent_at),
  ('answer', answered_at - sent_at),
  ('accepted', under_way_at - answered_at)
) as steps (step, lasted)
where tenant = $1
group by step
"""

_ANSWERS: Final = """
select name, count(*) filter (where so) as count, count(distinct case_id) filter (where so) as people
from referrals cross join lateral (values
  ('asked', sent_at is not null),
  ('answered', answered_at is not null),
  ('answered_in_time', coalesce(in_time, false))
) as answers (name, so)
where tenant = $1
group by name
"""
