"""Access streams: the stream in which each person's accesses and denials are recorded, by a random id."""

from collections import OrderedDict
from typing import Final
from uuid import UUID

from services.kernel.ids import new_id
from services.kernel.postgres.connections import Tx

_CACHE_SIZE: Final = 10_000


class AccessStreams:
    """The access streams of one service, with those found last in memory."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: OrderedDict[tuple[str, UUID], UUID] = OrderedDict()

    async def stream_of(self, tx: Tx, tenant: str, actor_id: UUID) -> UUID:
        """Return the stream of a person's accesses in a municipality; the first access makes its id.

        The id is part of the transaction of the access, and is remembered only once it is read again: what a
        transaction has made may never be committed.
        """
        found = self._found.get((tenant, actor_id)) or await tx.fetchval(_READ, tenant, actor_id)
        if found is None:
            made: UUID | None = await tx.fetchval(_INSERT, tenant, actor_id, new_id())
            # None where another process was faster: its row is visible to the next statement
            return made or await tx.fetchval(_READ, tenant, actor_id)
        self._found[tenant, actor_id] = found
        self._found.move_to_end((tenant, actor_id))
        if len(self._found) > _CACHE_SIZE:
            self._found.popitem(last=False)
        return found


_READ: Final = "select stream_id from access_streams where tenant = $1 and actor_id = $2"

_INSERT: Final = """
insert into access_streams (tenant, actor_id, stream_id) values ($1, $2, $3)
on conflict (tenant, actor_id) do nothing
returning stream_id
"""
