"""Projection of the notify service: the table of notices, and the queries of inboxes and figures."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, assert_never
from uuid import UUID

import msgspec

from services.kernel.decider.service import ProjectionWriter, QueryConnection, StreamChange
from services.notify.domain.states import (
    Case,
    Delivered,
    Failed,
    InboxOnly,
    Mail,
    Parties,
    Queued,
    Read,
    Reading,
    Recipient,
    Spared,
    State,
    Unread,
)

_Row = tuple[str, UUID, UUID, UUID, str, str, datetime, str, str, datetime | None, bool]
_END: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


async def project(tx: ProjectionWriter, changes: Sequence[StreamChange]) -> None:
    """Write the notices that a batch has sent or changed, delete those taken back, and write new contacts."""
    written: list[_Row] = []
    deleted: list[tuple[str, UUID]] = []
    contacts: list[tuple[str, UUID, UUID]] = []
    for change in changes:
        before = _rows(change, change.before)
        after = _rows(change, change.state)
        written += [row for notice_id, row in after.items() if before.get(notice_id) != row]
        deleted += [(change.tenant, notice_id) for notice_id in before if notice_id not in after]
        contacts += _contact_rows(change)
    if written:
        await tx.execute(_WRITE, *map(list, zip(*written, strict=True)))
    if deleted:
        await tx.execute(_DELETE, *map(list, zip(*deleted, strict=True)))
    if contacts:
        await tx.execute(_WRITE_CONTACTS, *map(list, zip(*contacts, strict=True)))


def _contact_rows(change: StreamChange) -> list[tuple[str, UUID, UUID]]:
    """Return which stream says how a recipient is reached, where it is new."""
    state: State | None = change.state
    match state:
        case Recipient(recipient_id=recipient_id):
            return [(change.tenant, recipient_id, change.stream_id)] if change.before is None else []
        case None | Case() | Parties():
            return []
        case _:
            assert_never(state)


def _rows(change: StreamChange, state: State | None) -> dict[UUID, _Row]:
    match state:
        case Case():
            return {notice_id: _row(change, state, notice_id) for notice_id in state.notices}
        case None | Recipient() | Parties():
            return {}
        case _:
            assert_never(state)


def _row(change: StreamChange, case: Case, notice_id: UUID) -> _Row:
    notice = case.notices[notice_id]
    notification = case.notification_of(notice)
    return (
        change.tenant,
        notice_id,
        change.stream_id,
        notice.recipient_id,
        notification.role,
        notification.kind,
        notification.at,
        _encode(notification.codes).decode(),
        _mail(notice.mail),
        _read_at(notice.reading),
        case.is_visible(notice),
    )


def _mail(mail: Mail) -> str:
    match mail:
        case Queued():
            return "queued"
        case Delivered():
            return "delivered"
        case Failed():
            return "failed"
        case InboxOnly():
            return "inbox"
        case Spared():
            return "spared"
        case _:
            assert_never(mail)


def _read_at(reading: Reading) -> datetime | None:
    match reading:
        case Unread():
            return None
        case Read():
            return reading.at
        case _:
            assert_never(reading)


async def inbox(
    tx: QueryConnection,
    *,
    tenant: str,
    recipient_ids: Sequence[UUID],
    roles: Sequence[str],
    unread: bool,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return a page of the notices of some inboxes, newest first; `before` is the last of the page before."""
    rows = await tx.fetch(_INBOX, tenant, recipient_ids, roles, unread, *(before or _END), limit)
    return [{**row, "codes": msgspec.json.decode(row["codes"], type=dict[str, str])} for row in rows]


async def unread(
    tx: QueryConnection, *, tenant: str, recipient_ids: Sequence[UUID], roles: Sequence[str]
) -> int:
    """Return how many notices of some inboxes were not read."""
    return int(await tx.fetchval(_UNREAD, tenant, recipient_ids, roles))


async def contact_of(tx: QueryConnection, *, tenant: str, recipient_id: UUID) -> UUID | None:
    """Return the stream that says how a recipient is reached, or None where that is not on record."""
    found: UUID | None = await tx.fetchval(_CONTACT, tenant, recipient_id)
    return found


async def case_of(tx: QueryConnection, *, tenant: str, notice_id: UUID) -> UUID | None:
    """Return the case that a notice is about, or None where there is no such notice."""
    found: UUID | None = await tx.fetchval(_CASE, tenant, notice_id)
    return found


async def figures(tx: QueryConnection, *, tenant: str) -> list[dict[str, Any]]:
    """Return how many notices of how many cases there are of each kind, and by the outcome of their mail."""
    return [dict(row) for row in await tx.fetch(_FIGURES, tenant)]


async def mails_waiting(tx: QueryConnection, *, tenant: str, limit: int) -> list[dict[str, Any]]:
    """Return the mails that are not sent yet, the oldest first: cases, attempts and times."""
    return [dict(row) for row in await tx.fetch(_MAILS_WAITING, tenant, limit)]


async def mails_refused(tx: QueryConnection, *, tenant: str, limit: int) -> list[dict[str, Any]]:
    """Return the notices whose mail was refused for good, the latest first."""
    return [dict(row) for row in await tx.fetch(_MAILS_REFUSED, tenant, limit)]


_WRITE: Final = """
insert into notices (tenant, notice_id, case_id, recipient_id, role, kind, at, codes, mail, read_at,
                            shown)
select tenant, notice_id, case_id, recipient_id, role, kind, at, codes::jsonb, mail, read_at, shown
from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[],
            $8::text[], $9::text[], $10::timestamptz[], $11::boolean[])
     as n (tenant, notice_id, case_id, recipient_id, role, kind, at, codes, mail, read_at, shown)
on conflict (tenant, notice_id) do update
set mail = excluded.mail, read_at = excluded.read_at, shown = excluded.shown
"""

_DELETE: Final = """
delete from notices using unnest($1::text[], $2::uuid[]) as w (tenant, notice_id)
where notices.tenant = w.tenant and notices.notice_id = w.notice_id
"""

# Each inbox is read by the index, at most one page of it.
_INBOX: Final = """
select found.*
from unnest($2::uuid[], $3::text[]) as mine (recipient_id, role)
cross join lateral (
  select n.notice_id, n.case_id, n.role, n.kind, n.at, n.codes::text as codes, n.read_at
  from notices n
  where n.tenant = $1 and n.recipient_id = mine.recipient_id and n.role = mine.role and n.shown
    and (not $4::boolean or n.read_at is null)
    and (n.at, n.notice_id) < ($5, $6)
  order by n.at desc, n.notice_id desc
  limit $7
) as found
order by found.at desc, found.notice_id desc
limit $7
"""

_UNREAD: Final = """
select count(*)
from unnest($2::uuid[], $3::text[]) as mine (recipient_id, role)
join notices n on n.tenant = $1 and n.recipient_id = mine.recipient_id and n.role = mine.role
where n.shown and n.read_at is null
"""

_CONTACT: Final = """
select contact_id from contacts where tenant = $1 and recipient_id = $2
"""

# Of two first ones at the same time the later one holds.
_WRITE_CONTACTS: Final = """
insert into contacts (tenant, recipient_id, contact_id)
select * from unnest($1::text[], $2::uuid[], $3::uuid[])
on conflict (tenant, recipient_id) do update set contact_id = excluded.contact_id
"""

_CASE: Final = """
select case_id from notices where tenant = $1 and notice_id = $2 and shown
"""

_FIGURES: Final = """
select kind, mail, count(*) as notices, count(distinct case_id) as cases
from notices where tenant = $1
group by grouping sets ((kind), (mail)) order by kind, mail
"""

_MAILS_WAITING: Final = """
select stream_id as case_id, attempts, created_at, due_at
from effects where done_at is null and tenant = $1 and kind = 'mail' order by due_at limit $2
"""

_MAILS_REFUSED: Final = """
select case_id, notice_id, kind, at from notices
where tenant = $1 and mail = 'failed' order by at desc, notice_id limit $2
"""
