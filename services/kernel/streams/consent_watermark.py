"""How far back what a service remembers of consents may be trusted."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from contracts.event import topic_of
from services.kernel.clock import wall
from services.kernel.decider.service import Tx
from services.kernel.kafka.partitioner import partition_of
from services.kernel.streams.store import LoadedStream

_SOURCE: Final = "consent"


class ConsentWatermark:
    """Reads and moves the ticks that a service has applied, per partition of their topic."""

    def __init__(self, *, needed: bool, partitions: int, seconds: float) -> None:
        """Trust a partition for `seconds` after its last tick; who hears no consents needs none."""
        self._needed = needed
        self._partitions = partitions
        self._max_age = timedelta(seconds=seconds)

    async def freshness(self, tx: Tx) -> Callable[[LoadedStream], bool]:
        """Return whether what is known of a stream's consents is fresh and whole, as a function."""
        if not self._needed:
            return _always
        rows = await tx.fetch(_READ, _SOURCE, topic_of(_SOURCE))
        ticks: dict[int, datetime] = {row["part"]: row["at"] for row in rows}
        now = wall()
        oldest, latest = now - self._max_age, now + self._max_age

        def fresh(stream: LoadedStream) -> bool:
            at = ticks.get(partition_of(stream.key.encode(), self._partitions))
            return at is not None and oldest <= at <= latest and not stream.halted

        return fresh

    async def advance(self, tx: Tx, ticks: dict[int, datetime]) -> None:
        """Remember ticks, after all that stood before them was applied.

        A tick from the future was told by a clock that went wrong, and gives way to the next.
        """
        latest = wall() + self._max_age
        await tx.execute(_ADVANCE, _SOURCE, list(ticks), list(ticks.values()), latest)


def _always(_row: LoadedStream) -> bool:
    return True


# A quarantined message may have been the loss of anybody's consent: its partition is not whole.
_READ = """
select part, at from horizon
where source = $1
  and not exists (
    select from parked_events as q where q.stream_id is null and q.topic = $2 and q.part = horizon.part
  )
"""

_ADVANCE = """
insert into horizon as old (source, part, at)
select $1, part, at from unnest($2::integer[], $3::timestamptz[]) as t (part, at)
on conflict (source, part) do update
set at = case when old.at > $4 then excluded.at else greatest(old.at, excluded.at) end
"""
