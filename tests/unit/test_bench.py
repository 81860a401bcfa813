"""What a benchmark reckons from what it measured, and what it refuses to measure."""

import importlib
import re
import subprocess
import sys
import time

import psutil
import pytest

from bench import growth, idle, scale
from bench.figures import spread
from bench.load import InvalidRunError, Run
from bench.processor import family_seconds, seconds_of
from bench.refill import Filled
from bench.scale import Shared
from bench.snapshot import Seen
from bench.start import LAG, PENDING, Waiting, is_at_rest, numbers

BUSY = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
EXPOSED = """# TYPE samspil_pending gauge
samspil_pending{service="audit"} 0.0
samspil_pending{service="consent"} 1.2e+03
samspil_pending_age_seconds{service="audit"} 7.0
"""
REFUSED = {
    "growth": ("--cases=0", "--repeats=0", "--sizes=0", "--cases=few"),
    "refill": ("--events=0", "--repeats=0", "--events=1.5"),
    "scale": ("--events=0", "--repeats=-1", "--members=0"),
    "snapshot": ("--events=0", "--rounds=0"),
    "start": ("--events=0", "--repeats=0", "--data=/nowhere"),
    "idle": ("--seconds=0", "--rest=0"),
    "slow_clients": ("--clients=0", "--seconds=0", "--repeats=0"),
}


def a_run(seconds: float, python: float, postgres: float) -> Run:
    """Return a batch of ten hops."""
    return Run(10, seconds, python, postgres, 100.0)


@pytest.mark.parametrize(("name", "option"), [(name, one) for name, all_ in REFUSED.items() for one in all_])
def test_what_cannot_be_measured_is_refused(
    name: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing at all would end in a division by nothing, after minutes: it is refused at once."""
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"bench.{name}").main([option])

    assert ended.value.code == 2
    assert f"python -m bench.{name}: error: " in capsys.readouterr().err


def test_a_spread_is_printed_with_its_median() -> None:
    """The median of ratios stands before the least and the greatest of them."""
    assert spread(ratio for ratio in (3.0, 1.0, 1.5)) == "1.50 (1.00 to 3.00)"
    assert spread([2.0, 1.0]) == "1.50 (1.00 to 2.00)"


def test_sizes_are_compared_run_by_run() -> None:
    """A run is held against the one of the smallest size that stood beside it, not against all of them."""
    runs = {
        "small": [a_run(1.0, 1.0, 1.0), a_run(2.0, 4.0, 2.0)],
        "large": [a_run(2.0, 2.0, 4.0), a_run(4.0, 8.0, 6.0)],
    }

    *_, itself, larger = growth.lines(runs)

    ones = "1.00 (1.00 to 1.00)"
    assert itself == f"small to small: CPU a hop {ones}, PostgreSQL's part {ones}, hops/s {ones}"
    assert larger == (
        "large to small: CPU a hop 2.67 (2.33 to 3.00), PostgreSQL's part 3.50 (3.00 to 4.00),"
        " hops/s 0.50 (0.50 to 0.50)"
    )


def test_a_crew_is_held_against_the_smallest() -> None:
    """Twice the rate of one process is 2.00, whichever numbers of processes were set."""
    runs = {
        members: [Shared(members, 100, seconds, 1.0, 1.0, 1.0, 1.0) for seconds in lasted]
        for members, lasted in {2: (4.0, 2.0), 4: (2.0, 2.0), 8: (4.0, 1.0)}.items()
    }

    assert scale.lines(runs) == ["4 to 2: 1.50 (1.00 to 2.00)", "8 to 2: 1.50 (1.00 to 2.00)"]


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What neither we nor idleness took of the cores was taken by others."""
    monkeypatch.setattr("os.cpu_count", lambda: 4)

    assert Shared(2, 1_000, 2.0, python=2.0, postgres=1.0, broker=0.5, idle=1.5).line() == (
        "2 processes      500 events/s   cores: Python 1.00, PostgreSQL 0.50, broker 0.25,"
        " others 1.50, idle 0.75"
    )


def test_cpu_is_printed_per_event() -> None:
    """A second of CPU over a million events is a microsecond an event."""
    line = Filled(1_000_000, 2.0, python=3.0, postgres=4.0, broker=5.0).line("refill")

    assert re.sub(" +", " ", line) == (
        "refill 500,000 events/s CPU µs an event: Python 3.0, PostgreSQL 4.0, broker 5.0"
    )


def test_a_snapshot_at_rest_is_a_line() -> None:
    """Dead rows, size, and what a read takes."""
    assert re.sub(" +", " ", Seen(1_200, 64, 0.126).line("held")) == (
        "held 1,200 dead rows, 64 kB, a read takes 0.13 ms"
    )


def test_a_number_is_read_from_its_metric() -> None:
    """All values of one metric, and none of another whose name begins alike."""
    assert numbers(PENDING, EXPOSED) == [0.0, 1200.0]
    assert numbers(LAG, EXPOSED) == []


def test_a_missing_metric_is_not_zero() -> None:
    """A server that has not counted yet is not at rest, nor is one of which a part has not."""
    assert not is_at_rest([])
    assert not is_at_rest([0.0], at_least=2)
    assert not is_at_rest([0.0, 1.0])
    assert is_at_rest([0.0, 0.0], at_least=2)


def test_a_server_that_ended_is_not_waited_for() -> None:
    """It says how it ended, instead of nothing for five minutes."""
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()

    with pytest.raises(InvalidRunError, match="exit code 3"):
        Waiting(process, time.monotonic()).until(lambda: False)


def test_what_an_ended_process_used_is_counted() -> None:
    """PostgreSQL ends and begins processes all the time; what they used is not lost with them."""
    ourselves = psutil.Process()
    before = family_seconds(ourselves)
    subprocess.run([sys.executable, "-c", BUSY], check=True)

    assert family_seconds(ourselves) - before >= 0.2


def test_each_part_is_counted_apart() -> None:
    """A child of the server that is no broker counts as PostgreSQL's, and the server as itself."""
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        used = idle.used_by_part(psutil.Process())
    finally:
        child.communicate()

    assert used.keys() - {"broker"} == {"server", "PostgreSQL"}  # one may run here for other tests
    assert 0 < used["server"] <= seconds_of(psutil.Process())
