"""Hold a batch of inputs against the streams as they were read; nothing here waits or writes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from contracts.event import Event
from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.decider.decision import SYSTEM, Actor, Decision, Given
from services.kernel.decider.service import Sent, Service, nothing_else
from services.kernel.errors import Missing, NotAllowed, Poison, Refused, Stale, VersionMissing
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import Meta, Record, Told, message_of, record_of
from services.kernel.streams.parked import park
from services.kernel.streams.store import Page, Parked, Row, fresh

_SYSTEM: Final = Actor(SYSTEM, "system")
_SYSTEM_SPELT: Final = str(SYSTEM)
_NOTHING: Final[Mapping[Any, Any]] = {}
_ID_LENGTH: Final = 36
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


class Asked(Struct, gc=False):
    """One input for one stream: a command, or a timer that fired."""

    stream_id: UUID
    tenant: str
    body: Any
    actor: Actor
    now: datetime
    cause: str
    correlation: str
    traceparent: str = ""
    expects: int | None = None
    fresh: bool = True


class Note(Struct, frozen=True):
    """Put one event into a stream without changing what it holds: a look, or a refusal."""

    event: Event


class Heard(Asked, kw_only=True, gc=False):
    """An event that was heard; `cause` is its id as it is spelt. Without a body it only counts.

    Its record is kept only where it cannot be made again from the rest: it is many objects.
    """

    event_id: UUID
    source: str
    seq: int
    type: str
    meta: Meta
    topic: str = ""
    partition: int = 0
    offset: int = 0
    value: bytes = b""
    record: Record | None = None
    poison: str = ""
    again: bool = False
    history: int = 0


class Planned:
    """Takes down what a service writes into its own tables, so that no transaction waits for its reckoning.

    What one statement writes for different streams is written at once. Where there is no more than one, it is
    a part of the statement that saves the streams, which then is its own transaction.
    """

    def __init__(self) -> None:
        """Begin with nothing to write."""
        self.writes: list[tuple[str, list[list[Any]]]] = []
        self._next = 0

    def begin(self) -> None:
        """Begin with further streams: their statements are kept in their own order."""
        self._next = 0

    async def execute(self, statement: str, *columns: Sequence[Any]) -> None:
        """Take down a statement and its columns, each with one value a row."""
        for at in range(self._next, len(self.writes)):
            known, before = self.writes[at]
            if known == statement:
                for column, more in zip(before, columns, strict=True):
                    column.extend(more)
                self._next = at + 1
                return
        self.writes.insert(self._next, (statement, [list(column) for column in columns]))
        self._next += 1


class Outcome(Struct):
    """What a batch has made of its streams, and what was set aside.

    `page` and `planned` hold what of it is written down, `done` names those streams, and `rows` are the
    others. `began` tells which memory of streams it was made from, `new_keys` are those of persons met first.
    """

    rows: dict[UUID, Row]
    page: Page = msgspec.field(default_factory=Page)
    planned: Planned = msgspec.field(default_factory=Planned)
    done: set[UUID] = msgspec.field(default_factory=set)
    opened: Mapping[UUID, Mapping[str, Any]] = {}
    known: Callable[[Row], bool] = bool
    messages: list[tuple[int, Told]] = []
    applied: int = 0
    duplicates: int = 0
    refused: int = 0
    parked: list[Parked] = []
    at: datetime = _NO_TIME
    began: int = 0
    new_keys: dict[UUID, AESGCM] = {}


class Entangled(Exception):
    """An input needs a stream that was written down already."""


class Weighing:
    """Takes inputs one after the other into an outcome, by the rules of one service."""

    def __init__(
        self, service: Service, models: Mapping[str, CollaborationModel], clock: Callable[[], datetime]
    ) -> None:
        """Bind the rules to the models that they may read, and to the clock that dates their events."""
        self._service = service
        self._models = models
        self._clock = clock
        self._alone = service.also is nothing_else
        self._notes_heard = service.hears_all

    def obey(self, asked: Asked, outcome: Outcome) -> None:
        """Decide a command or a timer; what its rule raises ends the batch."""
        row = _row(asked, outcome)
        if row.tenant != asked.tenant:
            raise Missing
        if isinstance(asked.body, Note):
            row.take(Decision(row.state), self._sent(row, asked, asked.actor, (asked.body.event,), outcome))
            return
        given = self._given(row, asked, outcome)
        if asked.actor.role != _SYSTEM.role:
            if not self._service.allows(row.state, asked.body, given):
                raise NotAllowed
            _same_version(row, asked)
        decision = self._service.decide(row.state, asked.body, given)
        if decision != Decision(row.state):
            self._take(row, asked, asked.actor, decision, outcome)

    def may(self, asked: Asked, outcome: Outcome) -> Row:
        """Return the stream that somebody wants to look at; raise `Missing` or `NotAllowed`."""
        row = outcome.rows.get(asked.stream_id)
        if row is None or row.tenant != asked.tenant or row.state is None:
            raise Missing
        if not self._service.allows(row.state, asked.body, self._given(row, asked, outcome)):
            raise NotAllowed
        return row

    def hear(self, heard: Heard, outcome: Outcome) -> None:
        """Decide an event once and in order, or set it aside."""
        row = _row(heard, outcome)
        last, marked = row.marks.get(heard.source, (0, ""))
        if heard.seq <= last or len(marked) > _ID_LENGTH:
            known = _known(heard, last, marked)
            if known == "divergence":
                _park(row, heard, outcome, known)
                return
            if known:
                outcome.duplicates += 1
                return
        reason = _why_not(row, heard, last) or self._try(row, heard, outcome)
        if reason:
            _park(row, heard, outcome, reason)
            return
        row.marks[heard.source] = (heard.seq, marked_as(heard.cause, heard.history))
        row.changed = True
        outcome.applied += 1

    def _try(self, row: Row, heard: Heard, outcome: Outcome) -> str:
        """Decide an event; return why it must be set aside, or nothing."""
        if heard.body is not None:
            try:
                decision = self._service.decide(row.state, heard.body, self._given(row, heard, outcome))
            except Refused as refusal:
                metrics.REFUSED.labels(self._service.name, refusal.slug()).inc()
                outcome.refused += 1
            except Poison as poison:
                return poison.hint
            except Exception as bug:  # noqa: BLE001  one event that breaks a rule must not stop the others
                metrics.BUGS.labels(self._service.name, type(bug).__name__).inc()
                return "bug"
            else:
                self._take(row, heard, _SYSTEM, decision, outcome)
        if self._notes_heard:
            row.hear(Sent(heard.event_id, heard.source, heard.seq, heard.type, heard.body, heard.meta))
        return ""

    def _take(self, row: Row, asked: Asked, actor: Actor, decision: Decision, outcome: Outcome) -> None:
        row.take(decision, self._sent(row, asked, actor, decision.events, outcome))
        for stream_id, other in decision.others.items():
            beside = outcome.rows.get(stream_id)
            if beside is None:
                if stream_id in outcome.done:
                    raise Entangled
                beside = outcome.rows[stream_id] = fresh(stream_id, asked.tenant)
            beside.take(other, self._sent(beside, asked, actor, other.events, outcome))

    def _sent(
        self, row: Row, asked: Asked, actor: Actor, events: Sequence[Event], outcome: Outcome
    ) -> Sequence[Sent]:
        if not events:
            return ()
        if outcome.at is _NO_TIME:
            outcome.at = self._clock()
        who = _SYSTEM_SPELT if actor is _SYSTEM else str(actor.id)
        meta = Meta(outcome.at, who, actor.role, asked.correlation, asked.cause, asked.traceparent)
        seq, name = row.seq, self._service.name
        row.seq += len(events)
        return [Sent(new_id(), name, at, event.type, event, meta) for at, event in enumerate(events, seq + 1)]

    def _given(self, row: Row, asked: Asked, outcome: Outcome) -> Given:
        others: Mapping[UUID, Any] = _NOTHING
        wanted = () if self._alone else self._service.also(row.state, asked.body)
        if wanted:
            rows = outcome.rows
            others = {
                other: rows[other].state
                for other in wanted
                if other in rows and rows[other].tenant == asked.tenant
            }
        return Given(
            asked.now,
            row.stream_id,
            asked.tenant,
            asked.actor,
            self._models,
            others,
            outcome.opened.get(row.stream_id, _NOTHING),
            outcome.known(row),
        )


def _row(asked: Asked, outcome: Outcome) -> Row:
    row = outcome.rows.get(asked.stream_id)
    if row is None:
        row = outcome.rows[asked.stream_id] = fresh(asked.stream_id, asked.tenant)
    return row


def marked_as(event_id: str, history: int) -> str:
    """Return how a mark names an event: by its id and, after a fork of its source, by its history."""
    return f"{event_id} {history}" if history else event_id


def _known(heard: Heard, last: int, marked: str) -> str:
    """Return whether an event is a `duplicate` or a `divergence`; nothing where it is new.

    What a later history tells under a number that was taken before is another event, whatever its number;
    what comes late from an earlier one its source tells no more.
    """
    last_id, _, spelt = marked.partition(" ")
    history = int(spelt or 0)
    if heard.history < history:
        return "duplicate"
    if heard.seq > last:
        return ""
    other = heard.seq == last and last_id not in ("", heard.cause)
    return "divergence" if other or heard.history > history else "duplicate"


def _why_not(row: Row, heard: Heard, last: int) -> str:
    if row.tenant != heard.tenant:
        return "tenant"
    if row.parked and not heard.again:
        return "behind"
    if heard.seq != last + 1:
        return "gap"
    return heard.poison


def _park(row: Row, heard: Heard, outcome: Outcome, reason: str) -> None:
    outcome.parked.append(
        park(
            heard.record or record_of_heard(heard),
            reason,
            tenant=heard.tenant,
            stream_id=heard.stream_id,
            source=heard.source,
            seq=heard.seq,
            event_id=heard.event_id,
            type=heard.type,
        )
    )
    if reason != "tenant":
        # Also where it halts already: it may have been let go on since it was read, and the guard tells.
        row.parked = row.changed = True


def record_of_heard(heard: Heard) -> Record:
    """Return the record that an event came in, made again from what it says."""
    key = str(heard.stream_id)
    place = heard.topic, heard.partition, heard.offset
    made = message_of(heard.cause, key, heard.seq, heard.tenant, heard.type, heard.meta, heard.value)
    return record_of(place, made.key, made)


def _same_version(row: Row, asked: Asked) -> None:
    if row.version == 0 or asked.fresh:
        return
    if asked.expects is None:
        raise VersionMissing(f"it stands at {row.version}")
    if asked.expects != row.version:
        raise Stale(f"it stands at {row.version}")
