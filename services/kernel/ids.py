"""Ids: UUIDv7, cheap to make one by one and in bulk."""

import os
import struct
import time
from typing import TypeAlias
from uuid import UUID

from asyncpg.pgproto import pgproto

StreamKey: TypeAlias = tuple[str, UUID]
"""Identity of a stream: its municipality and its id, which in another municipality is another stream."""

PersonKey: TypeAlias = tuple[str, UUID]
"""Identity of a person's data key: the municipality and the person's id."""

_VERSION_7 = 0x7000
_VARIANT = 1 << 63
_LOW_62 = (1 << 62) - 1
_END_OF_COUNTER = 0x1000
_AT_ONCE = 512
_numbers = struct.Struct(f"{_AT_ONCE}Q").unpack


class _Source:
    """The millisecond, a counter in it, and 62 random bits for each id (RFC 9562)."""

    def __init__(self) -> None:
        self.ms = 0
        self.counter = 0
        self.noise: list[int] = []

    def take(self) -> UUID:
        """Return an id that is greater than all before."""
        noise = self.noise
        if not noise:
            noise.extend(_numbers(os.urandom(8 * _AT_ONCE)))
        tail = noise.pop()
        ms = time.time_ns() // 1_000_000
        if ms > self.ms:
            self.ms, self.counter = ms, 0
        else:
            self.counter += 1
            if self.counter == _END_OF_COUNTER:
                self.ms, self.counter = self.ms + 1, 0
        head = self.ms << 16 | _VERSION_7 | self.counter
        return pgproto.UUID((head << 64 | _VARIANT | (tail & _LOW_62)).to_bytes(16, "big"))


_source = _Source()
os.register_at_fork(after_in_child=_Source.__init__.__get__(_source))

new_id = _source.take
"""Return one id."""


def new_ids(count: int) -> list[UUID]:
    """Return ids that sort by their millisecond and then in this order."""
    return [new_id() for _ in range(count)]


def as_uuid(text: str) -> UUID:
    """Return the id that a text spells; raise ValueError where it spells none."""
    return pgproto.UUID(text)
