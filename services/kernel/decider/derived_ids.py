"""Derived ids: of a thing that follows from another, the same in each service and each time; pure."""

import hashlib
from typing import Final
from uuid import UUID

_TIME: Final = 80
_RANDOM: Final = (1 << _TIME) - 1
_VERSION_7: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_FREE: Final = ~(0xF << 76 | 0b11 << 62)


def derived_id(of: UUID, name: str) -> UUID:
    """Return the id of what is called so of another thing: a UUIDv7 with that one's time, a digest besides.

    Nobody can calculate it who does not know the id that it is derived from.
    """
    digest = int.from_bytes(hashlib.sha256(of.bytes + name.encode()).digest())
    random = digest & _RANDOM & _FREE | _VERSION_7 | _VARIANT
    return UUID(int=of.int >> _TIME << _TIME | random)
