"""Tally: the smallest service, for the tests of the kernel; it counts events, and sends one for each."""

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
from aiokafka import AIOKafkaProducer, ConsumerRecord
from fastapi import APIRouter
from msgspec import Struct
from pydantic import SecretStr

from contracts.consent import (
    ConsentAccessRefused,
    ConsentEventDropped,
    ConsentGiven,
    ConsentLooked,
    ConsentTicked,
)
from contracts.event import Event
from contracts.model import CollaborationModel
from contracts.referral import ReferralReady, ReferralSeen
from services.kernel.clock import Clock, SystemClock
from services.kernel.decider.decision import Context, Decision, PrivateValue, Timer, TimerFired
from services.kernel.decider.service import EventMetadata, Service
from services.kernel.errors import Refused
from services.kernel.ids import as_uuid
from services.kernel.kafka.cloudevents import Message, Record, message_of
from services.kernel.kafka.topics import make_topics
from services.kernel.postgres.migrations import migrate
from services.kernel.privacy.key_store import FileKeyStore, KeyStore
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings
from tests.logins import api, lay, works

TENANT = "0440"
ORGANISATION = UUID("0199a000-0000-7000-8000-000000000001")
ACTOR = UUID("0199a000-0000-7000-8000-0000000000aa")
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Tally(Struct, frozen=True, tag="tally", tag_field="kind"):
    """How often each referral was seen, and how often the stream was woken."""

    seen: tuple[UUID, ...] = ()
    woken: int = 0


class Count(Struct, frozen=True):
    """Count one more by command; a private word may be kept with it."""

    referral_id: UUID
    word: str = ""
    wake_at: datetime | None = None


class TooMany(Refused):
    """More than the tally can hold."""


def decide(tally: Tally | None, trigger: Any, context: Context) -> Decision:
    """Count what is seen; a `ReferralReady` breaks the rule on purpose."""
    now = tally or Tally()
    match trigger:
        case ReferralSeen() | Count():
            if trigger.referral_id.int == 0:
                raise TooMany("0")
            event = ConsentGiven(
                consent_id=trigger.referral_id,
                referral_id=trigger.referral_id,
                holder_id=ACTOR,
                given_at=context.now,
                expires_at=context.now,
            )
            seals = (
                (PrivateValue(ACTOR, "word", trigger.word),)
                if isinstance(trigger, Count) and trigger.word
                else ()
            )
            timers: tuple[Timer, ...] = ()
            if isinstance(trigger, Count) and trigger.wake_at:
                timers = (Timer("wake", trigger.referral_id, trigger.wake_at),)
            return Decision(Tally((*now.seen, trigger.referral_id), now.woken), (event,), timers, seals)
        case ReferralReady():
            raise ZeroDivisionError
        case TimerFired():
            return Decision(Tally(now.seen, now.woken + 1))
    return Decision(tally)


TALLY = Service(
    name="consent",
    state=Tally,
    decide=decide,
    subscribes_to=(ReferralSeen, ReferralReady),
    authorize=lambda _state, _trigger, context: context.actor.role == "caseworker",
    access_event=ConsentLooked,
    denied_event=ConsentAccessRefused,
    discarded_event=ConsentEventDropped,
    routes=APIRouter(prefix="/consent"),
    schema=Path("no-such-folder"),
    watermark_event=ConsentTicked,
)


def case_id(n: int) -> UUID:
    """Return the stream of the n-th case."""
    return uuid5(NAMESPACE_URL, f"case {n}")


def seen(n: int) -> ReferralSeen:
    """Return the body of an event that the tally counts."""
    return ReferralSeen(
        referral_id=uuid5(NAMESPACE_URL, f"referral {n}"), organisation_id=ORGANISATION, seen_at=START
    )


def a_message(
    stream: UUID,
    seq: int,
    body: Event,
    *,
    tenant: str = TENANT,
    event_type: str | None = None,
    event_id: UUID | None = None,
) -> Message:
    """Return an event of the referral service as it travels."""
    stable = event_id or as_uuid(str(uuid5(stream, f"event {seq}")))
    meta = EventMetadata(START, str(ACTOR), "caseworker", str(stable), str(stable))
    data = body.model_dump_json().encode()
    return message_of(str(stable), str(stream), seq, tenant, event_type or body.type, meta, data)


def a_record(message: Message, *, topic: str = "samspil.referral.v1", partition: int = 0) -> Record:
    """Return a message as it comes off a topic."""
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=7,
        timestamp=0,
        timestamp_type=0,
        key=message.key,
        value=message.value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=tuple(message.headers),
    )


async def publish(bootstrap: str, messages: Sequence[Message], *, topic: str = "samspil.referral.v1") -> None:
    """Send messages as another producer would."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for message in messages:
            await producer.send(topic, message.value, message.key, headers=message.headers)
        await producer.flush()
    finally:
        await producer.stop()


def settings_for(dsn: str, bootstrap: str, kind: str, **more: Any) -> Settings:
    """Return the settings of a process under test; `limits` and any other setting may be passed.

    The embedded broker lets a new group wait for half of its session.
    """
    if kind != "kafka":
        more.setdefault("session_seconds", 2.0)
    return Settings(
        mode=more.pop("mode", "test"),
        database=SecretStr(dsn),
        bootstrap=bootstrap,
        broker="kafka" if kind == "kafka" else "embedded",
        watermark_seconds=0.2,
        **more,
    )


@lru_cache
def kms_for(dsn: str) -> KeyStore:
    """Return the key store that belongs to a database."""
    return FileKeyStore(Path(tempfile.mkdtemp()) / f"kek of {dsn.rpartition('/')[2]}", mode="test")


@asynccontextmanager
async def running(
    dsn: str,
    bootstrap: str,
    kind: str,
    service: Service = TALLY,
    *,
    key_store: KeyStore | None = None,
    clock: Clock | None = None,
    models: Mapping[str, CollaborationModel] | None = None,
    **more: Any,
) -> AsyncIterator[Runtime]:
    """Run a service while the block runs; topics, schema and roles are made first."""
    await migrate(dsn, service)
    await lay(dsn, [service.name])
    settings = settings_for(
        works(dsn, service.name), bootstrap, kind, database_api=SecretStr(api(dsn, service.name)), **more
    )
    if bootstrap:
        await make_topics({"referral", service.name}, settings)
    key_store = key_store or kms_for(dsn)
    runtime = Runtime(
        service, settings, clock=clock or SystemClock(), models=models or {}, key_store=key_store
    )
    await runtime.start(run_loops=bool(bootstrap))
    try:
        yield runtime
    finally:
        await runtime.stop()


async def tallies(runtime: Runtime, *, tenant: str | None = None) -> dict[UUID, list[str]]:
    """Return what each stream has counted, in order; of one municipality where it is named."""
    connection = await asyncpg.connect(runtime.settings.database.get_secret_value())
    try:
        await connection.execute("select set_config('search_path', $1, false)", runtime.service.name)
        rows = await connection.fetch(
            "select stream_id, array(select jsonb_array_elements_text(state::jsonb -> 'seen')) as seen "
            "from streams where state is not null and ($1::text is null or tenant = $1)",
            tenant,
        )
    finally:
        await connection.close()
    return {row["stream_id"]: list(row["seen"]) for row in rows}
