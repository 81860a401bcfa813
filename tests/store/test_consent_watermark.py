"""What is remembered of consents is trusted while it is fresh and whole, and not a moment longer."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.event import WhyDropped
from services.kernel.clock import wall_time
from services.kernel.kafka.partitioner import partition_of
from services.kernel.operations.discard import Discarding
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from services.kernel.streams.consent_watermark import ConsentWatermark
from services.kernel.streams.store import WriteSet, save
from services.kernel.streams.stream import LoadedStream, new_stream
from tests.examples_poison import a_parked
from tests.tally import ACTOR, TALLY, TENANT, case_id, running

PARTITIONS = 4
WATERMARK = ConsentWatermark(needed=True, partitions=PARTITIONS, seconds=60)
STREAM = case_id(1)
PART = partition_of(str(STREAM).encode(), PARTITIONS)
EVERYWHERE = range(PARTITIONS)


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to a service without any watermark."""
    await migrate(postgres_dsn, TALLY)
    connection = await connect(postgres_dsn, schema="consent")
    yield connection
    await connection.close()


def a_stream(*, halted: bool = False) -> LoadedStream:
    """Return a stream."""
    stream = new_stream(STREAM, TENANT)
    stream.halted = halted
    return stream


def ago(seconds: float) -> datetime:
    """Return a time that lies back."""
    return wall_time() - timedelta(seconds=seconds)


async def fresh(tx: Any, stream: LoadedStream | None = None, watermark: ConsentWatermark = WATERMARK) -> bool:
    """Return whether the consents of a stream are fresh."""
    one = stream or a_stream()
    key = one.tenant, one.stream_id
    found = await watermark.fresh_streams(tx, [key])
    return found is None or (key in found and not one.halted)


async def test_nothing_is_fresh_before_the_first_watermark(tx: Session) -> None:
    """A service that has just begun trusts nothing."""
    assert not await fresh(tx)


@pytest.mark.parametrize(("seconds", "trusted"), [(0, True), (55, True), (65, False)])
async def test_a_watermark_is_trusted_until_its_maximum_age(
    tx: Session, seconds: float, *, trusted: bool
) -> None:
    """As long as its greatest age."""
    await WATERMARK.advance(tx, dict.fromkeys(EVERYWHERE, ago(seconds)))

    assert await fresh(tx) is trusted


async def test_each_partition_stands_for_its_streams(tx: Session) -> None:
    """A watermark of another partition says nothing of this stream."""
    await WATERMARK.advance(tx, {part: ago(1) for part in EVERYWHERE if part != PART})
    before = await fresh(tx)
    await WATERMARK.advance(tx, {PART: ago(1)})

    assert (before, await fresh(tx)) == (False, True)


async def test_a_watermark_never_moves_back(tx: Session) -> None:
    """After a replay of the topic the newest watermark counts, whatever came last."""
    await WATERMARK.advance(tx, {PART: ago(1)})
    await WATERMARK.advance(tx, {PART: ago(600)})

    assert await fresh(tx)


async def test_a_watermark_from_the_future_makes_nothing_fresh(tx: Session) -> None:
    """A clock that was wrong for a while makes nothing fresh, and the next watermark replaces it."""
    await WATERMARK.advance(tx, {PART: ago(1)})
    await WATERMARK.advance(tx, {PART: ago(-3600)})
    ahead = await fresh(tx)
    await WATERMARK.advance(tx, {PART: ago(1)})

    assert (ahead, await fresh(tx)) == (False, True)


async def test_a_halted_stream_is_not_fresh(tx: Session) -> None:
    """What waits may be the loss of a consent."""
    await WATERMARK.advance(tx, {PART: ago(1)})

    assert not await fresh(tx, a_stream(halted=True))


async def test_an_unreadable_message_shuts_its_partition(tx: Session, postgres_dsn: str) -> None:
    """It may have withdrawn any consent; once an operator has discarded it the partition is fresh."""
    await WATERMARK.advance(tx, dict.fromkeys(EVERYWHERE, ago(1)))
    unreadable = [
        a_parked(7, topic="samspil.consent.v1", part=PART),
        a_parked(8, topic="samspil.directory.v1", part=PART),
    ]
    await save(tx, WriteSet(), parked=unreadable[1:])
    other_topic = await fresh(tx)
    await save(tx, WriteSet(), parked=unreadable[:1])
    shut = await fresh(tx)
    async with running(postgres_dsn, "", "none") as runtime, runtime.pool.acquire() as own:
        for row in await own.fetch("select id from parked_events where topic = 'samspil.consent.v1'"):
            await Discarding(runtime.processor, runtime.clock).discard(
                own, row["id"], why=WhyDropped.NOT_OURS, by=ACTOR, tenant=TENANT
            )

    assert (other_topic, shut, await fresh(tx)) == (True, False, True)


async def test_a_service_without_consents_needs_no_watermark(tx: Session) -> None:
    """The directory goes on without watermarks."""
    unconcerned = ConsentWatermark(needed=False, partitions=PARTITIONS, seconds=60)

    assert await fresh(tx, a_stream(halted=True), unconcerned)
