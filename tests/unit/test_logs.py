"""A log says what happened once, and never in the words of a library or of a person."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from services.kernel import logging as logs
from services.kernel.logging import OncePerCause, set_up_logs


def ours(level: int, **said: object) -> logging.LogRecord:
    """Return a line of ours as it reaches the handler."""
    message: Any = {"timestamp": str(said.pop("at", "0")), **said}
    return logging.LogRecord("samspil", level, "structlog.py", 1, message, None, None)


def of_a_library(line: int) -> logging.LogRecord:
    """Return a line that a library writes."""
    return logging.LogRecord("aiokafka", logging.ERROR, "client.py", line, "Karen %s", ("x",), None)


def test_a_warning_of_ours_is_written_once_a_cause() -> None:
    """The same cause again, whenever, is counted; another service's is another cause."""
    quiet = OncePerCause()
    said = [
        ours(logging.WARNING, event="relay_failed", service=service, at=n)
        for service in ("referral", "consent")
        for n in range(50)
    ]

    assert sum(map(quiet.filter, said)) == 2


def test_information_and_errors_always_pass() -> None:
    """A repeated error is written each time."""
    quiet = OncePerCause()
    said = [ours(level, event="x") for level in (logging.INFO, logging.ERROR) for _ in range(10)]

    assert sum(map(quiet.filter, said)) == 20


def test_a_library_writes_once_per_position_in_its_code() -> None:
    """However loud it is."""
    quiet = OncePerCause()

    assert sum(quiet.filter(of_a_library(n % 3)) for n in range(300)) == 3


def test_after_a_while_it_is_written_again() -> None:
    """A lasting cause is written again after the interval."""
    quiet = OncePerCause(seconds=0.0)

    assert all(quiet.filter(of_a_library(1)) for _ in range(3))


def test_causes_are_not_collected_for_ever() -> None:
    """Ever new causes do not fill the memory."""
    quiet = OncePerCause()
    for n in range(3_000):
        quiet.filter(ours(logging.WARNING, event="x", kind=n))

    assert len(quiet._last) <= 1_000


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Set logs up as a process does, on a sheet of the test's own, and put everything back."""
    root, sheet = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs._LIBRARIES}
    monkeypatch.setattr("sys.stderr", sheet)
    set_up_logs("info")
    yield sheet
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def test_a_line_is_one_json_object(written: io.StringIO) -> None:
    """With time, level and what happened."""
    structlog.stdlib.get_logger("samspil").info("serving", port=8080)

    line = json.loads(written.getvalue())
    assert (line["event"], line["level"], line["port"]) == ("serving", "info", 8080)
    assert line["timestamp"].endswith("Z")


def test_the_message_of_a_library_is_left_out(written: io.StringIO) -> None:
    """Its position and the exception type remain."""
    try:
        int("Karen Hansen")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("the body was %s", "Karen Hansen")

    line = json.loads(written.getvalue())
    assert "Karen" not in written.getvalue()
    assert (line["event"], line["logger"], line["kind"]) == ("library", "uvicorn.error", "ValueError")
    assert line["position"].startswith("test_logs:")
