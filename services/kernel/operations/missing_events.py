"""Missing events: those in a service's topic that its log has lost, as after a restore of the database."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.event import topic_of
from services.kernel.errors import Poison
from services.kernel.ids import as_uuid
from services.kernel.kafka.clients import BrokerUnreachable, consumer, start_client
from services.kernel.kafka.cloudevents import Record, decode_headers
from services.kernel.postgres.timelines import acknowledge, latest
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.parked import visible_type

_BATCH: Final = 500
_POLL_MS: Final = 500
_LARGEST_NUMBER: Final = 2**63 - 1
_CODE: Final = re.compile(r"[0-9]{4}", re.ASCII)
_COUNTED: Final = ("ce_id", "ce_subject", "ce_sequence", "ce_tenant")


async def find_missing_events(runtime: Runtime) -> list[dict[str, Any]]:
    """Return the events of a service's topic that its log lacks: offset, stream, number, type, time.

    Reads the whole topic and joins no group. What an older log no longer holds is not lost: a stream whose
    log begins later is compared from there on. The timeline counts as acknowledged (`TimelineBegun` ends).
    Raises `BrokerUnreachable`.
    """
    settings = runtime.settings
    reading = await start_client(consumer(settings, auto_offset_reset="earliest"), settings)
    try:
        begun = await latest(runtime.pool)
        found = await _read(reading, runtime)
    except KafkaError as fault:
        raise BrokerUnreachable(f"{settings.bootstrap} ({type(fault).__name__})") from None
    finally:
        await reading.stop()
    await acknowledge(runtime.pool, begun)
    return found


async def _read(reading: AIOKafkaConsumer, runtime: Runtime) -> list[dict[str, Any]]:
    topic = topic_of(runtime.service.name)
    partitions = [TopicPartition(topic, part) for part in range(runtime.settings.partitions)]
    reading.assign(partitions)
    ends = await reading.end_offsets(partitions)
    found: list[dict[str, Any]] = []
    while any([await reading.position(one) < ends[one] for one in partitions]):
        batches = await reading.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
        for records in batches.values():
            found += await _missing(runtime, records)
    return found


async def _missing(runtime: Runtime, records: Sequence[Record]) -> list[dict[str, Any]]:
    events = [one for record in records if (one := _described(record))]
    keys = [[one[name] for one in events] for name in ("tenant", "stream_id", "seq", "event_id")]
    rows = await runtime.pool.fetch(_UNKNOWN, *keys)
    unknown = {row["n"] for row in rows}
    return [one for n, one in enumerate(events, 1) if n in unknown]


def _described(record: Record) -> dict[str, Any] | None:
    """Return position and identity of an event; None for a watermark and for an unreadable record."""
    try:
        found, _ = decode_headers(record)
        event_id, stream, counted, tenant = (found[name].decode() for name in _COUNTED)
        seq = int(counted)
        if not 1 <= seq <= _LARGEST_NUMBER or not _CODE.fullmatch(tenant):
            return None
        return {
            "kafka_partition": record.partition,
            "kafka_offset": record.offset,
            "tenant": tenant,
            "stream_id": as_uuid(stream),
            "seq": seq,
            "event_id": as_uuid(event_id),
            "type": visible_type(found["ce_type"].decode()),
            "time": _time(found["ce_time"]),
        }
    except (Poison, KeyError, ValueError):
        return None


def _time(value: bytes) -> datetime | None:
    """Return the time of an event; None where the header holds none."""
    try:
        return datetime.fromisoformat(value.decode())
    except ValueError:
        return None


_UNKNOWN: Final = """
select w.n
from unnest($1::text[], $2::uuid[], $3::bigint[], $4::uuid[]) with ordinality
  as w (tenant, stream_id, seq, event_id, n)
where not exists (
  select from event_log e
  where e.tenant = w.tenant and e.stream_id = w.stream_id and e.seq = w.seq and e.event_id = w.event_id
) and w.seq >= coalesce(
  (select min(e.seq) from event_log e where e.tenant = w.tenant and e.stream_id = w.stream_id), 1
)
"""
