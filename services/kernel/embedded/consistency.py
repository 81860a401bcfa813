"""Hold the services against each other: nothing pending, nothing parked, no sequence with a hole."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from contracts.event import SERVICES
from services.kernel.ids import StreamKey
from services.kernel.runtime.runtime import Runtime


class ServiceCheck(BaseModel):
    """State of one service; `behind` counts, by source, the streams not consumed to their end."""

    streams: int
    events: int
    pending: int
    parked: int
    effects_waiting: int
    timers_overdue: int
    sequences_broken: int
    behind: dict[str, int]


class Checks(BaseModel):
    """The state of the whole, and whether it is sound."""

    consistent: bool
    services: dict[str, ServiceCheck]


async def check_all(runtimes: Mapping[str, Runtime]) -> Checks:
    """Check every service that runs here."""
    reached = {name: await _reached(runtime) for name, runtime in runtimes.items()}
    found = {name: await _check(runtime, reached) for name, runtime in runtimes.items()}
    sound = all(
        not (
            one.pending
            or one.parked
            or one.effects_waiting
            or one.sequences_broken
            or any(one.behind.values())
        )
        for one in found.values()
    )
    return Checks(consistent=sound, services=found)


async def _reached(runtime: Runtime) -> dict[StreamKey, int]:
    rows = await runtime.pool.fetch("select tenant, stream_id, seq from streams where seq > 0")
    return {(row["tenant"], row["stream_id"]): row["seq"] for row in rows}


async def _check(runtime: Runtime, reached: Mapping[str, Mapping[StreamKey, int]]) -> ServiceCheck:
    row: Any = await runtime.pool.fetchrow(_COUNTS, runtime.clock.now())
    service = runtime.service
    sources = (frozenset(SERVICES) if service.subscribes_to_all else service.sources) & reached.keys()
    behind = {}
    for source in sorted(sources):
        rows = await runtime.pool.fetch(_MARKS, source)
        marks = {(mark["tenant"], mark["stream_id"]): mark["seq"] for mark in rows}
        behind[source] = sum(marks.get(stream, 0) != seq for stream, seq in reached[source].items())
    return ServiceCheck(**dict(row), behind=behind)


_COUNTS: Final = """
select
  (select count(*) from streams where state is not null) as streams,
  (select count(*) from event_log) as events,
  (select coalesce(sum(cardinality(ids)), 0)::bigint from pending) as pending,
  (select count(*) from parked_events) as parked,
  (select count(*) from effects where done_at is null) as effects_waiting,
  (select count(*) from timers where due_at <= $1) as timers_overdue,
  (select count(*) from streams s
   left join (
     select tenant, stream_id, count(*) as logged, max(seq) as last from event_log group by tenant, stream_id
   ) l on l.tenant = s.tenant and l.stream_id = s.stream_id
   where s.seq <> coalesce(l.logged, 0) or s.seq <> coalesce(l.last, 0)) as sequences_broken
"""

_MARKS: Final = """
select tenant, stream_id, (marks -> $1::text ->> 0)::bigint as seq from streams where marks ? $1::text
"""
