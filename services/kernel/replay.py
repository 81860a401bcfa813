"""Take parked events up again, in order, through the same path as the first time."""

from typing import Any, Final
from uuid import UUID

from services.kernel import metrics
from services.kernel.hearing import Hearing
from services.kernel.parking import WAITING, unpark
from services.kernel.service import Tx
from services.kernel.step import Step
from services.kernel.weighing import Heard

_PORTION: Final = 200


class Replay:
    """Replays what one service has parked."""

    def __init__(self, step: Step) -> None:
        """Replay through the service's own step."""
        self._step = step
        self._hearing = Hearing(step.service)

    async def heal(self, tx: Tx, stream_id: UUID) -> int:
        """Take up what only waited for an earlier event; return how many events were applied."""
        return await self.drain(tx, stream_id, poison=False)

    async def drain(self, tx: Tx, stream_id: UUID, *, poison: bool = True) -> int:
        """Apply a stream's parked events in order while they can be; return how many were.

        With `poison` those are tried again too that could not be read or applied the first time. The stream
        flows again once none is left.
        """
        applied = 0
        progress = True
        while progress:
            progress = False
            for source in await tx.fetch(_SOURCES, stream_id):
                done = await self._drain_source(tx, stream_id, source["source"], poison=poison)
                applied += done
                progress = progress or done > 0
        await tx.execute(_RELEASE, stream_id)
        return applied

    async def _drain_source(self, tx: Tx, stream_id: UUID, source: str, *, poison: bool) -> int:
        rows = await tx.fetch(_PARKED, stream_id, source, _PORTION)
        done = 0
        for row in rows:
            if not poison and row["reason"] not in WAITING:
                break
            if not await self._take_up(tx, row):
                break
            done += 1
        return done

    async def _take_up(self, tx: Tx, row: Any) -> bool:
        """Apply one event and delete its row in one transaction; return whether it was applied."""
        heard, _, _ = self._hearing.read([unpark(row)])
        if not heard:
            return False
        event: Heard = heard[0]
        event.again = True
        async with tx.transaction():
            outcome = await self._step.once(tx, [event], keep_parked=False)
            if outcome.parked:
                await tx.execute(_TRIED, row["id"], outcome.parked[0].reason)
                return False
            await tx.execute("delete from parked_events where id = $1", row["id"])
        self._step.tell(outcome)
        metrics.HEARD.labels(self._step.service.name, "replayed").inc()
        return True

    async def drop(self, tx: Tx, parked_id: int) -> bool:
        """Give one parked event up for good, let its stream go on; return whether it was there."""
        async with tx.transaction():
            row = await tx.fetchrow("delete from parked_events where id = $1 returning *", parked_id)
            if row is None:
                return False
            if row["stream_id"] is not None:
                await tx.execute(
                    _GO_ON_BEHIND, row["stream_id"], row["source"], row["seq"], str(row["event_id"])
                )
        if row["stream_id"] is not None:
            await self.drain(tx, row["stream_id"])
        return True


_SOURCES: Final = "select distinct source from parked_events where stream_id = $1 order by source"

_PARKED: Final = """
select * from parked_events where stream_id = $1 and source = $2 order by seq, id limit $3
"""

_TRIED: Final = "update parked_events set attempts = attempts + 1, reason = $2 where id = $1"

_RELEASE: Final = """
update streams set parked = false, version = version + 1
where stream_id = $1 and parked and not exists (select from parked_events where stream_id = $1)
"""

_GO_ON_BEHIND: Final = """
update streams
set marks = jsonb_set(marks, array[$2], jsonb_build_array($3::bigint, $4::text)), version = version + 1
where stream_id = $1 and coalesce((marks -> $2 ->> 0)::bigint, 0) = $3::bigint - 1
"""
