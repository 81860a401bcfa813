"""What a benchmark prints: one line a run, and the medians with their spread."""

from collections.abc import Iterable, Sequence
from statistics import median

from bench.load import Latency, Run

HEADING = f"{'':16}{'hops/s':>10}{'Python µs/hop':>16}{'PostgreSQL µs/hop':>20}{'RSS MB':>9}{'gap ms':>9}"
"""`gap ms` is the longest time without a commit: of each run, and the longest of all beside the medians."""


def run_line(name: str, run: Run) -> str:
    """Return a run as a line under `HEADING`."""
    return _line(name, run.hops_per_second, run.python_us, run.postgres_us, run.rss_mb, run.longest_gap)


def median_line(name: str, runs: Sequence[Run]) -> str:
    """Return the medians of runs as a line under `HEADING`, and between which rates they lay."""
    rates = [run.hops_per_second for run in runs]
    middle = _line(
        name,
        median(rates),
        median(run.python_us for run in runs),
        median(run.postgres_us for run in runs),
        median(run.rss_mb for run in runs),
        max(run.longest_gap for run in runs),
    )
    return f"{middle}   {min(rates):,.0f} to {max(rates):,.0f}"


def spread(ratios: Iterable[float]) -> str:
    """Return the median of ratios, and between which they lay."""
    found = sorted(ratios)
    return f"{median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def latency_line(name: str, latency: Latency) -> str:
    """Return an open load as a sentence."""
    return (
        f"{name}: {latency.cases_per_second:g} cases/s, hop p50 {latency.p50:.1f}, p95 {latency.p95:.1f}, "
        f"p99 {latency.p99:.1f} ms, Python {latency.python_us:.0f} µs a hop"
    )


def _line(name: str, rate: float, python_us: float, postgres_us: float, rss_mb: float, gap: float) -> str:
    return f"{name:16}{rate:>10,.0f}{python_us:>16.1f}{postgres_us:>20.1f}{rss_mb:>9.0f}{1e3 * gap:>9.0f}"
