"""Kafka clients: addresses, credentials, differences between brokers, and aiokafka's private parts."""

import asyncio
import ssl
from itertools import chain
from typing import Any, Final, TypeAlias, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from services.kernel.errors import ProblemError
from services.kernel.logging import log
from services.kernel.settings import Settings

HEARTBEAT_MS: Final = 1_000
REQUEST_MS: Final = 10_000
_RESPONSE_SECONDS: Final = 3.0
LARGEST_BATCH: Final = 1024 * 1024
EMBEDDED_WAIT_MS: Final = 20

AnyClient: TypeAlias = AIOKafkaProducer | AIOKafkaConsumer | AIOKafkaAdminClient
ClientT = TypeVar("ClientT", AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaAdminClient)


class BrokerUnreachable(ProblemError):
    """The broker cannot be reached: check its address, its certificate and the credentials."""


class NoBroker(BrokerUnreachable):
    """No broker is named: set SAMSPIL_BOOTSTRAP, or name a data folder with --data."""


class CancelSafeClient(AIOKafkaClient):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's client, which closes what it has begun to open before a cancellation goes on."""

    async def bootstrap(self) -> None:
        """Connect to a broker, and learn of the others from it."""
        begun = asyncio.ensure_future(super().bootstrap())
        try:
            await asyncio.shield(begun)
        except asyncio.CancelledError:
            await asyncio.wait([begun])
            if not begun.cancelled():
                begun.exception()  # its caller is cancelled, and does not read it
            raise


def close_on_cancel(made: ClientT) -> ClientT:
    """Let a client leave no connection open where its start is cancelled."""
    _connections(made).__class__ = CancelSafeClient
    return made


def consumer(settings: Settings, **how: Any) -> AIOKafkaConsumer:
    """Return a consumer in no group, not yet started."""
    return close_on_cancel(
        AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, **how, **client_security(settings))
    )


def admin(settings: Settings) -> AIOKafkaAdminClient:
    """Return an administration client, not yet started."""
    return close_on_cancel(
        AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, **client_security(settings))
    )


def producer(settings: Settings) -> AIOKafkaProducer:
    """Return a producer, not yet started; idempotent where the broker can be."""
    made = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        acks="all",
        enable_idempotence=settings.broker == "kafka",
        max_batch_size=LARGEST_BATCH,
        request_timeout_ms=REQUEST_MS,
        metadata_max_age_ms=60_000,
        **client_security(settings),
    )
    return close_on_cancel(made)


def subscriber_options(settings: Settings) -> dict[str, Any]:
    """Return how a subscriber fetches and remains in its group."""
    quick = settings.broker == "embedded" or settings.mode == "test"
    return {
        "auto_offset_reset": "earliest",
        "session_timeout_ms": round(settings.session_seconds * 1000),
        "heartbeat_interval_ms": 300 if quick else HEARTBEAT_MS,
        "rebalance_timeout_ms": 60_000,
        "max_partition_fetch_bytes": 4 * LARGEST_BATCH,
        # The embedded broker does not wake a waiting fetch when data arrives: its wait is a polling period.
        "fetch_max_wait_ms": EMBEDDED_WAIT_MS if settings.broker == "embedded" else 500,
        # Interval of a fetcher that nothing has woken; in one process every event that is sent wakes it.
        "consumer_timeout_ms": 5_000 if settings.alone else 200,
    }


def consumer_group(settings: Settings, service: str) -> str | None:
    """Return the group of a service; none where one process reads its broker alone, all of it."""
    return None if settings.alone else f"samspil.{service}"


def keeps_offsets(settings: Settings) -> bool:
    """Return whether offsets outlive the broker: one of a topic that is gone would skip events."""
    return settings.broker != "embedded"


async def start_client(made: ClientT, settings: Settings) -> ClientT:
    """Start a client; raise `BrokerUnreachable`, with nothing left open, where it cannot be.

    A client that has learned of a single broker tries no other; the next client tries all addresses.
    """
    try:
        async with asyncio.timeout(settings.limits.client_start_seconds):
            await made.start()
    except (KafkaError, OSError) as fault:
        await _stop_client(made)
        if not settings.bootstrap:
            raise NoBroker from None
        raise BrokerUnreachable(f"{settings.bootstrap} ({type(fault).__name__})") from None
    except BaseException:
        await _stop_client(made)
        raise
    return made


async def _stop_client(made: Any) -> None:
    await (made.close() if isinstance(made, AIOKafkaAdminClient) else made.stop())


def _connections(made: AnyClient) -> AIOKafkaClient:
    """Return the part of a client that holds its connections; of two kinds it is private."""
    return made.client if isinstance(made, AIOKafkaProducer) else made._client  # noqa: SLF001  it has no other name


def is_open(made: AnyClient) -> bool:
    """Return whether a client has been started and not been closed."""
    return _connections(made)._sync_task is not None  # noqa: SLF001  it has no other sign


async def close_connections(made: AnyClient) -> None:
    """Close the connections that a client has left open.

    aiokafka stops a consumer half where a fetch waits to be retried: it takes the end of that for its own.
    """
    if is_open(made):
        await _connections(made).close()


async def close_producer(made: AIOKafkaProducer, seconds: float) -> None:
    """Stop a producer; what it cannot deliver in time is abandoned, since all of it is still pending."""
    try:
        async with asyncio.timeout(seconds):
            await made.stop()
    except (TimeoutError, KafkaError):
        log.warning("producer_abandoned")
        await abandon(made)


async def abandon(made: AIOKafkaProducer) -> None:
    """End a producer without delivery: left alone it retries for ever, also on another broker."""
    held = made._message_accumulator  # noqa: SLF001  it has no other way
    for batch in (*chain.from_iterable(held._batches.values()), *held._pending_batches):  # noqa: SLF001  the same
        batch.future.cancel()
    made._sender.sender_task.cancel()  # noqa: SLF001  the same
    await made.client.close()


class _WakingSet(set[int]):
    """The nodes with a fetch in flight; it wakes the fetcher when one ends."""

    def __init__(self, nodes: set[int], fetcher: Any) -> None:
        super().__init__(nodes)
        self._fetcher = fetcher

    def discard(self, node: object, /) -> None:
        super().discard(node)
        self._fetcher._notify(self._fetcher._wait_consume_future)  # noqa: SLF001  what it waits for


def wake_on_fetch_end(fetcher: Any) -> None:
    """Let a consumer's fetcher miss no end of a fetch.

    Where the fetcher is woken for another reason in the moment in which a fetch ends, it still finds that
    fetch in flight, starts no other, and then waits for nothing but its timeout (aiokafka 0.14,
    `_fetch_requests_routine`: the end is recorded by a callback, which may run after the fetcher).
    """
    fetcher._in_flight = _WakingSet(fetcher._in_flight, fetcher)  # noqa: SLF001  it has no other way


def wake_on_fetch_end_of(made: AIOKafkaConsumer) -> None:
    """Apply `wake_on_fetch_end` to a consumer that was started."""
    wake_on_fetch_end(made._fetcher)  # noqa: SLF001  it has no other way


def position(made: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """Return the offset of the next record; None while there is none yet (the public call waits)."""
    state = made._subscription.subscription.assignment.state_value(partition)  # noqa: SLF001  it has no other way
    return state.position if state is not None and state.has_valid_position else None


async def broker_responds(made: AnyClient) -> bool:
    """Return whether the broker answers over the connections of a client that is open."""
    client = _connections(made)
    try:
        async with asyncio.timeout(_RESPONSE_SECONDS):
            await client.fetch_all_metadata()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        if not is_open(made):  # its owner closed it meanwhile, and a request has opened it again
            await client.close()
    return True


def tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the context of a TLS connection; None where the broker has no certificate."""
    if settings.kafka_ca is None:
        return None
    return ssl.create_default_context(cafile=str(settings.kafka_ca))


def client_security(settings: Settings) -> dict[str, Any]:
    """Return the credentials of a client of aiokafka."""
    context = tls(settings)
    if not settings.kafka_user:
        return {"security_protocol": "SSL", "ssl_context": context} if context else {}
    return {
        "security_protocol": "SASL_SSL" if context else "SASL_PLAINTEXT",
        "ssl_context": context,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
    }
