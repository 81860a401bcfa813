"""Secured Kafka: each service publishes on its own topic, consumes what it subscribes to, and no more."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from contracts.event import SERVICES, topic_of
from deploy.kafka_access import KafkaAccess, NoAccess, administrator
from deploy.principals import consumed_services, grant, user_of
from deploy.reader import set_reader, user_of_reader
from deploy.topics import PartitionsAreFixed, lay_topics
from tests.apache_kafka import ApacheKafka, apache_kafka, missing_for_kafka
from tests.kafka_security import Security, made_security
from tests.servers import running, scratch_folder
from tests.tls import agreed_version

pytestmark = pytest.mark.kafka

SOURCES = consumed_services()
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def security() -> Iterator[Security]:
    """Make the secrets of an installation."""
    with scratch_folder() as folder:
        yield made_security(folder / "secrets")


@pytest.fixture(scope="module")
def kafka(security: Security) -> Iterator[ApacheKafka]:
    """Run a Kafka with the production settings, its topics and its principals laid by the scripts."""
    if missing := missing_for_kafka():
        pytest.fail(f"Apache Kafka cannot run without {' and '.join(missing)}")
    with scratch_folder() as folder, running(apache_kafka(folder / "kafka", security=security)) as cluster:
        said = _topics_script(cluster, security)
        assert said.returncode == 0, said.stderr
        passwords = {service: security.password(service) for service in SOURCES}
        grant(security.operator(cluster.inner_bootstrap), SOURCES, passwords)
        yield cluster


async def test_the_topics_are_as_configured(kafka: ApacheKafka, security: Security) -> None:
    """Each service has its one topic, with the number of partitions that was set."""
    async with administrator(security.operator(kafka.inner_bootstrap)) as admin:
        found = await admin.describe_topics([topic_of(service) for service in SERVICES])

    assert {each["topic"]: len(each["partitions"]) for each in found} == {
        topic_of(each): 4 for each in SERVICES
    }


async def test_laying_topics_twice_changes_nothing(kafka: ApacheKafka, security: Security) -> None:
    """The script may run at every start."""
    operator = security.operator(kafka.inner_bootstrap)

    assert await lay_topics(operator, partitions=4, replication=1) == []


def test_another_partition_count_is_refused(kafka: ApacheKafka, security: Security) -> None:
    """Another number of partitions would let a case's events overtake each other: refused, with advice."""
    said = _topics_script(kafka, security, partitions=5)

    assert said.returncode == 1
    assert "has 4 partitions, and 5 are set" in said.stderr
    assert "Ask for 4 again" in said.stderr
    with pytest.raises(PartitionsAreFixed):
        asyncio.run(lay_topics(security.operator(kafka.inner_bootstrap), partitions=5, replication=1))


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_publishes_and_consumes_what_it_may(
    kafka: ApacheKafka, security: Security, service: str
) -> None:
    """Each principal writes its own topic, reads what it consumes and commits in its own group."""
    access = _access(kafka, security, service)
    await _publish(access, topic_of(service))

    for other in SOURCES[service]:
        await _publish(_access(kafka, security, other), topic_of(other))
        assert await _first_message(access, topic_of(other), group=user_of(service)) == b"an event"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_cannot_publish_for_another(
    kafka: ApacheKafka, security: Security, service: str
) -> None:
    """No principal writes a foreign topic, whether it consumes it or not."""
    for other in set(SERVICES) - {service}:
        with pytest.raises(TopicAuthorizationFailedError):
            await _publish(_access(kafka, security, service), topic_of(other))


@pytest.mark.parametrize("service", [each for each in SERVICES if set(SERVICES) - SOURCES[each]])
async def test_a_service_cannot_consume_another_without_a_right(
    kafka: ApacheKafka, security: Security, service: str
) -> None:
    """No principal reads a topic that its service does not consume."""
    for other in set(SERVICES) - SOURCES[service] - {service}:
        with pytest.raises(TopicAuthorizationFailedError):
            await _first_message(_access(kafka, security, service), topic_of(other), group=user_of(service))


async def test_a_service_cannot_read_in_anothers_group(kafka: ApacheKafka, security: Security) -> None:
    """No principal can join another service's group, and so take its share of the events."""
    with pytest.raises(GroupAuthorizationFailedError):
        await _first_message(
            _access(kafka, security, "referral"), topic_of("consent"), group=user_of("audit")
        )


async def test_a_service_makes_no_topics(kafka: ApacheKafka, security: Security) -> None:
    """Topics come from the script alone."""
    with pytest.raises(KafkaError):
        await _publish(_access(kafka, security, "referral"), "samspil.referral.v2")


async def test_a_wrong_password_is_refused_and_said(kafka: ApacheKafka, security: Security) -> None:
    """A wrong password is reported, with its user."""
    wrong = security.service(kafka.bootstrap, user_of("referral"), "guess")

    with pytest.raises(NoAccess, match=r"for samspil\.referral: .*[Aa]uthentication"):
        async with administrator(wrong):
            pass


async def test_an_unknown_authority_is_refused(kafka: ApacheKafka) -> None:
    """Without our authority's certificate a client does not trust the server, and stays away."""
    with scratch_folder() as folder:
        other = made_security(folder / "secrets")
        with pytest.raises(NoAccess, match="CERTIFICATE_VERIFY_FAILED"):
            async with administrator(other.operator(kafka.inner_bootstrap)):
                pass


async def test_older_versions_of_tls_are_refused(kafka: ApacheKafka) -> None:
    """The newest version that both know is taken, and none before 1.2."""
    port = int(kafka.bootstrap.rpartition(":")[2])

    assert await asyncio.to_thread(agreed_version, port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises(ssl.SSLError, match=r"ALERT_(PROTOCOL_VERSION|HANDSHAKE_FAILURE)"):
        await asyncio.to_thread(agreed_version, port, ssl.TLSVersion.TLSv1_1)


async def test_the_inner_listener_requires_a_certificate(kafka: ApacheKafka, security: Security) -> None:
    """The listener of nodes and operators requires a certificate of ours."""
    without = KafkaAccess(kafka.inner_bootstrap, authority=security.authority)

    with pytest.raises(NoAccess):
        async with administrator(without):
            pass


async def test_a_right_that_was_lost_is_taken_away(kafka: ApacheKafka, security: Security) -> None:
    """A service that no longer consumes another cannot read it; the second run changes nothing else."""
    operator = security.operator(kafka.inner_bootstrap)
    passwords = {service: security.password(service) for service in SOURCES}
    fewer = SOURCES | {"evaluation": SOURCES["evaluation"] - {"consent"}}

    grant(operator, fewer, passwords)
    grant(operator, fewer, passwords)
    try:
        access = _access(kafka, security, "evaluation")
        await _publish(access, topic_of("evaluation"))
        with pytest.raises(TopicAuthorizationFailedError):
            await _first_message(access, topic_of("consent"), group=user_of("evaluation"))
    finally:
        grant(operator, SOURCES, passwords)


async def test_a_reader_from_outside_reads_what_was_named_and_no_more(
    kafka: ApacheKafka, security: Security
) -> None:
    """Through the outer listener it reads its topics in its group; others, and writing, are refused."""
    operator = security.operator(kafka.inner_bootstrap)
    password = set_reader(operator, "statistics", ["referral", "audit"])
    assert password
    access = security.service(kafka.outside_bootstrap, user_of_reader("statistics"), password)
    await _publish(_access(kafka, security, "referral"), topic_of("referral"))

    assert await _first_message(access, topic_of("referral"), group="reader.statistics") == b"an event"
    with pytest.raises(TopicAuthorizationFailedError):
        await _first_message(access, topic_of("consent"), group="reader.statistics")
    with pytest.raises(GroupAuthorizationFailedError):
        await _first_message(access, topic_of("referral"), group=user_of("audit"))
    with pytest.raises(TopicAuthorizationFailedError):
        await _publish(access, topic_of("referral"), idempotent=False)

    assert set_reader(operator, "statistics", ["audit"]) is None
    with pytest.raises(TopicAuthorizationFailedError):
        await _first_message(access, topic_of("referral"), group="reader.statistics")


async def test_a_reader_is_listed_and_taken_away(kafka: ApacheKafka, security: Security) -> None:
    """Its password is shown once, replaced on demand, and worth nothing once the reader is removed."""
    operator, where = security.operator(kafka.inner_bootstrap), kafka.outside_bootstrap
    said = _reader_script(kafka, security, "add", "journal", "--topics", "audit")
    first = said.stdout.rpartition(": ")[2].strip()
    second = set_reader(operator, "journal", ["audit"], new_password=True)
    assert second

    assert "reader.journal may read samspil.audit.v1 in the group reader.journal." in said.stdout
    assert "journal" in _reader_script(kafka, security, "list").stdout.split()
    with pytest.raises(NoAccess):
        await _enter(security.service(where, "reader.journal", first))
    await _enter(security.service(where, "reader.journal", second))

    assert _reader_script(kafka, security, "remove", "journal").stdout == "journal reads nothing any more.\n"
    with pytest.raises(NoAccess):
        await _enter(security.service(where, "reader.journal", second))
    assert "there is no reader journal" in _reader_script(kafka, security, "remove", "journal").stderr
    assert "there is no service mail, but" in _reader_script(
        kafka, security, "add", "x", "--topics=mail"
    ).stderr  # fmt: skip


async def _enter(access: KafkaAccess) -> None:
    async with administrator(access):
        pass


def _reader_script(
    kafka: ApacheKafka, security: Security, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    where = ("--bootstrap", kafka.inner_bootstrap, "--secrets", str(security.secrets))
    argv = (sys.executable, "-m", "deploy.reader", *arguments, *where)
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def _topics_script(
    kafka: ApacheKafka, security: Security, *, partitions: int = 4
) -> "subprocess.CompletedProcess[str]":
    where = ("--bootstrap", kafka.inner_bootstrap, "--authority", str(security.authority))
    who = ("--certificate", str(security.secrets / "kafka_operator"))
    shape = ("--partitions", str(partitions), "--replication", "1")
    argv = (sys.executable, "-m", "deploy.topics", *where, *who, *shape)
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def _access(kafka: ApacheKafka, security: Security, service: str) -> KafkaAccess:
    return security.service(kafka.bootstrap, user_of(service), security.password(service))


async def _publish(access: KafkaAccess, topic: str, *, idempotent: bool = True) -> None:
    """Send one message, acknowledged by all; as the kernel's relay does where it is idempotent."""
    producer = AIOKafkaProducer(**access.for_aiokafka(), acks="all", enable_idempotence=idempotent)
    await producer.start()
    try:
        await asyncio.wait_for(producer.send_and_wait(topic, b"an event"), 60)
    finally:
        await producer.stop()


async def _first_message(access: KafkaAccess, topic: str, *, group: str) -> bytes | None:
    """Return the first message of a topic, read as a member of a group that commits."""
    async with _member(access, topic, group) as consumer:
        message = await asyncio.wait_for(consumer.getone(), 60)
        await consumer.commit({TopicPartition(message.topic, message.partition): message.offset + 1})
        value: bytes | None = message.value
        return value


@asynccontextmanager
async def _member(access: KafkaAccess, topic: str, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        topic,
        **access.for_aiokafka(),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=300,
    )
    try:
        await asyncio.wait_for(consumer.start(), 60)
        yield consumer
    finally:
        await consumer.stop()
