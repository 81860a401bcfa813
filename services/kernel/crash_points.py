"""Crash points: kill the process at a named point of the event path, for the fault campaign alone."""

import os
import signal
from typing import Final

from services.kernel.errors import ProblemError

VARIABLE: Final = "SAMSPIL_CRASH_AT"
_armed: dict[str, int] = {}


class CrashRefused(ProblemError):
    """SAMSPIL_CRASH_AT ends a process on purpose: it is for tests, never where real people are served."""


def arm_crash(mode: str) -> None:
    """Arm the crash point that the environment names: `publish.after:3` is its third time.

    Raises `CrashRefused` in production, and ValueError where the variable cannot be read.
    """
    armed = os.environ.get(VARIABLE)
    if not armed:
        return
    if mode == "production":
        raise CrashRefused(VARIABLE)
    name, _, times = armed.partition(":")
    _armed[name] = int(times or 1)


def crash_point(name: str) -> None:
    """Kill this process at once where the point is armed and its count is reached."""
    if _armed and name in _armed:
        _armed[name] -= 1
        if _armed[name] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
