"""FastStream adapter, the one module that imports FastStream: the loop that polls and handles batches."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from faststream import AckPolicy
from faststream._internal.constants import EMPTY
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.broker.registrator import KafkaRegistrator
from faststream.kafka.configs import KafkaBrokerConfig
from faststream.kafka.schemas import Topic
from faststream.kafka.subscriber.config import KafkaSubscriberConfig, KafkaSubscriberSpecificationConfig
from faststream.kafka.subscriber.specification import KafkaSubscriberSpecification
from faststream.kafka.subscriber.usecase import BatchSubscriber
from faststream.security import BaseSecurity, SASLScram512

from services.kernel.consumer.decoding import DecodedBatch
from services.kernel.kafka.clients import (
    REQUEST_MS,
    close_connections,
    close_on_cancel,
    consumer_group,
    subscriber_options,
    tls,
    wake_on_fetch_end_of,
)
from services.kernel.kafka.cloudevents import Message, record_of
from services.kernel.settings import Settings

_STOP_SECONDS: Final = 15.0


class PollTarget(Protocol):
    """What a subscriber runs for: it polls a consumer, and handles a batch without raising."""

    @property
    def topics(self) -> list[str]:
        """Return the topics to subscribe to."""

    async def poll(self, consumer: AIOKafkaConsumer) -> DecodedBatch:
        """Return the next batch, which may be empty."""

    async def handle(self, batch: DecodedBatch) -> None:
        """Process a batch."""


class EagerBatchSubscriber(BatchSubscriber):
    """FastStream's batch subscriber that leaves polling to its target.

    FastStream's own does not fetch for a while after an empty fetch, which delays the next event.
    """

    __slots__ = ("_target",)

    def __init__(
        self,
        target: PollTarget,
        config: KafkaSubscriberConfig,
        specification: KafkaSubscriberSpecification,
        calls: CallsCollection[Any],
    ) -> None:
        """Poll by the target."""
        super().__init__(config, specification, calls, batch_timeout_ms=0, max_records=None)
        self._target = target

    @property
    def builder(self) -> Callable[..., AIOKafkaConsumer]:
        """Make a consumer that leaves nothing open where its start is cancelled."""
        build = super().builder
        return lambda **options: close_on_cancel(build(**options))

    async def start(self) -> None:
        """Start the consumer."""
        await super().start()
        if self.consumer is not None:
            wake_on_fetch_end_of(self.consumer)

    async def get_msg(self, consumer: AIOKafkaConsumer) -> Any:
        """Return the next batch in FastStream's shape, and nothing where it is empty."""
        batch = await self._target.poll(consumer)
        return (batch,) if batch.count else ()

    def get_log_context(self, _message: Any) -> dict[str, str]:
        """Return what FastStream's log would show: no record is read for it."""
        return self.build_log_context(message=None, topic=",".join(self.topic_names), group_id=self.group_id)


class BatchSubscription:
    """FastStream's broker with one batch subscriber: start, stop, and the loop between them."""

    def __init__(
        self, target: PollTarget, listener: ConsumerRebalanceListener, service: str, settings: Settings
    ) -> None:
        """Subscribe to the target's topics; nothing is opened before `start`."""
        self._target = target
        self._broker = _broker(settings)
        self._subscriber = _subscriber(self._broker, target, listener, service, settings)
        self._subscriber(self._handle)

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The consumer, while it runs."""
        return self._subscriber.consumer

    async def start(self) -> None:
        """Start to poll."""
        try:
            await self._broker.start()
        except BaseException:
            await self._broker.stop()
            raise

    async def stop(self) -> None:
        """Stop to poll, and close the connections."""
        consumer = self.consumer
        try:
            await self._broker.stop()
        finally:
            if consumer is not None:
                await close_connections(consumer)

    async def _handle(self, message: KafkaMessage) -> None:
        batch: DecodedBatch = message.raw_message[0]
        message.raw_message = ()  # FastStream's message refers to itself and lives until the collector comes
        await self._target.handle(batch)


def _broker(settings: Settings) -> KafkaBroker:
    """Return a FastStream broker that only consumes: the relay alone publishes."""
    return KafkaBroker(
        settings.bootstrap.split(","),  # as one text, FastStream takes it for one address
        consumer_only=True,
        allow_auto_create_topics=False,
        apply_types=False,
        logger=None,
        graceful_timeout=_STOP_SECONDS,
        request_timeout_ms=REQUEST_MS,
        security=_security(settings),
    )


def _subscriber(
    broker: KafkaBroker,
    target: PollTarget,
    listener: ConsumerRebalanceListener,
    service: str,
    settings: Settings,
) -> EagerBatchSubscriber:
    """Register a subscriber as `broker.subscriber` does, which makes FastStream's own class alone."""
    topics = [Topic.validate(topic) for topic in target.topics]
    outer = cast("KafkaBrokerConfig", broker.config)  # as FastStream itself does
    config = KafkaSubscriberConfig(
        topics=topics,
        group_id=consumer_group(settings, service),
        connection_args=subscriber_options(settings),
        listener=listener,
        no_reply=True,
        _outer_config=outer,
        _ack_policy=AckPolicy.MANUAL,
    )
    calls = CallsCollection[Any]()
    shown = KafkaSubscriberSpecificationConfig(topics=topics, title_=None, description_=None)
    specification = KafkaSubscriberSpecification(_outer_config=outer, calls=calls, specification_config=shown)
    subscriber = EagerBatchSubscriber(target, config, specification, calls)
    super(KafkaRegistrator, broker).subscriber(subscriber)
    subscriber.add_call(
        parser_=_passthrough_parser, decoder_=_passthrough_decoder, codec_=EMPTY, dependencies_=()
    )
    return subscriber


async def _passthrough_parser(
    polled: tuple[DecodedBatch], original: Callable[[Any], Awaitable[KafkaMessage]]
) -> KafkaMessage:
    """Let FastStream wrap a batch without reading it: one bad header would keep all of it from us."""
    (batch,) = polled
    (topic, partition), end = next(iter(batch.ends.items()))
    bare = record_of((topic, partition, end - 1), b"", Message("", b"", b"", []))
    message = await original((bare,))
    message.raw_message = polled
    return message


async def _passthrough_decoder(message: KafkaMessage) -> Any:
    """Leave the bodies undecoded."""
    return message


def _security(settings: Settings) -> BaseSecurity | None:
    context = tls(settings)
    if not settings.kafka_user:
        return BaseSecurity(ssl_context=context, use_ssl=True) if context else None
    return SASLScram512(
        username=settings.kafka_user,
        password=settings.kafka_password.get_secret_value(),
        ssl_context=context,
        use_ssl=context is not None,
    )
