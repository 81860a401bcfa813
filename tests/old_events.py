"""Old events: append them to a service's log, and commit the offsets of its consumers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.event import topic_of
from services.kernel.decider.service import EventMetadata
from services.kernel.ids import new_id
from services.kernel.outbox.republish import republish
from services.kernel.runtime.runtime import Runtime
from tests.tally import START, TENANT
from tests.waiting import until

A_DAY = """
create table event_log_20250101 partition of event_log for values from ('2025-01-01') to ('2025-01-02')
"""
AN_EVENT = """
insert into event_log (created_on, stream_id, seq, event_id, tenant, type, meta, data)
values ('2025-01-01', $1, 1, $1, $2, $3, $4, $5)
"""


@asynccontextmanager
async def relayed(runtime: Runtime) -> AsyncIterator[None]:
    """Run the relay of a service without a consumer while the block runs."""
    relay = asyncio.create_task(runtime.relay.run())
    try:
        yield
    finally:
        runtime.relay.stop()
        await relay


async def append_old_event(runtime: Runtime, migrator: str) -> None:
    """Put an event into the log, on a day whose partition this login makes, and wait until it is sent."""
    name = runtime.service.name
    connection = await asyncpg.connect(migrator, server_settings={"search_path": name})
    await connection.execute(A_DAY)
    await connection.close()
    who = new_id()
    said = runtime.service.denied_event(case_id=new_id(), wanted="look", slug="not_allowed")
    meta = EventMetadata(START, str(who), "caseworker", str(who), str(who))
    kept = (said.type, msgspec.json.encode(meta).decode(), said.model_dump_json())
    async with runtime.pool.acquire() as tx:
        await tx.execute(AN_EVENT, who, TENANT, *kept)
        await republish(tx, stream_id=who)
    await until(lambda: nothing_pending(runtime))


async def nothing_pending(runtime: Runtime) -> bool:
    """Return whether all was sent."""
    return not await runtime.pool.fetchval("select exists (select from pending)")


async def commit_all_offsets(consumer_name: str, service: str, partitions: int, **how: object) -> None:
    """Commit the end offsets of a service's topic for one of its consumers."""
    consumer = AIOKafkaConsumer(**how, group_id=f"samspil.{consumer_name}", enable_auto_commit=False)
    await consumer.start()
    partitions_of_topic = [TopicPartition(topic_of(service), n) for n in range(partitions)]
    consumer.assign(partitions_of_topic)
    await consumer.commit(await consumer.end_offsets(partitions_of_topic))
    await consumer.stop()
