"""Die at a named point of the way of an event, as a power cut would have it: for the fault campaign alone."""

import os
import signal
from typing import Final

from services.kernel.errors import ProblemError

VARIABLE: Final = "SAMSPIL_CRASH_AT"
_armed: dict[str, int] = {}


class CrashRefused(ProblemError):
    """SAMSPIL_CRASH_AT ends a process on purpose: it is for tests, never where real people are served."""


def arm_crash(mode: str) -> None:
    """Arm the point that the environment names, as in `publish.after:3` for the third time it is passed.

    Raises `CrashRefused` in production, and ValueError where the variable cannot be read.
    """
    wish = os.environ.get(VARIABLE)
    if not wish:
        return
    if mode == "production":
        raise CrashRefused(VARIABLE)
    name, _, times = wish.partition(":")
    _armed[name] = int(times or 1)


def crash_point(name: str) -> None:
    """End this process at once, without any farewell, where this point is armed and its time has come."""
    if _armed and name in _armed:
        _armed[name] -= 1
        if _armed[name] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
