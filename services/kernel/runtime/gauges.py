"""Gauges of one service's database, refreshed every few seconds; every count is bounded."""

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any, Final

import msgspec

from services.kernel import metrics
from services.kernel.clock import wall_time
from services.kernel.decider.service import Service
from services.kernel.errors import Poison
from services.kernel.postgres.connections import Pool
from services.kernel.streams.parked import WAITING_ORDER

_PATIENCE_SECONDS: Final = 4.0
_MOST: Final = 10_000
"""Counts end at so many rows, those of parked events at so many of each municipality."""

_OUTCOMES: Final = ("done", "retried")


class DatabaseGauges:
    """Gauges that are read from one service's database."""

    def __init__(self, service: Service, pool: Pool, *, watermark_partitions: int) -> None:
        """Initialise every series: one that is absent cannot fire an alert.

        `watermark_partitions` is the number of partitions from which this service needs consent watermarks.
        """
        self._name = service.name
        self._pool = pool
        self._watermark_partitions = watermark_partitions
        self._began = wall_time()
        self._reasons = {*Poison.reasons, *WAITING_ORDER} - {"refused"}
        self._parked_of: set[tuple[str, str]] = set()
        self._kinds = set(service.effect_handlers)
        for gauge in (metrics.LEADER, metrics.STOPPED, metrics.DATABASE_UP, metrics.READY):
            gauge.labels(self._name).set(0)
        metrics.GAUGES_REFRESHED.labels(self._name).set_to_current_time()
        metrics.RELAY_FAILURES.labels(self._name)
        for reason in self._reasons:
            metrics.PARKED.labels(self._name, reason)
        for kind, outcome in ((kind, outcome) for kind in self._kinds for outcome in _OUTCOMES):
            metrics.EFFECTS.labels(self._name, kind, outcome)

    async def refresh(self, now: datetime) -> None:
        """Refresh once; `now` is the time by which deadlines run. Raises what the database raises."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            row: Any = await self._pool.fetchrow(_READ, now, _MOST)
        name = self._name
        metrics.PENDING.labels(name).set(row["pending"])
        metrics.PENDING_AGE.labels(name).set(row["pending_age"])
        metrics.PARKED_AGE.labels(name).set(row["parked_age"])
        metrics.TIMERS_DUE.labels(name).set(row["due"])
        metrics.TIMERS_LATE.labels(name).set(row["late"])
        metrics.TIMELINES_UNACKNOWLEDGED.labels(name).set(row["unasked"])
        metrics.OLDEST_TRANSACTION.labels(name).set(row["oldest_transaction"])
        self._by_tenant(msgspec.json.decode(row["parked"], type=list[tuple[str, str, int]]))
        self._by_kind(msgspec.json.decode(row["effects"], type=dict[str, tuple[int, int, float]]))
        if self._watermark_partitions:
            self._watermark(row["parts"], row["watermark_at"])
        metrics.GAUGES_REFRESHED.labels(name).set_to_current_time()

    def _by_tenant(self, rows: list[tuple[str, str, int]]) -> None:
        """Set the gauges of parked events; only municipalities of which something is parked have a series."""
        by_tenant = {(tenant, reason): count for tenant, reason, count in rows if tenant}
        for tenant, reason in self._parked_of - by_tenant.keys():
            metrics.TENANT_PARKED.remove(self._name, tenant, reason)
        for (tenant, reason), count in by_tenant.items():
            metrics.TENANT_PARKED.labels(self._name, tenant, reason).set(count)
        self._parked_of = set(by_tenant)
        parked: Counter[str] = Counter()
        for _, reason, count in rows:
            parked[reason] += count
        self._reasons |= parked.keys()
        for reason in self._reasons:
            metrics.PARKED_EVENTS.labels(self._name, reason).set(parked.get(reason, 0))

    def _by_kind(self, effects: dict[str, tuple[int, int, float]]) -> None:
        self._kinds |= effects.keys()
        for kind in self._kinds:
            waiting, tried, age = effects.get(kind, (0, 0, 0.0))
            metrics.EFFECTS_WAITING.labels(self._name, kind).set(waiting)
            metrics.EFFECTS_TRIED.labels(self._name, kind).set(tried)
            metrics.EFFECTS_AGE.labels(self._name, kind).set(age)

    def _watermark(self, parts: int, watermark_at: datetime | None) -> None:
        oldest = self._began if watermark_at is None or parts < self._watermark_partitions else watermark_at
        metrics.WATERMARK_AGE.labels(self._name).set((wall_time() - oldest).total_seconds())


_READ: Final = """
with recursive first as (select ids, queued_at from pending order by first_id limit $2),
     codes as (
       select min(tenant) as tenant from parked_events
       union all
       select (select min(p.tenant) from parked_events p where p.tenant > c.tenant)
       from codes c where c.tenant is not null
     ),
     aside as (
       select p.* from codes c cross join lateral (
         select tenant, reason, parked_at from parked_events where tenant = c.tenant order by id limit $2
       ) p
     ),
     overdue as (select due_at from timers where due_at <= $1 order by due_at limit $2),
     undone as (select kind, attempts, created_at from effects where done_at is null order by due_at limit $2)
select
  (select coalesce(sum(cardinality(ids)), 0) from first) as pending,
  (select coalesce(extract(epoch from now() - min(queued_at)), 0) from first) as pending_age,
  (select coalesce(json_agg(json_build_array(tenant, reason, n)), '[]')
   from (select tenant, reason, count(*) as n from aside group by tenant, reason) as r) as parked,
  (select coalesce(extract(epoch from now() - min(parked_at)), 0) from aside) as parked_age,
  (select count(*) from overdue) as due,
  (select coalesce(extract(epoch from $1 - min(due_at)), 0) from overdue) as late,
  (select coalesce(json_object_agg(kind, json_build_array(n, tried, age)), '{}')
   from (select kind, count(*) as n, count(*) filter (where attempts > 1) as tried,
                extract(epoch from now() - min(created_at)) as age
         from undone group by kind) as k) as effects,
  unacknowledged_timelines() as unasked,
  (select count(*) from consent_watermarks) as parts,
  (select min(watermark_at) from consent_watermarks) as watermark_at,
  oldest_transaction_seconds() as oldest_transaction
"""
