"""Tracing: a case is followed from a person's request through every service that consumes its events."""

import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from signal import SIGKILL, SIGTERM

import aiohttp
from rich.console import Console

from demo.play import play
from services.kernel.embedded.child_process import Child, free_port
from tests.collector import Span, collector
from tests.servers import scratch_folder
from tests.waiting import until


async def a_traced_year() -> Sequence[Span]:
    """Play two cases against a server that traces everything, and return all its spans."""
    port = free_port()
    with scratch_folder() as folder:
        async with collector() as collecting:
            server = Child("samspil", folder, last_signal=SIGKILL)
            argv = [sys.executable, "-m", "services.cli", "up", "--data", str(folder / "data")]
            server.launch(
                [*argv, "--clock", "virtual", "--port", str(port)],
                env={**os.environ, "SAMSPIL_OTLP": collecting.url, "SAMSPIL_TRACED_SHARE": "1"},
            )
            try:
                url = f"http://127.0.0.1:{port}"
                await until(lambda: is_ready(url), seconds=120)
                await play(url, cases=2, seed=7, console=Console(quiet=True), days=120)
            finally:
                await server.end(SIGTERM)  # which sends the spans that are left
            return collecting.spans


async def is_ready(url: str) -> bool:
    """Return whether a server may be used."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def by_trace(spans: Sequence[Span]) -> Mapping[str, Mapping[str, Span]]:
    """Return the spans of each trace by their id; those of whole batches stand beside the way of an event."""
    traces: dict[str, dict[str, Span]] = defaultdict(dict)
    for span in spans:
        if not span.name.endswith(" batch"):
            traces[span.trace][span.id] = span
    return traces


async def test_a_case_is_followed_through_every_service() -> None:
    """Each hop is the child of the hop that sent it, and the first is the request of a person."""
    spans = await a_traced_year()
    traces = by_trace(spans)
    linked = frozenset[str]().union(*(span.links for span in spans if span.name.endswith(" batch")))

    for tree in traces.values():
        (first,) = [span for span in tree.values() if span.parent not in tree]
        assert first.name.startswith(("GET /", "POST /"))
        for hop in tree.values():
            sender, _, version = hop.name.partition(" ")[2].partition(".")
            if version:
                assert tree[hop.parent].service == sender, hop
                assert hop.id in linked, hop
    reached = [{span.service for span in tree.values()} - {""} for tree in traces.values()]
    assert max(map(len, reached)) >= 5, sorted(map(sorted, reached))
