"""Limits: the intervals and bounds of the kernel's loops, one frozen value in the settings.

Production uses the defaults; the embedded installation and the tests pass others.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict


class Limits(BaseModel):
    """Intervals in seconds, and sizes; each is named after the part of the kernel that it bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statement_seconds: float = 12.0
    """How long an answer of the database, or a free connection to it, is waited for."""

    longest_statement_seconds: float = 30.0
    """When PostgreSQL itself ends a statement."""

    client_start_seconds: float = 20.0
    """How long a client of the broker may take to start."""

    relay_rows: int = 500
    """Rows of `pending` in one read."""

    relay_events: int = 2_000
    """About how many events one round sends."""

    relay_poll_seconds: float = 0.5
    """When the relay reads `pending` although no commit of its process has woken it."""

    relay_ack_seconds: float = 20.0
    """How long the broker may take to acknowledge one round."""

    relay_session_seconds: float = 25.0
    """When PostgreSQL ends the leader's idle session, and with it the leadership."""

    relay_close_seconds: float = 5.0
    """How long the leader's session and producer may take to close."""

    relay_retry_seconds: float = 1.0
    """Pause after a failure, and between two attempts to become the leader."""

    relay_alive_seconds: float = 30.0
    """How old the relay's last round may be before the service is no longer ready."""

    consumer_batch: int = 500
    """Records in one batch."""

    issuer_keys_seconds: float = 30.0
    """Interval in which the keys of issuers are read again; below a minute with the 10 s of an answer."""

    revocations_seconds: float = 5.0
    """Interval in which revoked persons and tokens are read again."""

    gauges_seconds: float = 5.0
    """Interval of the gauges, and of the check that the broker responds."""

    lease_seconds: float = 10.0
    """How long a lease on an effect lasts."""

    lease_renew_seconds: float = 3.0
    """Interval in which leases are renewed."""

    denials_alone: int = 5
    """How many denials of one person have an entry each in the audit trail, before the others are counted."""

    denials_seconds: float = 60.0
    """Interval of the entries that count what one person was denied; a quiet one ends the counting."""

    embedded_watch_seconds: float = 0.5
    """Interval in which the embedded servers are checked."""

    embedded_batches: int = 4_000
    """Batches in one topic of the embedded broker before it is recycled: each fetch costs 0.6 µs a batch."""

    embedded_latest: int = 2_000
    """Events of each service in a recycled broker, for outside readers."""

    embedded_drain_seconds: float = 5.0
    """How long consumers may stand still before a broker is recycled without them."""

    server_log_bytes: int = 10_000_000
    """Size at which the log of an embedded server is set aside."""


EMBEDDED: Final = Limits(relay_poll_seconds=2.5)
"""One process commits everything and wakes its own relays; only an operator's command waits for the poll."""
