"""Whatever dies, sleeps, fills up or falls silent: what was promised is done once, in order, and soon."""

import pytest

from tests.fault.brokers import Kind
from tests.fault.campaign import campaign, table
from tests.servers import scratch_folder


@pytest.mark.parametrize(
    ("broker", "seed"), [("embedded", 1), pytest.param("kafka", 2, marks=pytest.mark.kafka)]
)
async def test_a_short_campaign_loses_doubles_and_disorders_nothing(broker: Kind, seed: int) -> None:
    """Fifty faults, each amid work, leave every ledger as it should be.

    How soon all has come to rest is the machine's affair; what does not come to rest at all is a finding.
    """
    with scratch_folder() as folder:
        result = await campaign(broker, seed, 50, folder)

    assert result.findings == [], table(result)
    assert result.faults.total() == 50
    assert result.events > 200
