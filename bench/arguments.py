"""Command-line arguments of the benchmarks."""

import argparse


def command(module: str, does: str, **counts: tuple[int, str]) -> argparse.ArgumentParser:
    """Return what reads a benchmark's command line; each of `counts` is a default and what is counted."""
    wanted = argparse.ArgumentParser(prog=f"python -m {module}", description=does)
    for name, (usual, what) in counts.items():
        wanted.add_argument(f"--{name}", type=at_least_one, default=usual, help=f"{what} ({usual:,})")
    return wanted


def at_least_one(text: str) -> int:
    """Read a number of things of which there must be one."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number
