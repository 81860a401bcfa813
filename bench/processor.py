"""How much of the processor other processes have used, in seconds."""

import contextlib

import psutil


def seconds_of(process: psutil.Process) -> float:
    """Return the CPU seconds of a process so far, and of those of its children that have ended."""
    return float(sum(process.cpu_times()[:4]))


def family_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds so far of a process and all that it has started, ended ones included."""
    seconds = 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            seconds += seconds_of(one)
    return seconds
