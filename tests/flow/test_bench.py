"""Each benchmark runs, as small as it can be, and does not pass off a run that lost something."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from bench.load import InvalidRunError
from bench.refill import PartitionMessages, Reached, bare, filled
from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.servers import postgres
from services.kernel.settings import Settings
from tests.servers import scratch_folder
from tests.tally import a_message, case_id, seen

ROOT = Path(__file__).parents[2]
PLACE = TopicPartition("samspil.referral.v1", 2)
SMALLEST: Mapping[str, tuple[str, ...]] = {
    "growth": ("--sizes=1", "--cases=50", "--repeats=1"),
    "refill": ("--events=1", "--repeats=1"),
    "scale": ("--events=1", "--repeats=1", "--members=1"),
    "snapshot": ("--events=25", "--rounds=1"),
    "idle": ("--rest=1", "--seconds=1"),
    "slow_clients": ("--clients=1", "--seconds=1", "--repeats=1"),
}
SLOW_TO_START = frozenset({"refill", "scale", "slow_clients"})
"""Benchmarks that take long however small they are."""
SAYS: Mapping[str, str] = {
    "growth": "at_1 to at_1: CPU a hop 1.00",
    "refill": "refill to the bare producer: ",
    "scale": "1 processes ",
    "snapshot": "let go ",
    "idle": "% of a core (server ",
    "slow_clients": "one request with 8 MB of headers: ",
    "start": "all of them passed by by all consumers after ",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=[pytest.mark.campaign] * (one in SLOW_TO_START)) for one in SMALLEST],
)
def test_a_benchmark_runs_to_its_end(name: str) -> None:
    """At the smallest size its figures mean little, but they come."""
    assert SAYS[name] in benched(name, *SMALLEST[name])


async def test_a_start_is_timed_on_data_that_is_there() -> None:
    """The folder of a server is started on once."""
    with scratch_folder() as folder:
        async with postgres(folder / "postgres", port=free_port()):
            pass
        assert SAYS["start"] in benched("start", f"--data={folder}")


async def test_a_broker_that_lacks_an_event_is_no_figure() -> None:
    """A way that leaves one out is not compared with those that send all."""
    partitions: PartitionMessages = {PLACE: [a_message(case_id(n), 1, seen(n)) for n in range(3)]}

    async def one_short(settings: Settings) -> Reached:
        return await bare({PLACE: partitions[PLACE][1:]}, settings)

    async def whole(settings: Settings) -> Reached:
        return await bare(partitions, settings)

    assert (await filled("", whole, partitions)).events == 3
    with pytest.raises(InvalidRunError, match="holds"):
        await filled("", one_short, partitions)


def benched(name: str, *arguments: str) -> str:
    """Run a benchmark by itself, and return what it printed."""
    command = (sys.executable, "-m", f"bench.{name}", *arguments)
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
