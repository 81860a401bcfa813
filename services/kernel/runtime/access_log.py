"""Access log: accesses and denials, appended to the stream of the person's own for the audit trail."""

from dataclasses import replace

from contracts.event import AccessRefused, Looked, topic_of
from contracts.registry import EVENTS
from services.kernel.clock import Clock
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.decider.decision import Actor
from services.kernel.errors import AccessNotRecorded
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import message_of, record_of
from services.kernel.logging import log
from services.kernel.postgres.connections import Tx
from services.kernel.streams.access_streams import AccessStreams
from services.kernel.streams.envelopes import AppendEvent, Envelope
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.processor import BatchProcessor


class AccessLog:
    """The accesses and denials of one service.

    An entry that the trail could not read is not written: each is first decoded as audit decodes it.
    """

    def __init__(self, processor: BatchProcessor, clock: Clock) -> None:
        """Append by the service's own processor."""
        service = processor.service
        as_audit_reads = replace(service, subscribes_to=tuple(EVENTS.values()), subscribes_to_all=True)
        self._processor = processor
        self._clock = clock
        self._streams = AccessStreams()
        self._topic = topic_of(service.name)
        self._decoder = EventDecoder(as_audit_reads)

    async def append(
        self, tx: Tx, actor: Actor, *events: Looked | AccessRefused, traceparent: str = ""
    ) -> BatchResult:
        """Append accesses or a denial, all or none; raise `AccessNotRecorded` where the trail would lack one.

        Inside a transaction of the caller, the caller publishes the result after its commit.
        """
        stream_id = await self._streams.stream_of(tx, actor.tenant, actor.id)
        now, causes = self._clock.now(), [str(new_id()) for _ in events]
        envelopes = [
            Envelope(stream_id, actor.tenant, AppendEvent(event), actor, now, cause, cause, traceparent)
            for event, cause in zip(events, causes, strict=True)
        ]
        return await self._processor.process(tx, envelopes, guard=self._require_readable)

    def _require_readable(self, result: BatchResult) -> None:
        """Raise `AccessNotRecorded` unless the new events decode from what the relay will send."""
        records = [
            record_of((self._topic, 0, 0), message.key, message)
            for stream in result.streams.values()
            for event in stream.new_events
            if event.body is not None
            for message in [
                message_of(
                    str(event.event_id),
                    str(stream.stream_id),
                    event.seq,
                    stream.tenant,
                    event.type,
                    event.metadata,
                    event.body.model_dump_json().encode(),
                )
            ]
        ]
        read = self._decoder.read(records)
        if len(read.events) != len(records) or any(event.poison for event in read.events):
            log.error("access_not_recorded", service=self._processor.service.name)
            raise AccessNotRecorded
