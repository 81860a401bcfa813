"""How a process reaches the broker: addresses, credentials, and what differs between brokers."""

import asyncio
import ssl
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLScram512

from services.kernel.errors import ProblemError
from services.kernel.settings import Settings

HEARTBEAT_MS: Final = 1_000
REQUEST_MS: Final = 10_000
_RESPONSE_SECONDS: Final = 3.0
_START_SECONDS: Final = 20.0
LARGEST_BATCH: Final = 1024 * 1024
EMBEDDED_WAIT_MS: Final = 20


ClientT = TypeVar("ClientT", AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaAdminClient)


class BrokerUnreachable(ProblemError):
    """The broker cannot be reached: check its address, its certificate and the credentials."""


class NoBroker(BrokerUnreachable):
    """No broker is named: set SAMSPIL_BOOTSTRAP, or name a data folder with --data."""


class CancelSafeClient(AIOKafkaClient):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's client; cancelled, it first finishes its connection: docs/decisions/kafka-clients.md."""

    async def bootstrap(self) -> None:
        """Reach a broker, and hear of the others from it."""
        begun = asyncio.ensure_future(super().bootstrap())
        try:
            await asyncio.shield(begun)
        except asyncio.CancelledError:
            await asyncio.wait([begun])
            if not begun.cancelled():
                begun.exception()  # whoever asked for it has gone
            raise


def close_on_cancel(made: ClientT) -> ClientT:
    """Let a client of aiokafka leave nothing open where its start is cancelled."""
    client = made.client if isinstance(made, AIOKafkaProducer) else made._client  # noqa: SLF001  it has no other way
    client.__class__ = CancelSafeClient
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
    """Return how a subscriber fetches and keeps its place in the group."""
    quick = settings.broker == "embedded" or settings.mode == "test"
    return {
        "auto_offset_reset": "earliest",
        "session_timeout_ms": round(settings.session_seconds * 1000),
        "heartbeat_interval_ms": 300 if quick else HEARTBEAT_MS,
        "rebalance_timeout_ms": 60_000,
        "max_partition_fetch_bytes": 4 * LARGEST_BATCH,
        # The embedded broker does not wake a waiting fetch when data arrives: its wait is a polling period.
        "fetch_max_wait_ms": EMBEDDED_WAIT_MS if settings.broker == "embedded" else 500,
        # How often a fetcher looks round that nothing has woken; alone, whatever is sent wakes it.
        "consumer_timeout_ms": 5_000 if settings.alone else 200,
    }


def faststream_broker(settings: Settings) -> KafkaBroker:
    """Return a FastStream broker that only consumes: the relay alone publishes."""
    return KafkaBroker(
        settings.bootstrap.split(","),  # as one text, FastStream takes it for one address
        consumer_only=True,
        allow_auto_create_topics=False,
        apply_types=False,
        logger=None,
        graceful_timeout=15.0,
        request_timeout_ms=REQUEST_MS,
        security=_faststream_security(settings),
    )


async def start_client(made: ClientT, settings: Settings) -> ClientT:
    """Start a client; raise `BrokerUnreachable`, with nothing left open, where it cannot be.

    One that was told of a single broker asks no other, for ever; the next begins at all addresses again.
    """
    try:
        async with asyncio.timeout(_START_SECONDS):
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


def is_open(client: Any) -> bool:
    """Return whether a client of aiokafka has been started and not been closed."""
    return client._sync_task is not None  # noqa: SLF001  it has no other sign


async def broker_responds(client: Any) -> bool:
    """Return whether the broker answers over the connections of a client that is open."""
    try:
        async with asyncio.timeout(_RESPONSE_SECONDS):
            await client.fetch_all_metadata()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        if not is_open(client):  # its owner closed it meanwhile, and to ask opens it again
            await client.close()
    return True


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.kafka_ca is None:
        return None
    return ssl.create_default_context(cafile=str(settings.kafka_ca))


def client_security(settings: Settings) -> dict[str, Any]:
    """Return how any of aiokafka's clients proves who it is."""
    context = _tls(settings)
    if not settings.kafka_user:
        return {"security_protocol": "SSL", "ssl_context": context} if context else {}
    return {
        "security_protocol": "SASL_SSL" if context else "SASL_PLAINTEXT",
        "ssl_context": context,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
    }


def _faststream_security(settings: Settings) -> BaseSecurity | None:
    context = _tls(settings)
    if not settings.kafka_user:
        return BaseSecurity(ssl_context=context, use_ssl=True) if context else None
    return SASLScram512(
        username=settings.kafka_user,
        password=settings.kafka_password.get_secret_value(),
        ssl_context=context,
        use_ssl=context is not None,
    )
