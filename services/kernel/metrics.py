"""Every metric of Samspil, in one place; labels are names of services and codes, never ids."""

from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

REGISTRY_OF_ALL: Final[CollectorRegistry] = REGISTRY

_FAST: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

CONSUMED: Final = Counter(
    "samspil_events_heard", "Events applied, duplicates, refused, ignored.", ["service", "how"]
)
BATCH_SIZE: Final = Histogram("samspil_batch_size", "Events in a batch.", ["service"], buckets=_SIZES)
BATCH_SECONDS: Final = Histogram(
    "samspil_batch_seconds",
    "A batch by phase: read, then apply, of which weigh and save are parts, as they are of a command.",
    ["service", "phase"],
    buckets=_FAST,
)
CONFLICTS: Final = Counter(
    "samspil_conflicts", "Batches repeated because a stream had moved on.", ["service"]
)
REFUSED: Final = Counter("samspil_refused", "Inputs that a rule refused.", ["service", "slug"])
BUGS: Final = Counter("samspil_bugs", "Events parked because a rule broke.", ["service", "kind"])
PARKED: Final = Counter("samspil_parked", "Events set aside, by reason.", ["service", "reason"])
PARKED_EVENTS: Final = Gauge("samspil_parked_now", "Events that wait, by reason.", ["service", "reason"])
PARKED_AGE: Final = Gauge("samspil_parked_age_seconds", "Age of the oldest of them.", ["service"])
STOPPED: Final = Gauge("samspil_intake_stopped", "1 while too many events were parked to go on.", ["service"])
LAG: Final = Gauge("samspil_lag", "Events on the broker that were not yet taken.", ["service", "topic"])
SENT: Final = Counter("samspil_events_sent", "Events acknowledged by the broker.", ["service"])
PENDING: Final = Gauge("samspil_pending", "Events committed and not yet acknowledged.", ["service"])
PENDING_AGE: Final = Gauge("samspil_pending_age_seconds", "Age of the oldest of them.", ["service"])
LEADER: Final = Gauge("samspil_relay_leader", "1 where this process relays for the service.", ["service"])
RELAY_FAILURES: Final = Counter("samspil_relay_failures", "Rounds of the relay that failed.", ["service"])
RELAY_SECONDS: Final = Histogram(
    "samspil_relay_seconds", "One round of the relay.", ["service"], buckets=_FAST
)
TIMERS_FIRED: Final = Counter("samspil_timers_fired", "Timers turned into inputs.", ["service"])
TIMERS_DUE: Final = Gauge("samspil_timers_due", "Timers past their time and not yet fired.", ["service"])
TIMERS_LATE: Final = Gauge(
    "samspil_timers_late_seconds", "How long the oldest of them is past its time.", ["service"]
)
EFFECTS: Final = Counter("samspil_effects", "Side effects by outcome.", ["service", "kind", "outcome"])
EFFECTS_WAITING: Final = Gauge("samspil_effects_waiting", "Side effects to be done.", ["service", "kind"])
EFFECTS_TRIED: Final = Gauge(
    "samspil_effects_tried", "Those of them that were tried in vain.", ["service", "kind"]
)
EFFECTS_POLLED: Final = Gauge(
    "samspil_effects_looked_timestamp_seconds",
    "When the worker of side effects last came round.",
    ["service"],
)
EFFECTS_AGE: Final = Gauge("samspil_effects_age_seconds", "Age of the oldest of them.", ["service", "kind"])
REQUESTS: Final = Histogram(
    "samspil_http_seconds",
    "Requests by route and answer.",
    ["service", "method", "route", "status"],
    buckets=_FAST,
)
BROKER_UP: Final = Gauge("samspil_broker_up", "1 while the broker answers this service.", ["service"])
DATABASE_UP: Final = Gauge("samspil_database_up", "1 while the database answers this service.", ["service"])
READY: Final = Gauge("samspil_ready", "1 while the service may be used.", ["service"])
WATERMARK_AGE: Final = Gauge(
    "samspil_horizon_age_seconds",
    "Age of the oldest consent tick; from the start on where a partition has none.",
    ["service"],
)
TIMELINES_UNACKNOWLEDGED: Final = Gauge(
    "samspil_histories_unasked",
    "Later histories of the log of which nobody has asked what was lost.",
    ["service"],
)
OLDEST_TRANSACTION: Final = Gauge(
    "samspil_oldest_transaction_seconds",
    "How long the oldest transaction in the database has been open, whosoever it is.",
    ["service"],
)
GAUGES_REFRESHED: Final = Gauge(
    "samspil_measured_timestamp_seconds",
    "When the database was last measured for these numbers.",
    ["service"],
)
LOG_LINES_DROPPED: Final = Counter("samspil_log_lines_dropped", "Repeated lines not written.", ["logger"])
