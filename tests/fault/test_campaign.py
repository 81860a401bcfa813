"""Whatever dies, sleeps, fills up or falls silent: what was promised is done once, in order, and soon."""

from collections.abc import Sequence

import pytest

from tests.fault.brokers import Kind
from tests.fault.campaign import campaign, table
from tests.fault.faults import FAULTS, full_disk, full_log
from tests.servers import scratch_folder

EVERYWHERE = [
    name
    for name, one in FAULTS.items()
    if {"embedded", "kafka"} <= {*one.brokers} and one.strike not in (full_disk, full_log)
]
"""Kinds of faults that every machine allows on both brokers."""


on_both = pytest.mark.parametrize(
    ("broker", "seed"), [("embedded", 1), pytest.param("kafka", 2, marks=pytest.mark.kafka)]
)


@on_both
async def test_a_short_campaign_loses_doubles_and_disorders_nothing(broker: Kind, seed: int) -> None:
    """Every kind of fault, each amid work and on one of the brokers, leaves every ledger as it should be.

    How soon all has come to rest is the machine's affair; what does not come to rest at all is a finding.
    """
    await _played(broker, seed, EVERYWHERE[seed - 1 :: 2])


@pytest.mark.campaign
@on_both
async def test_a_campaign_of_every_fault_on_each_broker_loses_nothing(broker: Kind, seed: int) -> None:
    """Every kind of fault on either broker."""
    await _played(broker, seed, EVERYWHERE)


async def _played(broker: Kind, seed: int, kinds: Sequence[str]) -> None:
    with scratch_folder() as folder:
        result = await campaign(broker, seed, len(kinds), folder, only=kinds, short=True)

    assert result.findings == [], table(result)
    assert result.faults.total() == len(kinds)
    assert min(result.faults[kind] for kind in kinds) > 0
    assert result.events > 100
