"""Tell what a batch of records holds: events to apply, ticks, and what cannot be read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from contracts.event import SERVICES, Event, Ticked, service_of, topic_of
from services.kernel.decision import Actor
from services.kernel.errors import Poison
from services.kernel.messages import Envelope, Record, read
from services.kernel.service import Service
from services.kernel.weighing import Heard

_TICK: Final = ".ticked."
_HEARD: Final = Actor()
"""An event is not a person's request: who did it stands in its attributes, and was checked there."""


class Hearing:
    """Reads records for one service."""

    def __init__(self, service: Service) -> None:
        """Know the types that the service reads, and the topics it listens to."""
        self._read = {event.type: event for event in service.hears if not issubclass(event, Ticked)}
        self._ticks = {event.type: event for event in service.hears if issubclass(event, Ticked)}
        self.sources = frozenset(SERVICES) if service.hears_all else service.sources
        self._owner = {topic_of(source): source for source in self.sources}

    def read(
        self, records: Sequence[Record]
    ) -> tuple[list[Heard], dict[int, datetime], list[tuple[Record, str]]]:
        """Return the events, the latest tick a partition, and the unreadable with their reasons."""
        heard: list[Heard] = []
        ticks: dict[int, datetime] = {}
        unreadable: list[tuple[Record, str]] = []
        for record in records:
            try:
                envelope = read(record)
                self._check_source(record, envelope)
                if _TICK in envelope.type:
                    self._tick(record, envelope, ticks)
                else:
                    heard.append(self._event(record, envelope))
            except Poison as poison:
                unreadable.append((record, poison.hint))
        return heard, ticks, unreadable

    def _check_source(self, record: Record, envelope: Envelope) -> None:
        """Raise `Poison` where a topic carries what its owner does not send."""
        owner = self._owner.get(record.topic)
        if envelope.source != owner or service_of(envelope.type) != owner:
            raise Poison("source")

    def _event(self, record: Record, envelope: Envelope) -> Heard:
        if envelope.seq < 1:
            raise Poison("header")
        body, poison = self._body(envelope)
        meta = envelope.meta
        return Heard(
            envelope.stream_id,
            envelope.tenant,
            body,
            _HEARD,
            meta.time,
            envelope.spelt_id,
            meta.correlation,
            meta.traceparent,
            event_id=envelope.event_id,
            source=envelope.source,
            seq=envelope.seq,
            type=envelope.type,
            meta=meta,
            record=record,
            poison=poison,
        )

    def _body(self, envelope: Envelope) -> tuple[Event | None, str]:
        """Return the body of a type that we read; nothing, and no fault, for a type we do not."""
        kind = self._read.get(envelope.type)
        if kind is None:
            name = envelope.type.rpartition(".v")[0]
            newer = any(known.rpartition(".v")[0] == name for known in self._read)
            return None, "version" if newer else ""
        try:
            return kind.model_validate_json(envelope.data), ""
        except ValidationError:
            return None, "body"

    def _tick(self, record: Record, envelope: Envelope, ticks: dict[int, datetime]) -> None:
        kind = self._ticks.get(envelope.type)
        if kind is None:
            return
        try:
            tick = kind.model_validate_json(envelope.data)
        except ValidationError:
            raise Poison("body") from None
        ticks[record.partition] = tick.at
