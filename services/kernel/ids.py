"""UUIDv7 ids, made many at a time."""

import os
import time
from uuid import UUID

from asyncpg.pgproto import pgproto

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_LOW_62 = (1 << 62) - 1
_LOW_12 = (1 << 12) - 1
_AT_ONCE = 24


def new_ids(count: int) -> list[UUID]:
    """Return ids that sort by their millisecond and then in this order (RFC 9562, version 7)."""
    ms = time.time_ns() // 1_000_000
    noise = os.urandom(10 * count)
    first = int.from_bytes(noise[:2], "big") & 0x7FF
    ids: list[UUID] = []
    for n in range(count):
        counter = first + n
        stamp = (ms + (counter >> 12)) << 80
        low = int.from_bytes(noise[10 * n + 2 : 10 * n + 10], "big") & _LOW_62
        whole = stamp | _VERSION_7 | ((counter & _LOW_12) << 64) | _VARIANT | low
        ids.append(pgproto.UUID(whole.to_bytes(16, "big")))
    return ids


class _Pool:
    """Ids made a few at a time, and used within the millisecond that they name."""

    def __init__(self) -> None:
        self.ms = 0
        self.ids: list[UUID] = []

    def take(self) -> UUID:
        ms = time.time_ns() // 1_000_000
        if ms != self.ms or not self.ids:
            self.ids = new_ids(_AT_ONCE)[::-1]
            self.ms = ms
        return self.ids.pop()


_pool = _Pool()
os.register_at_fork(after_in_child=_Pool.__init__.__get__(_pool))


def new_id() -> UUID:
    """Return one id."""
    return _pool.take()


def as_uuid(text: str) -> UUID:
    """Return the id that a text spells; raise ValueError where it spells none."""
    return pgproto.UUID(text)
