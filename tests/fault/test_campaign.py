"""Whatever dies, sleeps, fills up or falls silent: what was promised is done once, in order, and soon."""

import pytest

from tests.fault.brokers import Kind
from tests.fault.campaign import campaign, table
from tests.fault.faults import FAULTS, full_disk, full_log
from tests.servers import scratch_folder

COUNT = 24
EVERYWHERE = [
    name
    for name, one in FAULTS.items()
    if {"embedded", "kafka"} <= {*one.brokers} and one.strike not in (full_disk, full_log)
]
"""Kinds of faults that every machine allows on both brokers."""


@pytest.mark.parametrize(
    ("broker", "seed"), [("embedded", 1), pytest.param("kafka", 2, marks=pytest.mark.kafka)]
)
async def test_a_short_campaign_loses_doubles_and_disorders_nothing(broker: Kind, seed: int) -> None:
    """Every kind of fault, each amid work, leaves every ledger as it should be.

    How soon all has come to rest is the machine's affair; what does not come to rest at all is a finding.
    """
    with scratch_folder() as folder:
        result = await campaign(broker, seed, COUNT, folder, short=True)

    assert result.findings == [], table(result)
    assert result.faults.total() == COUNT
    assert min(result.faults[kind] for kind in EVERYWHERE) > 0
    assert result.events > 100
