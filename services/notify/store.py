"""The notices of cases as rows, for inboxes and figures."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from services.kernel.decider.service import ProjectionWriter, StreamChange, Tx
from services.notify.domain_case import Case, is_visible, role_of

_Notice = tuple[str, UUID, UUID, UUID, str, str, datetime, str, str, datetime | None, bool]
_AFTER_ALL: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Write the notices that a batch has sent, changed or taken back."""
    written: list[_Notice] = []
    taken_back: list[tuple[str, UUID]] = []
    for stream in saved:
        before = _rows(stream, stream.before)
        after = _rows(stream, stream.state)
        written += [row for notice_id, row in after.items() if before.get(notice_id) != row]
        taken_back += [(stream.tenant, notice_id) for notice_id in before if notice_id not in after]
    if written:
        await tx.execute(_WRITE, *map(list, zip(*written, strict=True)))
    if taken_back:
        await tx.execute(_TAKE_BACK, *map(list, zip(*taken_back, strict=True)))


def _rows(stream: StreamChange, state: object) -> dict[UUID, _Notice]:
    if not isinstance(state, Case):
        return {}
    rows: dict[UUID, _Notice] = {}
    for notice_id, notice in state.notices.items():
        news = state.news[notice.news_id]
        rows[notice_id] = (
            stream.tenant,
            notice_id,
            stream.stream_id,
            notice.recipient_id,
            role_of(news),
            news.kind,
            news.at,
            _encode(news.codes).decode(),
            notice.mail,
            notice.read_at,
            is_visible(state, notice),
        )
    return rows


async def inbox(
    tx: Tx,
    *,
    tenant: str,
    recipient_id: UUID,
    role: str,
    unread: bool,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return a page of somebody's notices, newest first; `before` is the last one of the page before."""
    rows = await tx.fetch(_INBOX, tenant, recipient_id, role, unread, *(before or _AFTER_ALL), limit)
    return [{**row, "codes": msgspec.json.decode(row["codes"], type=dict[str, str])} for row in rows]


async def unread(tx: Tx, *, tenant: str, recipient_id: UUID, role: str) -> int:
    """Return how many notices somebody has not read."""
    return int(await tx.fetchval(_UNREAD, tenant, recipient_id, role))


async def case_of(tx: Tx, *, tenant: str, notice_id: UUID) -> UUID | None:
    """Return the case that a notice is about, or None where there is no such notice."""
    found: UUID | None = await tx.fetchval(_CASE, tenant, notice_id)
    return found


async def figures(tx: Tx, *, tenant: str) -> list[dict[str, Any]]:
    """Return how many notices there are of each kind, by how their mail went."""
    return [dict(row) for row in await tx.fetch(_FIGURES, tenant)]


_WRITE: Final = """
insert into notices as old (tenant, notice_id, case_id, recipient_id, role, kind, at, codes, mail, read_at,
                            shown)
select tenant, notice_id, case_id, recipient_id, role, kind, at, codes::jsonb, mail, read_at, shown
from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[],
            $8::text[], $9::text[], $10::timestamptz[], $11::boolean[])
     as n (tenant, notice_id, case_id, recipient_id, role, kind, at, codes, mail, read_at, shown)
on conflict (notice_id) do update
set mail = excluded.mail, read_at = excluded.read_at, shown = excluded.shown
where old.tenant = excluded.tenant
"""

_TAKE_BACK: Final = """
delete from notices using unnest($1::text[], $2::uuid[]) as w (tenant, notice_id)
where notices.notice_id = w.notice_id and notices.tenant = w.tenant
"""

_INBOX: Final = """
select notice_id, case_id, kind, at, codes::text as codes, read_at
from notices
where tenant = $1 and recipient_id = $2 and role = $3 and shown
  and (not $4::boolean or read_at is null)
  and (at, notice_id) < ($5, $6)
order by at desc, notice_id desc
limit $7
"""

_UNREAD: Final = """
select count(*) from notices
where tenant = $1 and recipient_id = $2 and role = $3 and shown and read_at is null
"""

_CASE: Final = """
select case_id from notices where notice_id = $2 and tenant = $1 and shown
"""

_FIGURES: Final = """
select kind, mail, count(*) as notices from notices where tenant = $1 group by kind, mail order by kind, mail
"""
