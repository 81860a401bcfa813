"""A key lies in the partition where Kafka's own clients would put it."""

from uuid import NAMESPACE_URL, uuid5

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.kafka.partitioner import key_in, partition_of

# From the tests of Apache Kafka's own client (UtilsTest.testMurmur2), as unsigned 31-bit numbers.
OF_KAFKA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@given(key=st.binary(max_size=80), count=st.integers(1, 100))
def test_the_partition_is_that_of_the_default_partitioner(key: bytes, count: int) -> None:
    """Whoever sends to the topic with a standard client reaches the same partition."""
    everywhere = list(range(count))

    assert partition_of(key, count) == DefaultPartitioner()(key, everywhere, everywhere)


@pytest.mark.parametrize(("key", "hashed"), OF_KAFKA.items())
def test_the_hash_is_that_of_apache_kafka(key: bytes, hashed: int) -> None:
    """Java's murmur2 puts these keys where we do."""
    assert partition_of(key, 1 << 31) == hashed & 0x7FFFFFFF


def test_streams_spread() -> None:
    """A thousand cases over twelve partitions leave none empty and none with a third of all."""
    counts = [0] * 12
    for n in range(1000):
        counts[partition_of(str(uuid5(NAMESPACE_URL, f"case {n}")).encode(), 12)] += 1

    assert min(counts) > 0
    assert max(counts) < 334


@pytest.mark.parametrize("count", [1, 4, 12, 50])
def test_watermarks_have_a_key_in_every_partition(count: int) -> None:
    """There is a key for each partition, always the same, and another one for each service."""
    keys = [key_in(partition, count, "consent") for partition in range(count)]

    assert [partition_of(key.encode(), count) for key in keys] == list(range(count))
    assert keys == [key_in(partition, count, "consent") for partition in range(count)]
    assert not set(keys) & {key_in(partition, count, "referral") for partition in range(count)}
