"""Clocks: the system's, or in embedded mode a virtual one that can be advanced."""

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from services.kernel.atomic_files import write_whole
from services.kernel.errors import Refused
from services.kernel.settings import SettingsFault


class ClockBackwards(Refused):
    """Time can only be moved forward."""


class Clock(Protocol):
    """The time by which deadlines run."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """A clock that stands still until it is moved, with its time in a file that survives a restart."""

    def __init__(self, file: Path, start: datetime) -> None:
        """Read the time from the file, or begin at `start`; raise `SettingsFault`."""
        self._file = file
        self._now = _read(file) if file.exists() else start

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return self._now

    def move(self, to: datetime) -> None:
        """Set the time, durably; raise `ClockBackwards` where it lies in the past."""
        if to < self._now:
            raise ClockBackwards(f"it is {self._now.isoformat()}")
        write_whole(self._file, to.isoformat())
        self._now = to


def _read(file: Path) -> datetime:
    with contextlib.suppress(ValueError):
        kept = datetime.fromisoformat(file.read_text())
        if kept.tzinfo is not None:
            return kept
    raise SettingsFault(
        f"{file} holds no moment: write into it what time it was, as 2026-03-02T07:00:00+00:00"
    )


def wall_time() -> datetime:
    """Return the wall-clock time of the machine, for liveness and not for deadlines."""
    return datetime.fromtimestamp(time.time(), UTC)
