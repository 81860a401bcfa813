"""Health of one service for its operators: what is not well, how far it lags, what is parked."""

from typing import Any, Final

from services.kernel import metrics
from services.kernel.http.requests import RequestContext
from services.kernel.operations.operator_views import ServiceHealth
from services.kernel.operations.shown_events import counted
from services.kernel.runtime.runtime import Runtime


async def health_of(runtime: Runtime, context: RequestContext) -> ServiceHealth:
    """Return how a service does; raise what the database raises where it does not answer."""
    name = runtime.service.name
    unready = await runtime.unready_reasons()
    return ServiceHealth(
        service=name,
        ready=not unready,
        unready=sorted(unready),
        lag=int(_total(metrics.LAG, name)),
        pending=int(_total(metrics.PENDING, name)),
        pending_seconds=max(0.0, _total(metrics.PENDING_AGE, name)),
        timers_due=int(_total(metrics.TIMERS_DUE, name)),
        effects_waiting=int(_total(metrics.EFFECTS_WAITING, name)),
        effects_tried=int(_total(metrics.EFFECTS_TRIED, name)),
        parked=await context.query(counted),
        parked_unassigned=int(await runtime.pool.fetchval(_UNASSIGNED)),
    )


def _total(gauge: Any, service: str) -> float:
    """Return what a gauge says of a service, over its other labels."""
    return sum(
        float(sample.value)
        for metric in gauge.collect()
        for sample in metric.samples
        if sample.labels.get("service") == service
    )


_UNASSIGNED: Final = """
select count(*) from (select from parked_events where tenant = '' order by id limit 10000) as first
"""
