"""Prometheus metrics: every one of Samspil's; labels are names of services and codes, never ids."""

from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

REGISTRY_OF_ALL: Final[CollectorRegistry] = REGISTRY

_FAST: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

CONSUMED: Final = Counter(
    "samspil_events_consumed",
    "Events consumed, by outcome: applied, duplicate, refused, ignored.",
    ["service", "how"],
)
BATCH_SIZE: Final = Histogram("samspil_batch_size", "Events in a batch.", ["service"], buckets=_SIZES)
BATCH_SECONDS: Final = Histogram(
    "samspil_batch_seconds",
    "Seconds of a batch by phase: read, then apply, which contains decide and save; a command has these too.",
    ["service", "phase"],
    buckets=_FAST,
)
CONFLICTS: Final = Counter(
    "samspil_conflicts", "Batches retried because of a concurrent write to one of their streams.", ["service"]
)
REFUSED: Final = Counter(
    "samspil_refused", "Commands, events and timers that a rule refused.", ["service", "slug"]
)
BUGS: Final = Counter("samspil_bugs", "Events parked because a rule failed by a bug.", ["service", "kind"])
PARKED: Final = Counter("samspil_parked", "Events parked since the start, by reason.", ["service", "reason"])
PARKED_EVENTS: Final = Gauge(
    "samspil_events_parked", "Events that are parked now, by reason.", ["service", "reason"]
)
TENANT_PARKED: Final = Gauge(
    "samspil_tenant_events_parked",
    "Events of one municipality that are parked now, by reason; no series where none is.",
    ["service", "tenant", "reason"],
)
PARKED_AGE: Final = Gauge("samspil_parked_age_seconds", "Age of the oldest of them.", ["service"])
STOPPED: Final = Gauge(
    "samspil_consumer_stopped", "1 while the circuit breaker has stopped the consumer.", ["service"]
)
LAG: Final = Gauge(
    "samspil_lag", "Consumer lag: events on the broker that are not yet consumed.", ["service", "topic"]
)
SENT: Final = Counter("samspil_events_sent", "Events acknowledged by the broker.", ["service"])
PENDING: Final = Gauge("samspil_pending", "Events committed and not yet acknowledged.", ["service"])
PENDING_AGE: Final = Gauge("samspil_pending_age_seconds", "Age of the oldest of them.", ["service"])
LEADER: Final = Gauge(
    "samspil_relay_leader", "1 where this process is the relay's leader for the service.", ["service"]
)
RELAY_FAILURES: Final = Counter("samspil_relay_failures", "Iterations of the relay that failed.", ["service"])
RELAY_SECONDS: Final = Histogram(
    "samspil_relay_seconds", "Seconds of one iteration of the relay.", ["service"], buckets=_FAST
)
TIMERS_FIRED: Final = Counter("samspil_timers_fired", "Timers fired.", ["service"])
TIMERS_DUE: Final = Gauge("samspil_timers_due", "Timers past their time and not yet fired.", ["service"])
TIMERS_LATE: Final = Gauge(
    "samspil_timers_late_seconds", "How long the oldest of them is overdue.", ["service"]
)
EFFECTS: Final = Counter("samspil_effects", "Side effects by outcome.", ["service", "kind", "outcome"])
EFFECTS_WAITING: Final = Gauge(
    "samspil_effects_waiting", "Side effects that are not done yet.", ["service", "kind"]
)
EFFECTS_TRIED: Final = Gauge(
    "samspil_effects_tried", "Those of them with a failed attempt.", ["service", "kind"]
)
EFFECTS_POLLED: Final = Gauge(
    "samspil_effects_polled_timestamp_seconds",
    "When the worker of side effects last polled.",
    ["service"],
)
EFFECTS_AGE: Final = Gauge("samspil_effects_age_seconds", "Age of the oldest of them.", ["service", "kind"])
REQUESTS: Final = Histogram(
    "http_request_duration_seconds",
    "Seconds of a request, by route and status.",
    ["service", "method", "route", "status"],
    buckets=_FAST,
)
BUILD: Final = Gauge("samspil_build_info", "1 for the version that runs here.", ["version"])
HTTP_REFUSED: Final = Counter(
    "samspil_http_refused", "Connections refused before a route saw a request, by reason.", ["reason"]
)
BROKER_UP: Final = Gauge("samspil_broker_up", "1 while the broker responds to this service.", ["service"])
DATABASE_UP: Final = Gauge(
    "samspil_database_up", "1 while the database responds to this service.", ["service"]
)
READY: Final = Gauge("samspil_ready", "1 while the service is ready.", ["service"])
WATERMARK_AGE: Final = Gauge(
    "samspil_consent_watermark_age_seconds",
    "Age of the oldest consent watermark; since the start where a partition has none.",
    ["service"],
)
TIMELINES_UNACKNOWLEDGED: Final = Gauge(
    "samspil_timelines_unacknowledged",
    "Timelines that began after a restore or failover and are not acknowledged by `samspil lost`.",
    ["service"],
)
OLDEST_TRANSACTION: Final = Gauge(
    "samspil_oldest_transaction_seconds",
    "Age of the oldest open transaction in the database, of any client.",
    ["service"],
)
GAUGES_REFRESHED: Final = Gauge(
    "samspil_gauges_refreshed_timestamp_seconds",
    "When the gauges of the database were last refreshed.",
    ["service"],
)
LOG_LINES_DROPPED: Final = Counter(
    "samspil_log_lines_dropped", "Repeated log lines that were suppressed.", ["logger"]
)
