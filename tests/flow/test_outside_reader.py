"""An outsider reads our topics with tools of others, and finds what the contract promises."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from contracts.event import Event, service_of, topic_of
from contracts.golden import schema_of
from contracts.registry import EVENTS
from contracts.samples import sample_of
from deploy.principals import grant, user_of
from deploy.topics import lay_topics
from services.kernel.decider.service import EventMetadata
from services.kernel.kafka.cloudevents import Headers, Message, message_of
from tests.apache_kafka import apache_kafka
from tests.kafka_security import made_security
from tests.node_tools import run_node
from tests.servers import an_admin

TOPIC = "samspil.referral.v1"
SENT = "referral.sent.v1"
WATERMARK = "consent.ticked.v1"

STREAM = "01890000-0000-7000-8000-000000000001"
META = EventMetadata(
    datetime(2026, 3, 2, 8, 30, tzinfo=UTC),
    "01890000-0000-7000-8000-00000000000a",
    "caseworker",
    "01890000-0000-7000-8000-00000000000c",
    "01890000-0000-7000-8000-00000000000c",
    "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
)

pytestmark = pytest.mark.usefixtures("node_tools")


def a_message(name: str, *, meta: EventMetadata = META, seq: int = 1, **body: object) -> Message:
    """Return an event as the relay sends it, with the body of its published example."""
    kind: type[Event] = EVENTS[name]
    event = kind.model_validate_json(json.dumps(sample_of(schema_of(kind), name)))
    data = msgspec.json.encode({**event.model_dump(mode="json"), **body})
    event_id = f"01890000-0000-7000-8000-{seq:012d}"
    return message_of(event_id, STREAM, 0 if name == WATERMARK else seq, "0440", name, meta, data)


async def sent(bootstrap: str, messages: Sequence[Message], *, topics: Sequence[str] = (TOPIC,)) -> None:
    """Put messages on the topics of their services, spread over two partitions."""
    async with an_admin(bootstrap) as admin:
        await admin.create_topics(
            [NewTopic(topic, num_partitions=2, replication_factor=1) for topic in topics]
        )
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number, message in enumerate(messages):
            topic = topic_of(service_of(message.type)) if len(topics) > 1 else topics[0]
            await producer.send_and_wait(
                topic, message.value, key=message.key, headers=message.headers, partition=number % 2
            )


@dataclass(frozen=True)
class Reading:
    """What the outside reader said."""

    code: int
    summary: dict[str, dict[str, Any]]
    complaint: str


async def read(bootstrap: str, *topics: str, **env: str) -> Reading:
    """Let the outside reader read topics to their end."""
    run = await asyncio.to_thread(run_node, "read_topics.mjs", bootstrap, *topics, env=env)
    return Reading(run.returncode, json.loads(run.stdout or "{}"), run.stderr)


def without(message: Message, *names: str) -> Message:
    """Return a message that lacks headers."""
    return replaced(message, [(name, value) for name, value in message.headers if name not in names])


def replaced(message: Message, headers: Headers) -> Message:
    """Return a message with other headers."""
    return msgspec.structs.replace(message, headers=headers)


async def test_every_event_as_the_relay_sends_it_is_as_published(bootstrap: str) -> None:
    """All types on all topics: headers, key and body hold what the document says, to the last field."""
    topics = sorted({topic_of(service_of(name)) for name in EVENTS})
    await sent(bootstrap, [a_message(name, seq=n) for n, name in enumerate(EVENTS, start=1)], topics=topics)

    reading = await read(bootstrap, *topics)

    assert reading.code == 0, reading
    assert {topic for topic, found in reading.summary.items() if found["invalid"]} == set()
    assert sum(found["count"] for found in reading.summary.values()) == len(EVENTS)


async def test_an_event_without_a_trace_is_as_published(bootstrap: str) -> None:
    """Where nothing is traced the trace headers are absent."""
    await sent(bootstrap, [a_message(SENT, meta=msgspec.structs.replace(META, traceparent=""))])

    assert (await read(bootstrap, TOPIC)).summary == {TOPIC: {"count": 1, "invalid": []}}


async def test_an_empty_topic_is_read_at_once(bootstrap: str) -> None:
    """Nothing to read is no failure."""
    await sent(bootstrap, [])

    assert await read(bootstrap, TOPIC) == Reading(0, {TOPIC: {"count": 0, "invalid": []}}, "")


async def test_a_deviation_from_the_schema_is_reported_with_its_path(bootstrap: str) -> None:
    """Each deviation is reported by its rule and never by its value."""
    good = a_message(SENT)
    spoilt = {
        "body must have required property 'offer_id'": msgspec.structs.replace(
            good, value=good.value.replace(b"offer_id", b"offer")
        ),
        "body /answer_by must match format": a_message(SENT, answer_by="soon"),
        "body must NOT have additional properties child_name": a_message(SENT, child_name="Somebody"),
        "body is missing or cannot be read": msgspec.structs.replace(good, value=b"{"),
        "header must have required property 'ce_tenant'": without(good, "ce_tenant"),
        "header must have required property 'ce_sequence'": without(good, "ce_sequence"),
        "header /ce_role must match pattern": a_message(SENT, meta=msgspec.structs.replace(META, role="A B")),
        "header /ce_tenant must be string": replaced(
            without(good, "ce_tenant"), [*without(good, "ce_tenant").headers, ("ce_tenant", b"\xff")]
        ),
        "header child-name is not documented": replaced(good, [*good.headers, ("child-name", b"Somebody")]),
        "key must match format": msgspec.structs.replace(good, key=b"0101700000"),
        "key is not ce_partitionkey": msgspec.structs.replace(good, key=str(META.actor).encode()),
        "type consent.given.v1 is not documented for this topic": a_message("consent.given.v1"),
        "type undefined is not documented for this topic": without(good, "ce_type"),
    }
    await sent(bootstrap, [good, *spoilt.values()])

    reading = await read(bootstrap, TOPIC)

    said = sorted(
        reading.summary[TOPIC]["invalid"], key=lambda found: (int(found["offset"]), found["partition"])
    )
    assert reading.code == 1
    assert reading.summary[TOPIC]["count"] == len(spoilt) + 1
    assert len(said) == len(spoilt)
    for expected, found in zip(spoilt, said, strict=True):
        assert any(why.startswith(expected) for why in found["why"]), found
    assert "Somebody" not in json.dumps(reading.summary)


async def test_a_missing_topic_is_reported(bootstrap: str) -> None:
    """A reader that silently reads nothing would prove nothing."""
    reading = await read(bootstrap, "samspil.nowhere.v1", SECONDS="5")

    assert reading.code == 2
    assert reading.complaint


@pytest.mark.kafka
async def test_a_secured_kafka_is_read_with_a_password_in_a_file(tmp_path: Path) -> None:
    """An outsider with a user of its own reads what it has a right to, and gets an error otherwise."""
    security = made_security(tmp_path / "secrets")
    sources = {"audit": {"referral"}, "referral": set[str]()}
    message = a_message(SENT)
    async with apache_kafka(tmp_path / "kafka", security=security) as kafka:
        operator = security.operator(kafka.inner_bootstrap)
        await lay_topics(operator, partitions=2, replication=1)
        await asyncio.to_thread(grant, operator, sources, {name: security.password(name) for name in sources})
        access = security.service(kafka.bootstrap, user_of("referral"), security.password("referral"))
        async with AIOKafkaProducer(**access.for_aiokafka()) as producer:
            await producer.send_and_wait(TOPIC, message.value, key=message.key, headers=message.headers)
        env = {
            "KAFKA_CA_FILE": str(security.authority),
            "KAFKA_USERNAME": user_of("audit"),
            "KAFKA_PASSWORD_FILE": str(security.secrets / "kafka_audit"),
            "KAFKA_GROUP": user_of("audit"),
        }

        allowed = await read(kafka.bootstrap, TOPIC, **env)
        forbidden = await read(kafka.bootstrap, "samspil.consent.v1", **env, SECONDS="5")

    assert (allowed.code, allowed.summary) == (0, {TOPIC: {"count": 1, "invalid": []}})
    assert forbidden.code == 2
    assert "authorized" in forbidden.complaint
