"""Consent watermark: up to which time a service has applied the consent service's events, by partition."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from contracts.event import topic_of
from services.kernel.clock import wall_time
from services.kernel.ids import StreamKey
from services.kernel.kafka.partitioner import partition_of
from services.kernel.postgres.connections import Tx

_SOURCE: Final = "consent"
_TOPIC: Final = topic_of(_SOURCE)


class ConsentWatermark:
    """Reads and advances the watermarks of one service, one per partition of the consent topic."""

    def __init__(self, *, needed: bool, partitions: int, seconds: float) -> None:
        """Trust a partition for `seconds` after its watermark; a service without consents needs none."""
        self._needed = needed
        self._partitions = partitions
        self._max_age = timedelta(seconds=seconds)

    async def fresh_streams(self, tx: Tx, keys: Iterable[StreamKey]) -> set[StreamKey] | None:
        """Return the streams in partitions with a fresh watermark; None where the service needs no consents.

        The consents of a halted stream are not whole, whatever the watermark: the caller checks that.
        """
        if not self._needed:
            return None
        now = wall_time()
        oldest, latest = now - self._max_age, now + self._max_age
        found = await tx.fetch(_READ, _SOURCE, _TOPIC)
        unread = {partition: senders for partition, at, senders in found if oldest <= at <= latest}
        count = self._partitions
        fresh: set[StreamKey] = set()
        for key in keys:
            senders = unread.get(partition_of(str(key[1]).encode(), count))
            if senders is not None and key[0] not in senders and "" not in senders:
                fresh.add(key)
        return fresh

    async def advance(self, tx: Tx, watermarks: dict[int, datetime]) -> None:
        """Store watermarks, after every event before them was applied.

        A watermark from the future comes from a clock that was wrong, and is replaced by the next one.
        """
        latest = wall_time() + self._max_age
        await tx.execute(_ADVANCE, _SOURCE, list(watermarks), list(watermarks.values()), latest)


# An unreadable message may have withdrawn any consent of its municipality: for that one the partition is not
# fresh, and for none where nobody knows whose it is. A function, for a request sees no parked event.
_READ = "select kafka_partition, watermark_at, unreadable_of from watermarks_of($1, $2)"

_ADVANCE = """
insert into consent_watermarks as old (source, kafka_partition, watermark_at)
select $1, n, at from unnest($2::integer[], $3::timestamptz[]) as t (n, at)
on conflict (source, kafka_partition) do update
set watermark_at = case
  when old.watermark_at > $4 then excluded.watermark_at else greatest(old.watermark_at, excluded.watermark_at)
end
"""
