"""Faults on the topics: duplicates, rewound groups, and poison."""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.event import topic_of
from contracts.referral import ReferralReady
from services.kernel.kafka.cloudevents import Message
from services.kernel.outbox.republish import republish
from services.kernel.postgres.connections import connect
from tests.examples_poison import QUARANTINED, instead
from tests.fault.ledger import SOURCES, SPOKEN
from tests.fault.stage import HOSTILE, PARTITIONS, Stage
from tests.tally import a_message, publish, seen
from tests.waiting import until

_ECHOED: Final = 200
_REWIND_SECONDS: Final = 60.0
NEW: Final = "unknown type"
"""What is no poison but only newer than its reader: it counts, and is passed by."""

_WAITS: Final = "select exists (select from consent.parked_events where stream_id = $1 and reason = $2)"
_PASSED: Final = """
select exists (select from consent.streams
where stream_id = $1 and not halted and marks -> 'referral' ->> 0 = '3' and $2 = '')
"""


async def resent(stage: Stage, random: Random) -> None:
    """Queue a whole log again, or one stream of it, as an operator may."""
    session = await connect(stage.dsn, schema=random.choice(SPOKEN))
    try:
        whole = random.random() < 0.5
        stream_id = await session.fetchval("select stream_id from streams order by random() limit 1")
        await republish(session, stream_id=None if whole else stream_id)
    finally:
        await session.close()


async def echoed(stage: Stage, random: Random) -> None:
    """Put the last records of a topic on it once more."""
    topic = topic_of(random.choice(SPOKEN))
    consumer = AIOKafkaConsumer(bootstrap_servers=stage.broker.bootstrap, enable_auto_commit=False)
    producer = AIOKafkaProducer(bootstrap_servers=stage.broker.bootstrap)
    async with consumer, producer:
        partition = TopicPartition(topic, random.randrange(PARTITIONS))
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        consumer.seek(partition, max(0, end - _ECHOED))
        for record in (await consumer.getmany(partition, timeout_ms=500)).get(partition, ()):
            await producer.send(
                topic, record.value, record.key, partition.partition, headers=list(record.headers)
            )
        await producer.flush()


async def rewound(stage: Stage, random: Random) -> None:
    """Let a whole group begin at the beginning again."""
    service = random.choice([name for name, sources in SOURCES.items() if sources])
    first = stage.members[f"{service}-1"]
    first.kept = False
    await asyncio.gather(first.stop(), stage.members[f"{service}-2"].stop())
    topics = [topic_of(source) for source in SOURCES[service]]
    try:
        await _rewind(stage.broker.bootstrap, f"samspil.{service}", topics)
    finally:
        first.kept = True


async def _rewind(bootstrap: str, group: str, topics: Sequence[str]) -> None:
    """Join a group as its only member, and leave it at the beginning of its topics.

    Raises `TimeoutError` where the broker accepts no member any more.
    """
    partitions = {TopicPartition(topic, n) for topic in topics for n in range(PARTITIONS)}
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        session_timeout_ms=3000,
    )

    async def alone() -> bool:
        return bool(consumer.assignment() == partitions)

    try:
        async with asyncio.timeout(_REWIND_SECONDS):
            await consumer.start()
            await until(alone, what=f"{group} to be left")
            await consumer.commit(dict.fromkeys(partitions, 0))
    finally:
        await consumer.stop()


def _other_source(good: Message) -> Message:
    return instead("ce_source", b"urn:samspil:agreement")(good)


def poison(kind: str, stream: UUID) -> Sequence[Message]:
    """Return the messages of one stream: a good first one, what cannot be taken, and what follows."""
    first, second, third = (a_message(stream, n, seen(n)) for n in (1, 2, 3))
    good = second.value
    bad: Mapping[str, Sequence[Message]] = {
        "body": [Message(second.type, second.key, b"{not json", second.headers)],
        "fields": [Message(second.type, second.key, b"{}", second.headers)],
        "oversized": [Message(second.type, second.key, good + b" " * 70_000, second.headers)],
        "source": [_other_source(second)],
        "tenant": [a_message(stream, 2, seen(2), tenant=HOSTILE)],
        "version": [a_message(stream, 2, seen(2), event_type="referral.seen.v2")],
        "another's event": [a_message(stream, 2, seen(2), event_type="consent.given.v1")],
        NEW: [a_message(stream, 2, seen(2), event_type="referral.something_new.v1")],
        "bug": [a_message(stream, 2, ReferralReady(referral_id=stream, send_by="2026-03-02"))],
        "hole": [],
        "divergence": [second, a_message(stream, 2, seen(7), event_id=uuid5(stream, "another"))],
    }
    middle = bad[kind] if kind in bad else [QUARANTINED[kind](second)]
    return [first, *middle, third]


KINDS: Final = (
    *("body", "fields", "oversized", "source", "another's event", "tenant", "version", "bug", "hole"),
    *("divergence", NEW),
    *QUARANTINED,
)
REASONS: Final = {
    "fields": "body",
    "hole": "gap",
    "oversized": "gap",
    "source": "gap",
    "tenant": "gap",
    "another's event": "gap",
    NEW: "",
}
"""Why the stream of a kind halts, where that is not the kind's own name; what says no stream leaves a gap."""


def reason_of(kind: str) -> str:
    """Return why the stream of a kind of poison halts."""
    return "gap" if kind in QUARANTINED else REASONS.get(kind, kind)


async def poisoned(stage: Stage, random: Random) -> None:
    """Put what cannot be taken on the first topic, in a stream of its own."""
    kind = random.choice(KINDS)
    stream = uuid5(NAMESPACE_URL, f"poison {kind} {random.random()}")
    stage.poisoned[stream] = kind
    await publish(stage.broker.bootstrap, poison(kind, stream))


async def poison_left(stage: Stage) -> str:
    """Return what of the poison does not wait yet."""
    left = [kind for stream, kind in stage.poisoned.items() if not await _waits(stage, stream, kind)]
    return f"{len(left)} of poison, such as: {left[0]}" if left else ""


async def poison_again(stage: Stage) -> None:
    """Send once more the poison that was forgotten."""
    for stream, kind in stage.poisoned.items():
        if not await _waits(stage, stream, kind):
            await publish(stage.broker.bootstrap, poison(kind, stream))


async def _waits(stage: Stage, stream: UUID, kind: str) -> bool:
    found: bool = await stage.query_value(_PASSED if kind == NEW else _WAITS, stream, reason_of(kind))
    return found
