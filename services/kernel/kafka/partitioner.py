"""Partitioner: the partition of a key by murmur2, as in Kafka's own clients."""

from functools import lru_cache
from uuid import NAMESPACE_URL, uuid5

from aiokafka.partitioner import murmur2

_POSITIVE = 0x7FFFFFFF


@lru_cache(maxsize=100_000)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & _POSITIVE


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key."""
    return _hash(key) % partitions


def key_in(partition: int, partitions: int, name: str) -> str:
    """Return an id, always the same, whose key lies in a partition: the stream of its watermarks."""
    n = 0
    while True:
        found = str(uuid5(NAMESPACE_URL, f"urn:samspil:tick:{name}:{partition}:{n}"))
        if partition_of(found.encode(), partitions) == partition:
            return found
        n += 1
