"""Tests that share what is slow to start run in one worker."""

import re
from pathlib import Path

import pytest

from tests.distribution import TOGETHER, unit_of

TESTS = Path(__file__).parent.parent


def test_a_file_with_a_fixture_of_more_than_a_test_is_one_unit() -> None:
    """Else each worker would build the fixture for itself."""
    files = [file for folder in ("fault", "flow", "store") for file in (TESTS / folder).glob("test_*.py")]
    found = {
        str(file.relative_to(TESTS.parent))
        for file in files
        if re.search(r'fixture\(scope="(module|session)"', file.read_text(encoding="utf-8"))
    }

    assert found == TOGETHER


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("tests/flow/test_alerts.py::test_a", "tests/flow/test_alerts.py::test_b", True),
        ("tests/browser/test_a.py::test_a", "tests/browser/test_b.py::test_b[kafka]", True),
        ("tests/unit/test_ids.py::test_a", "tests/unit/test_ids.py::test_b[kafka]", True),
        ("tests/flow/test_relay.py::test_a[kafka]", "tests/flow/test_poison.py::test_b[kafka-1]", True),
        ("tests/flow/test_relay.py::test_a[embedded]", "tests/flow/test_relay.py::test_b[embedded]", False),
        ("tests/fault/test_campaign.py::test_a[kafka-2]", "tests/flow/test_poison.py::test_b[kafka]", False),
        ("tests/store/test_a.py::test_a[postgres-18]", "tests/store/test_a.py::test_b[postgres-18]", False),
    ],
)
def test_a_unit_goes_to_one_worker(one: str, other: str, together: bool) -> None:  # noqa: FBT001  a parameter
    """All other tests are handed out one by one."""
    assert (unit_of(one) == unit_of(other)) is together
