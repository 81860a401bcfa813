"""A process dies at a named point only where a setting names it, and never in production."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.kernel.crash_points import VARIABLE, CrashRefused, arm_crash, crash_point
from tests.fault.faults import POINTS

ROOT = Path(__file__).parents[2]
PASS = """
from services.kernel.crash_points import arm_crash, crash_point
arm_crash("test")
for n in range(5):
    crash_point("publish.before")
    crash_point("publish.after")
    print(n, flush=True)
"""


def passing(wish: str) -> subprocess.CompletedProcess[str]:
    """Run a process that passes two points five times."""
    return subprocess.run(
        [sys.executable, "-c", PASS],
        env=os.environ | {VARIABLE: wish},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_process_dies_the_third_time_it_passes() -> None:
    """It is gone at once, in the middle of its third round."""
    died = passing("publish.after:3")

    assert died.returncode == -signal.SIGKILL
    assert died.stdout.split() == ["0", "1"]


def test_an_unarmed_point_does_nothing() -> None:
    """A process passes every other point, whatever is armed."""
    lived = [passing(wish) for wish in ("", "commit.after:1", "publish.after:6")]

    assert [each.returncode for each in lived] == [0, 0, 0]
    crash_point("publish.after")


def test_production_refuses_to_be_armed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where real people are served the variable keeps a service from starting."""
    monkeypatch.setenv(VARIABLE, "publish.after:3")
    with pytest.raises(CrashRefused):
        arm_crash("production")


def test_the_campaign_tries_every_point_there_is() -> None:
    """Each point that stands in the code is struck in some service, and no other is named."""
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "services" / "kernel").rglob("*.py"))
    there = set(re.findall(r'crash_point\("([a-z.]+)"\)', code))

    assert there == {point for points in POINTS.values() for point in points}
